"""The verb update: change the limits of a running container, by its control group."""

from __future__ import annotations

import sys

from tinybox.container import update as limits
from tinybox.container.config import validate
from tinybox.container.records import spec
from tinybox.errors import UsageError
from tinybox.isolation.cgroups import hierarchies
from tinybox.isolation.cgroups.changes import merged, sent, with_swap
from tinybox.linux import quick_json as json
from tinybox.oci import groups, pausing, record
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.oci.command_line import CommandLine

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


def update(command: CommandLine) -> None:
    """Change a running container's limits, in the kernel and in its recorded config.json, or in neither."""
    with record.open_locked(command.root(), command.arguments[0]) as entry:
        pausing.check_alive(entry)
        config, changes = entry.config(), requested(command)
        resources = config.setdefault("linux", {}).setdefault("resources", {})
        if changes.pop("devices", resources.get("devices")) != resources.get("devices"):
            raise UsageError("linux.resources.devices", "cannot be changed while the container runs", "leave it out")
        where = hierarchies.hierarchies()
        changes = with_swap(sent(changes), resources, where)
        resources.update(merged(resources, changes))
        where = groups.moved(where, entry.state.get("below"))
        group = groups.group(entry.id, config, where, entry.state.get("groups") or ())
        limits.apply(group, resources, changes)
        spec.save(config, entry.folder)


def requested(command: CommandLine) -> dict[str, Any]:
    """Return the ``linux.resources`` of --resources (a file, or - for stdin), or else of the single options."""
    if command.value("resources"):
        return loaded(command.value("resources"))
    changes: dict[str, Any] = {}
    for option, (section, field) in NUMBERS.items():
        if option in command.values:
            changes.setdefault(section, {})[field] = amount(command, option)
    for option, (section, field) in LISTS.items():
        if option in command.values:
            changes.setdefault(section, {})[field] = command.value(option)
    return validate.check_resources(changes)


def amount(command: CommandLine, option: str) -> int:
    """Return the option as a number; a number of bytes may also be given as ``64m``, as in runc."""
    text = command.value(option)
    if option.startswith("memory") and not is_whole(text.removeprefix("-")):
        from tinybox.container.config.option_values import size

        return size(option, text)
    return command.number(option)


def loaded(path: str) -> dict[str, Any]:
    """Read a ``linux.resources`` object; a limit that is null in it stays unchanged."""
    try:
        if path == "-":
            found: Any = json.load(sys.stdin)
        else:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
    except ValueError as error:
        raise UsageError(f"--resources {path}", f"is not JSON: {error}") from error
    return validate.check_resources(found)
