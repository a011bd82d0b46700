"""Device access on cgroup version 1: turn OCI's device rules into writes to devices.allow and devices.deny.

The controller ``devices`` has no program and no order of rules: a group either refuses all devices except those of its
list, or allows all except those. OCI's rules are in an order; they are translated to such a list, or refused. See
cgroup-v1/devices in the kernel's documentation.
"""

from __future__ import annotations

from tinybox.errors import UsageError
from tinybox.isolation.cgroups.device_rules import EVERY_ACCESS, number
from tinybox.isolation.cgroups.files import Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.isolation.cgroups.device_rules import Rule
    from tinybox.isolation.cgroups.group import Cgroup

    Range = tuple[str, int | None, int | None]  # type b or c, major, minor; None is any


def allow_devices(group: Cgroup, rules: Sequence[Rule]) -> None:
    """Let the processes of *group* open and make only the devices that *rules* allow; see `settings`."""
    for setting in settings(rules):
        group.apply(setting)


def settings(rules: Sequence[Rule]) -> list[Setting]:
    """Return the writes, in order, for OCI's *rules*, of which the last one that matches a device decides.

    UsageError: a rule refuses a part of the devices that an earlier rule allows, or the reverse. A list cannot express
    that, and the kernel would accept the line and do nothing. Lines of a list do not add up: to open a device for
    reading and writing, a single line must allow both.
    """
    writes = [_write(allow=False, line="a")]  # a new group starts with the permissions of its parent
    allowing = False
    exceptions: dict[Range, set[str]] = {}
    for rule in rules:
        allow, ranges, access = rule["allow"], _ranges(rule), set(rule.get("access") or EVERY_ACCESS)
        if _is_whole(ranges, access):
            if exceptions or allow != allowing:
                writes.append(_write(allow=allow, line="a"))
            allowing, exceptions = allow, {}
            continue
        for numbers in ranges:
            if allow != allowing:
                exceptions.setdefault(numbers, set()).update(access)
                writes.append(_write(allow=allow, line=_line(numbers, access)))
                continue
            for other, theirs in exceptions.items():
                if not theirs & access or not _overlap(numbers, other):
                    continue
                if not _within(other, numbers):
                    raise _hole(rule, numbers, access, other, theirs)
                writes.append(_write(allow=allow, line=_line(other, theirs & access)))
                theirs.difference_update(access)
    return writes


def _hole(rule: Rule, numbers: Range, access: set[str], other: Range, theirs: set[str]) -> UsageError:
    now, before = ("allow", "refuse") if rule["allow"] else ("refuse", "allow")
    cause = f"version 1 cannot {now} {_line(numbers, access)} out of {_line(other, theirs)}, which it is to {before}"
    return UsageError("linux.resources.devices", cause, "leave out one of the rules, or use a host with cgroup v2")


def _ranges(rule: Rule) -> list[Range]:
    """Return the devices that *rule* names, with ``a`` as both ``b`` and ``c``.

    To the kernel a line with the type ``a`` means all devices, and it ignores the numbers behind it.
    """
    kind = rule.get("type") or "a"
    return [(one, number(rule, "major"), number(rule, "minor")) for one in ("bc" if kind == "a" else kind)]


def _is_whole(ranges: list[Range], access: set[str]) -> bool:
    return ranges == [("b", None, None), ("c", None, None)] and access == set(EVERY_ACCESS)


def _overlap(one: Range, other: Range) -> bool:
    return all(mine is None or theirs is None or mine == theirs for mine, theirs in zip(one, other, strict=True))


def _within(inner: Range, outer: Range) -> bool:
    return all(theirs is None or mine == theirs for mine, theirs in zip(inner, outer, strict=True))


def _write(*, allow: bool, line: str) -> Setting:
    return Setting("devices", "devices.allow" if allow else "devices.deny", line)


def _line(numbers: Range, access: set[str]) -> str:
    kind, major, minor = numbers[0], *("*" if each is None else str(each) for each in numbers[1:])
    return f"{kind} {major}:{minor} {''.join(letter for letter in EVERY_ACCESS if letter in access)}"
