"""pause, resume and update: what the control group of a running container is told."""

from __future__ import annotations

import sys

from tinybox.container import update as limits
from tinybox.container.config import validate
from tinybox.container.records import spec
from tinybox.errors import StateError, UsageError
from tinybox.isolation.cgroups import hierarchies
from tinybox.linux import quick_json as json
from tinybox.oci import ending, groups, record
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.oci.record import Record
    from tinybox.oci.words import Words

# option: the section and the field of linux.resources that it means; numbers, but for the lists of a cpuset
NUMBERS = {
    "blkio-weight": ("blockIO", "weight"),
    "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-burst": ("cpu", "burst"),
    "cpu-share": ("cpu", "shares"),
    "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "cpu-idle": ("cpu", "idle"),
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
    "pids-limit": ("pids", "limit"),
}
LISTS = {"cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems")}


def pause(words: Words) -> None:
    """Freeze every process of a container; see cgroup.freeze in cgroups(7)."""
    with record.find(words.root(), words.arguments[0]) as entry:
        alive(entry)
        ending.group_of(entry).freeze()


def resume(words: Words) -> None:
    """Let a frozen container go on; StateError: it is not frozen."""
    with record.find(words.root(), words.arguments[0]) as entry:
        alive(entry)
        group = ending.group_of(entry)
        if not group.frozen():
            raise StateError(f"container {entry.id}", "container not paused")
        group.thaw()


def alive(entry: Record) -> None:
    """Raise StateError if the container does not run."""
    if entry.status() not in ending.SIGNALLED:
        raise StateError(f"container {entry.id}", "container not running", f"it is {entry.status()}")


def update(words: Words) -> None:
    """Change a running container's limits, in the kernel and in what is written down of it, or neither."""
    with record.find(words.root(), words.arguments[0]) as entry:
        alive(entry)
        config, changes = entry.config(), asked(words)
        resources = config.setdefault("linux", {}).setdefault("resources", {})
        if changes.pop("devices", resources.get("devices")) != resources.get("devices"):
            raise UsageError("linux.resources.devices", "cannot be changed while the container runs", "leave it out")
        lift_swap(changes.get("memory", {}), resources.get("memory", {}))
        for section, values in changes.items():
            merged = isinstance(values, dict) and section != "rdma"
            resources[section] = {**resources.get(section, {}), **values} if merged else values
        where = hierarchies.hierarchies()
        group = groups.group(entry.id, config, where, entry.state.get("groups") or ())
        limits.apply(group, {section: resources[section] for section in changes})  # whole: quota needs its period
        spec.save(config, entry.folder)


def lift_swap(asked: dict[str, Any], former: dict[str, Any]) -> None:
    """Lift the limit of memory and swap together, too, where that of memory is lifted and nothing is said of it."""
    if asked.get("limit", 0) < 0 and former.get("swap"):
        asked.setdefault("swap", -1)


def asked(words: Words) -> dict[str, Any]:
    """Return the ``linux.resources`` that --resources (a file, or - for stdin) and the single options ask for."""
    if words.value("resources"):
        return loaded(words.value("resources"))
    changes: dict[str, Any] = {}
    for option, (section, field) in NUMBERS.items():
        if option in words.values:
            changes.setdefault(section, {})[field] = amount(words, option)
    for option, (section, field) in LISTS.items():
        if option in words.values:
            changes.setdefault(section, {})[field] = words.value(option)
    return validate.check_resources(changes)


def amount(words: Words, option: str) -> int:
    """Return the option as a number: one of bytes may also be said as ``64m``, as runc takes it."""
    text = words.value(option)
    if option.startswith("memory") and not is_whole(text.removeprefix("-")):
        from tinybox.container.config.option_values import size

        return size(option, text)
    return words.number(option)


def loaded(path: str) -> dict[str, Any]:
    """Read a ``linux.resources`` object; what it leaves empty (null) is left as it is."""
    try:
        if path == "-":
            found: Any = json.load(sys.stdin)
        else:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
    except ValueError as error:
        raise UsageError(f"--resources {path}", f"is not JSON: {error}") from error
    return validate.check_resources(found)
