"""The host ids that tinybox may give to private user namespaces: all of a range, without those of the host's users."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

RANGE = 65536
FIRST, END = 0x80000, 0x70000000  # the ids that systemd's UIDS-GIDS reserves for containers: 524288 to 1879048191
_USER = "tinybox"  # the name in /etc/subuid and /etc/subgid under which an administrator gives ids to tinybox


class Allotment:
    """The ranges of host ids that tinybox may use for private user namespaces.

    These are all ranges between FIRST and END, or, if the texts *subuid* and *subgid* have lines for ``tinybox``, the
    ranges in these lines. A range is left out if a line gives a part of it to another user, or if it contains an id of
    the texts *passwd* and *group*: a user of the container would then be a real user of the host. See subuid(5),
    passwd(5), group(5).
    """

    def __init__(self, subuid: str = "", subgid: str = "", passwd: str = "", group: str = "") -> None:
        files = [_lines(subuid), _lines(subgid)]
        self._given = [[span for name, span in lines if name == _USER and len(span) >= RANGE] for lines in files]
        self._others = [span for lines in files for name, span in lines if name != _USER]
        numbers = [line.split(":")[2:3] for text in (passwd, group) for line in text.splitlines()]
        self._taken = {int(number) for fields in numbers for number in fields if number.isdecimal()}

    def after(self, last: int) -> Iterator[int]:
        """Yield the first id of each allowed range: first the ranges after the id *last*, then those before it."""
        spans = next(filter(None, self._given), [range(FIRST, END)])
        starts = sorted(first for span in spans for first in range(span.start, span.stop - RANGE + 1, RANGE))
        for part in ([first for first in starts if first > last], [first for first in starts if first <= last]):
            yield from filter(self.allows, part)

    def allows(self, first: int) -> bool:
        """Return whether a container may get the range of RANGE ids that begins with *first*."""
        end = first + RANGE
        if any(lines and not any(s.start <= first and end <= s.stop for s in lines) for lines in self._given):
            return False
        if any(span.start < end and first < span.stop for span in self._others):
            return False
        return not any(first <= number < end for number in self._taken)


def _lines(text: str) -> list[tuple[str, range]]:
    """Return the name and range of each line ``NAME:FIRST:COUNT`` of *text*; other lines, as comments, are ignored."""
    found = []
    for line in text.splitlines():
        name, _, numbers = line.partition(":")
        first, _, count = numbers.partition(":")
        if first.isdecimal() and count.strip().isdecimal():
            found.append((name, range(int(first), int(first) + int(count))))
    return found
