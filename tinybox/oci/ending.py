"""The verb delete: remove a container that has stopped, with all that `create` has made; see OCI's runtime.md."""

from __future__ import annotations

import os

from tinybox.errors import HostError, StateError, TinyboxError, UsageError
from tinybox.linux.signals import signal
from tinybox.oci import groups, killing, record, shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.spec_types import Spec
    from tinybox.oci.command_line import CommandLine
    from tinybox.oci.log import Log
    from tinybox.oci.record import Record

PATIENCE = 10.0  # seconds that the first process may take to die


def delete(command: CommandLine) -> None:
    """Remove a stopped container; with --force kill a running one first, and accept that it does not exist."""
    container, force = command.arguments[0], "force" in command.flags
    if force:
        kill_unlocked(command.root(), container)
    try:
        entry = record.open_locked(command.root(), container, damaged_too=force)
    except StateError:
        if force:
            return
        raise
    with entry:
        status = record.STOPPED if entry.damage else entry.status()
        if status in record.SIGNALLED and not force:
            raise StateError(f"container {container}", f"cannot delete container that is not stopped: {status}")
        destroy(entry, command.log)


def kill_unlocked(root: str, container: str) -> None:
    """Kill a container's first process without its lock: the command that holds the lock may wait for that process.

    That command may remove the container meanwhile, or a part of its files. Then, and for a damaged one, destroy()
    kills what is in the group.
    """
    try:
        with record.open_unlocked(root, container) as entry:
            if entry.status() in record.SIGNALLED:
                killing.send(entry, signal.SIGKILL, everyone=False)
    except (StateError, UsageError):
        return


def destroy(entry: Record, log: Log) -> None:
    """Kill the processes of a container, remove its control group and its record, and run its poststop hooks.

    It also removes what a killed `create` has made.
    """
    config: Spec = {}
    if entry.damage:
        _destroy_damaged(entry, log)
        return
    if entry.state:
        config, group = entry.outline(), groups.of(entry)
        # Without a pid, `create` may have refused the group, because processes of others are in it.
        if "pid" in entry.state or groups.is_ours(group):
            group.kill()
        end(entry)
        group.remove()
        _leave_class(config, entry.id)
        root = shared.root(config, entry.state["bundle"], entry.state.get("covers"))
        if root and not root.remove():
            log.write_warning(
                f"container {entry.id}: its mounts stay: there is another mount namespace at {root.where}"
            )
    entry.remove()
    after(entry, config, log)


def _leave_class(config: Spec, container: str) -> None:
    """Remove the class of service of a container, or its group for measuring, if it has one; see intelRdt."""
    settings = config.get("linux", {}).get("intelRdt")
    if settings is not None:
        from tinybox.isolation import resctrl

        try:
            resctrl.ClassOfService(settings, container).remove()
        except HostError:  # resctrl is not mounted any more: its classes are gone
            return


def _destroy_damaged(entry: Record, log: Log) -> None:
    """Remove a container whose state.json is damaged, with its processes, if only its own can be in its group."""
    group = groups.of(entry)
    if group.ours is not None:
        log.write_warning(f"container {entry.id}: its record is damaged: processes in {group.name} are not killed")
    else:
        group.kill()
        group.remove()
    entry.remove()


def after(entry: Record, config: Spec, log: Log) -> None:
    """Run the poststop hooks of a removed container; a hook that fails is a warning; see runtime.md."""
    wanted = config.get("hooks", {}).get("poststop")
    if not wanted:
        return
    from tinybox.container.process import hooks

    place = hooks.Place(entry.state.get("bundle", ""))
    for number, hook in enumerate(wanted):
        try:
            hooks.run(f"hooks.poststop[{number}] {hook['path']}", hook, hook_state(entry, record.STOPPED), place)
        except TinyboxError as error:
            log.write_warning(str(error))


def hook_state(entry: Record, status: str) -> bytes:
    """Return the state that hooks read from their stdin; see "State" in runtime.md."""
    from tinybox.container.process import hooks

    pid, annotations = entry.state.get("pid", 0), entry.state.get("annotations", {})
    return hooks.state_of(entry.id, status, pid, entry.state.get("bundle", ""), annotations)


def end(entry: Record) -> None:
    """Kill the first process, in any control group, and wait until it has ended; see pidfd_open(2)."""
    import select

    if entry.status() not in record.SIGNALLED:
        return
    try:
        pidfd = entry.open_process()
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [], PATIENCE)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)
