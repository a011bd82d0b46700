"""Which devices a container may use, as version 1 keeps it: one word for all devices, and a list of exceptions.

The controller ``devices`` has no program and no order: a group either refuses everything but what is on its list, or
allows everything but that. What rules say one after the other is brought into that shape here, or refused.
See cgroup-v1/devices in the kernel's documentation.
"""

from __future__ import annotations

from tinybox.errors import UsageError
from tinybox.isolation.cgroups.device_rules import EVERY_ACCESS, number
from tinybox.isolation.cgroups.limits import Setting

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
    """Return what is to be written, in order, for the group to do as *rules* (OCI's, the last one that fits decides).

    UsageError where a rule takes something out of the middle of what an earlier one has given, or gives it back: a list
    cannot say so, and the kernel would take the line and do nothing. Lines of a list do not add up: to open a device
    for reading and writing, one of them must allow both.
    """
    writes = [_write(allow=False, line="a")]  # a new group begins with all that its parent has
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
    """Return the devices that *rule* names: a line with the type ``a`` would mean everything, whatever follows it."""
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
