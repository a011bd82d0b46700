"""The verbs kill and delete: send a signal to a container, and remove a stopped one; see runtime.md."""

from __future__ import annotations

import os

from tinybox.container.process import hooks
from tinybox.container.records import spec
from tinybox.errors import HostError, StateError, TinyboxError, UsageError
from tinybox.isolation.cgroups import hierarchies
from tinybox.isolation.cgroups.shared import SharedCgroup
from tinybox.linux.signals import signal
from tinybox.oci import groups, record, shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.spec import Spec
    from tinybox.isolation.cgroups.group import Cgroup
    from tinybox.oci.command_line import CommandLine
    from tinybox.oci.log import Log
    from tinybox.oci.record import Record

SIGNALLED = (record.CREATED, record.RUNNING)
PATIENCE = 10.0  # seconds that the first process may take to die


def kill(command: CommandLine) -> None:
    """Send a signal, by name or number (TERM), to a container's first process, or with --all to every one.

    It does not wait for the lock of the container: so it can end a `start` whose hook does not end.
    """
    from tinybox.container.control import signal_number

    word = (command.arguments[1:] or ["TERM"])[0]
    number = 0 if word == "0" else signal_number(word)  # 0 sends nothing: it asks whether the process is there; kill(2)
    with record.open_unlocked(command.root(), command.arguments[0]) as entry:
        send(entry, number, everyone="all" in command.flags)


def send(entry: Record, number: int, *, everyone: bool) -> None:
    """Send signal *number* to a container's first process, or to *everyone* in its control group.

    Without its own pid namespace, the end of the first process would not end the others: so KILL goes to all.
    """
    status = entry.status()
    left = number == signal.SIGKILL and not has_own_processes(entry)  # others of the group outlive the first process
    if status == record.STOPPED and (everyone or (left and group_of(entry).processes())):
        signal_all(entry, number)
        return
    if status not in SIGNALLED:
        raise StateError(f"container {entry.id}", "container not running", f"it is {status}")
    if everyone or (number == signal.SIGKILL and not has_own_processes(entry)):
        signal_all(entry, number)
    else:
        signal_first(entry, number)
    if number == signal.SIGKILL:
        group_of(entry).thaw()  # in a frozen group of version 1, even KILL waits


def has_own_processes(entry: Record) -> bool:
    """Return whether the container has its own pid namespace: its end kills all processes; see pid_namespaces(7)."""
    kinds = entry.config().get("linux", {}).get("namespaces", [])
    return any(kind["type"] == "pid" and not kind.get("path") for kind in kinds)


def signal_first(entry: Record, number: int) -> None:
    """Send signal *number* to a container's first process, if it has not just ended; see pidfd_send_signal(2)."""
    try:
        pidfd = entry.open_process()
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)


def signal_all(entry: Record, number: int) -> None:
    """Send signal *number* to every process in the container's control group."""
    for pid in group_of(entry).processes():
        signal_process(pid, number)


def signal_process(pid: int, number: int) -> None:
    """Send signal *number* to *pid*, if it has not just ended; see kill(2)."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def group_of(entry: Record) -> Cgroup:
    """Return the control group of a recorded container."""
    where = hierarchies.hierarchies()
    config = spec.load_if_sound(entry.folder) if entry.damage else entry.config()
    return groups.recorded(entry, config, where)


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
        if status in SIGNALLED and not force:
            raise StateError(f"container {container}", f"cannot delete container that is not stopped: {status}")
        destroy(entry, command.log)


def kill_unlocked(root: str, container: str) -> None:
    """Kill a container's first process without its lock: the command that holds the lock may wait for that process.

    That command may remove the container meanwhile, or a part of its files. Then, and for a damaged one, destroy()
    kills what is in the group.
    """
    try:
        with record.open_unlocked(root, container) as entry:
            if entry.status() in SIGNALLED:
                send(entry, signal.SIGKILL, everyone=False)
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
    if os.path.exists(os.path.join(entry.folder, "config.json")) and entry.state:
        config, group = entry.config(), group_of(entry)
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
    group = group_of(entry)
    if isinstance(group, SharedCgroup):
        log.write_warning(f"container {entry.id}: its record is damaged: processes in {group.name} are not killed")
    else:
        group.kill()
        group.remove()
    entry.remove()


def after(entry: Record, config: Spec, log: Log) -> None:
    """Run the poststop hooks of a removed container; a hook that fails is a warning; see runtime.md."""
    place = hooks.Place(entry.state.get("bundle", ""))
    for number, hook in enumerate(config.get("hooks", {}).get("poststop", [])):
        try:
            hooks.run(f"hooks.poststop[{number}] {hook['path']}", hook, hook_state(entry, record.STOPPED), place)
        except TinyboxError as error:
            log.write_warning(str(error))


def hook_state(entry: Record, status: str) -> bytes:
    """Return the state that hooks read from their stdin; see "State" in runtime.md."""
    pid, annotations = entry.state.get("pid", 0), entry.state.get("annotations", {})
    return hooks.state_of(entry.id, status, pid, entry.state.get("bundle", ""), annotations)


def end(entry: Record) -> None:
    """Kill the first process, in any control group, and wait until it has ended; see pidfd_open(2)."""
    import select

    if entry.status() not in SIGNALLED:
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
