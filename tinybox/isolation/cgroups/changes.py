"""A change of OCI's ``linux.resources``: an update sends a part of them, and what it does not send stays as it is.

Engines mark a limit that they do not send in several ways: the field is missing, null, zero or empty. docker sends 0
for every limit that its user did not name. Only in VALUES is 0 a value of its own.
"""

from __future__ import annotations

from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tinybox.isolation.cgroups.hierarchies import Hierarchies

VALUES = frozenset({"cpu.burst", "cpu.idle", "memory.swappiness", "pids.limit"})  # the fields in which 0 is a value
IDENTITIES = (("major", "minor"), ("pageSize",), ("name",))  # what an entry of a list is about: a device, a page size
_LEAST_TASKS = 1  # the kernel takes a limit of 0 tasks for a group with tasks in it as 1; so does systemd, and so runc


def sent(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return the limits that *resources* really sends: without fields, lists and sections that say nothing."""
    found: dict[str, Any] = {}
    for section, values in resources.items():
        if isinstance(values, dict):
            kept = {name: value for name, value in values.items() if value or _is_value(f"{section}.{name}", value)}
        else:
            kept = values
        if kept:
            found[section] = kept
    if found.get("pids", {}).get("limit") == 0:
        found["pids"] = {"limit": _LEAST_TASKS}
    return found


def _is_value(field: str, value: object) -> bool:
    return value is False or (value == 0 and field in VALUES)


def merged(former: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the *former* resources with the *changes*, field by field, and in a list entry by entry."""
    result = dict(former)
    for section, values in changes.items():
        if isinstance(values, dict):
            before = former.get(section, {})
            result[section] = {**before, **{name: _joined(before.get(name), new) for name, new in values.items()}}
        else:
            result[section] = _joined(former.get(section), values)
    return result


def _joined(former: Any, new: Any) -> Any:
    """Return *new*; in a list after those entries of *former* that are about something else, in a map with its rest."""
    if isinstance(former, dict) and isinstance(new, dict):
        return {**former, **new}
    if not isinstance(former, list) or not isinstance(new, list):
        return new
    about = {_identity(entry) for entry in new}
    return [*(entry for entry in former if _identity(entry) not in about), *new]


def _identity(entry: Any) -> tuple[Any, ...]:
    for names in IDENTITIES:
        if isinstance(entry, dict) and names[0] in entry:
            return tuple(entry.get(name) for name in names)
    return (str(entry),)


def with_swap(changes: dict[str, Any], former: Mapping[str, Any], hierarchies: Hierarchies) -> dict[str, Any]:
    """Return *changes* with the limit of memory and swap together that follows from a new memory limit without one.

    Without a memory limit there is none on swap either. In version 2 the kernel limits swap alone, and that file stays
    as it is. In version 1 it limits both together; UsageError: the memory limit would be above that.
    """
    memory, before = changes.get("memory", {}), former.get("memory", {})
    limit, swap = memory.get("limit"), before.get("swap")
    if not limit or not swap or "swap" in memory:
        return changes
    if limit < 0:
        return {**changes, "memory": {**memory, "swap": -1}}
    if hierarchies.version("memory") == 2 and swap > 0:
        return {**changes, "memory": {**memory, "swap": limit + swap - before["limit"]}}
    if 0 < swap < limit:
        cause = f"{limit} is above {swap}, the limit of memory and swap together, which stays as it is"
        raise UsageError("linux.resources.memory.limit", cause, "send memory.swap, too")
    return changes
