"""update: change the limits and the restart policy of a container, in config.json and in the cgroups if it runs."""

from __future__ import annotations

import os

from tinybox.container.config import configure, limits, option_values
from tinybox.container.config.restart_policy import Policy
from tinybox.container.planning import cgroups
from tinybox.container.records import events, naming, spec, state
from tinybox.container.running import running
from tinybox.errors import HostError, OptionError, UnfitValueError, UsageError
from tinybox.isolation.cgroups import changes, files
from tinybox.isolation.cgroups.files import Setting
from tinybox.isolation.cgroups.limits import changed_settings
from tinybox.linux.filesystem.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Spec
    from tinybox.isolation.cgroups.group import Cgroup


def check(options: dict[str, str]) -> None:
    """Raise OptionError if a value of docker's update *options* cannot be read, whichever container it is for."""
    sizes = {key: text for key, text in options.items() if key.startswith("memory") and text not in ("", "0", "-1")}
    try:
        for key, text in sizes.items():
            option_values.size(key.replace("_", "-"), text)
        if options.get("cpus"):
            option_values.number("cpus", options["cpus"])
        configure.put_fields({}, options)
    except UnfitValueError:
        raise
    except UsageError as error:
        raise OptionError(error.thing, error.cause, error.cure) from error


def update(paths: Paths, here: Host, word: str, options: dict[str, str]) -> None:
    """Apply docker's update *options*, all or none: if the kernel refuses a limit, config.json stays unchanged."""
    container = naming.find(paths, word)
    lock = os.open(os.path.join(paths.bundle(container), "config.json"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(lock, "rb"):
        lock_file(lock)
        config = spec.load(paths.bundle(container))
        if "restart" in options:
            Policy(options["restart"])
            config.setdefault("annotations", {})[spec.RESTART] = options["restart"]
        requested = change(config, here, options)
        group = cgroups.group(container, config, here)  # HostError: a user without root may set no limit
        if state.read(paths, container)["status"] == state.RUNNING:
            with running(paths, container) as target:
                try:
                    _note_groups(paths, container)
                    apply(group, config["linux"]["resources"], requested)
                finally:
                    if target.ends_within(0):
                        _remove_unused_groups(cgroups.group(container, config, here))
        spec.save(config, paths.bundle(container))
    events.emit(paths, container, "update")


def _note_groups(paths: Paths, container: str) -> None:
    """Let the container's owner know that `apply` may make control groups, which it has to remove in the end."""
    path = os.path.join(paths.run_directory(container), state.EXTENDED)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except FileNotFoundError:  # the owner has just removed the directory: `update` removes the groups itself
        return


def _remove_unused_groups(group: Cgroup) -> None:
    """Remove groups that apply() may have made after the container's owner had removed them; groups in use stay."""
    for root in group.hierarchies.roots():
        files.rmdir(f"{root}/{group.name}") and files.rmdir(os.path.dirname(f"{root}/{group.name}"))


def change(config: Spec, here: Host, options: dict[str, str]) -> dict[str, Any]:
    """Write the new limits into *config*, beside those that *options* do not name; return the new ones alone."""
    resources = config["linux"].setdefault("resources", {})
    if options.get("pids_limit") == "0":
        options = {**options, "pids_limit": "-1"}  # no limit, as in docker; in the other options 0 changes nothing
    alone: Any = {"linux": {"resources": limits.limits(options, here, resources)}}
    configure.put_fields(alone, options)
    requested: dict[str, Any] = alone["linux"]["resources"]
    resources.update(changes.merged(resources, requested))
    return requested


def apply(group: Cgroup, resources: Mapping[str, Any], requested: Mapping[str, Any]) -> None:
    """Write the limits that were *requested*, a part of *resources*, to the control *group* of a running container.

    Groups that are missing for them are made. Some limits depend on others (memory may not exceed the sum of memory and
    swap), so a refused one is tried again after the others. If all remaining ones are refused, the former values are
    written back and the error is raised.
    """
    if "limit" in requested.get("memory", {}):
        _check_usage(group, resources["memory"])
    try:
        group.extend()
    except OSError as error:
        raise files.refusal(f"cgroup {group.name}", error) from error
    writes = changed_settings(resources, requested, group.hierarchies)
    former = [Setting(write.controller, write.file, value) for write in writes if (value := _value(group, write))]
    while writes:
        refused, refusal = [], None
        for write in writes:
            try:
                group.apply(write)
            except HostError as error:
                refused.append(write)
                refusal = error
        if refusal and len(refused) == len(writes):
            _restore(group, former)
            raise refusal
        writes = refused


def _check_usage(group: Cgroup, memory: Mapping[str, Any]) -> None:
    """Refuse a memory limit below the current use if ``checkBeforeUpdate`` is set: cgroup v2 would kill to reach it."""
    limit = memory.get("limit") or -1
    used = int(group.read("memory", "memory.current") or 0)
    if memory.get("checkBeforeUpdate") and 0 < limit < used:
        raise HostError("linux.resources.memory.limit", f"{limit} is less than the {used} bytes that are in use")


def _value(group: Cgroup, setting: Setting) -> str:
    return (group.read(setting.controller, setting.file) or "").strip()


def _restore(group: Cgroup, former: list[Setting]) -> None:
    for setting in former * 2:  # twice, because some limits depend on others
        try:
            group.apply(setting)
        except HostError:
            continue
