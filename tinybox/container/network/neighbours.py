"""Neighbours: the lines that running boxes have for one another in their /etc/hosts, made once for all boxes.

A network of 200 boxes has 200 files of 200 lines each. So the lines of a network are made once, as one text, and each
box gets that text without its own lines: a copy of memory is all that is left to do for each box.
"""

from __future__ import annotations

import os

from tinybox.container.network import BRIDGE, addresses
from tinybox.container.records import naming

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinybox.container.network.addresses import Endpoint
    from tinybox.container.records.paths import Paths

SHORT = 12  # digits of an id that are enough for a link


class RunningBox:
    """A running box: its id, its name, its endpoints, and the user-defined networks that it is in."""

    def __init__(self, paths: Paths, container: str, name: str) -> None:
        self.id, self.name = container, name
        self.endpoints = addresses.endpoints(paths, container)
        self.networks = {endpoint.network for endpoint in self.endpoints if endpoint.network != BRIDGE}

    def names(self, endpoint: Endpoint) -> list[str]:
        """Return the names of this box for other boxes in the network of *endpoint*: name, aliases, short id."""
        return list(dict.fromkeys([self.name, *endpoint.aliases, self.id[:12]]))

    def linked(self, links: Sequence[str]) -> list[str]:
        """Return the names of this box among *links*, ``CONTAINER:NAME`` of another box, which that box alone uses."""
        pairs = (link.partition(":")[::2] for link in links)
        return [
            name
            for container, name in pairs
            if container == self.name or (len(container) >= SHORT and self.id.startswith(container))
        ]


class Neighbours:
    """All boxes that run, and the text of each network: the lines of its members, in the order of *members*."""

    def __init__(self, members: Iterable[RunningBox] = ()) -> None:
        self.members = [*members]
        self._texts: dict[str, str] = {}  # by the id of the network
        self._places: dict[tuple[str, str], tuple[int, int]] = {}  # where a box's own lines begin and end in the text
        parts: dict[str, list[str]] = {}
        lengths: dict[str, int] = {}
        for member in self.members:
            for end in member.endpoints:
                if end.network != BRIDGE:
                    text = _text(end, member.names(end))
                    begin = lengths.get(end.id, 0)
                    lengths[end.id] = begin + len(text)
                    parts.setdefault(end.id, []).append(text)
                    self._places[end.id, member.id] = begin, begin + len(text)
        self._texts = {network: "".join(each) for network, each in parts.items()}

    def lines(self, member: RunningBox, own: Sequence[str]) -> str:
        """Return the lines for *member* itself, with its *own* host names, and for those that share a network with it.

        These are its user-defined networks: in the default network, boxes have no names for one another.
        """
        found = []
        for end in member.endpoints:
            if end.network == BRIDGE:
                found.append(_text(end, own))
            else:
                found += [_text(end, [*own, *member.names(end)]), self._beside(member, end)]
        return "".join(found)

    def _beside(self, member: RunningBox, end: Endpoint) -> str:
        """Return the lines of the other boxes in the network of *end*, with the names that its links give them."""
        if not end.links:
            text = self._texts.get(end.id, "")
            begin, after = self._places.get((end.id, member.id), (0, 0))
            return text[:begin] + text[after:]
        others = (other for other in self.members if other.id != member.id)
        places = ((other, place) for other in others for place in other.endpoints if place.id == end.id)
        return "".join(_text(place, [*other.names(place), *other.linked(end.links)]) for other, place in places)


def _text(endpoint: Endpoint, names: Iterable[str]) -> str:
    words = " ".join(dict.fromkeys(name for name in names if name))
    places = [place.partition("/")[0] for place in (endpoint.address, endpoint.address6) if place]
    return "".join(f"{place}\t{words}\n" for place in places)


def running(paths: Paths) -> list[RunningBox]:
    """Return all running boxes of a store. Names are those in RUN: boxes at rest cost nothing here."""
    names, found = {}, []
    try:
        entries = [*os.scandir(paths.run)]
    except FileNotFoundError:
        return []
    for entry in entries:
        if entry.is_symlink():
            names[naming.target(entry.path)] = entry.name
        elif entry.is_dir(follow_symlinks=False):
            found.append(entry.name)
    return [RunningBox(paths, container, names.get(container, "")) for container in found]
