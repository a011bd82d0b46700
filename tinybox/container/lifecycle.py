"""The life cycle of a container, in order: create, start, stop, delete; and how each of them is undone.

This file is the table of contents of the whole program; register.py comes before it. Each function makes one change of
state; if it fails half-way, its effects are undone in reverse order. The owner of a container is the process that holds
the lock RUN/ID/lock. If it is killed, the next command finds that lock free and cleans up: see sweeping.py.
"""

from __future__ import annotations

import os

from tinybox.container.planning import cgroups, network, planner
from tinybox.container.planning.task import Task
from tinybox.container.process import spawn, wait_loop
from tinybox.container.process.plan_runner import PlanRunner, attempt, start_ticks
from tinybox.container.records import events, naming, spec, state
from tinybox.errors import StateError, TinyboxError
from tinybox.isolation import overlay
from tinybox.isolation.cgroups.group import Cgroup, place
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.plan import Plan
    from tinybox.container.process.wait_loop import Ending, Signals, Streams
    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Spec
    from tinybox.container.records.state import Record


class Container:
    """One container, as its owner process sees it: its configuration, its plan, and its record on disk."""

    def __init__(self, paths: Paths, container: str, config: Spec, host: Host, handles: Handles) -> None:
        self.paths, self.id, self.config, self.host, self.handles = paths, container, config, host, handles
        self.bundle = paths.bundle(container)
        self.annotations = config.get("annotations", {})
        self.cgroup = cgroups.group(container, config, host)
        self.endpoints = network.endpoints_of(paths, container, self.annotations)
        self.task = Task(config, self.bundle, host, handles, self.cgroup, container, self.endpoints)
        self.task.run_directory = paths.run_directory(container)
        self.plan: Plan = planner.plan(self.task)
        self.limits_memory = bool(config.get("linux", {}).get("resources", {}).get("memory", {}).get("limit"))
        self.name = self.annotations.get(spec.NAME, "")  # its first name; `tinybox rename` may have changed it since
        self.runner = PlanRunner(self.plan, handles)
        self.record: Record = state.Record(paths, container, -1)
        self.stays = False  # it is kept at its end in spite of --rm: `restart` will start it again
        self.discards_ports = False  # ports are to be published, and it has the host's network
        self.other_platform = ""  # that of its image, if this machine has another processor and none was asked for

    def emit(self, action: str, **attributes: object) -> None:
        """Append the event *action* to the event log, with the image's name and further *attributes*."""
        events.emit(self.paths, self.id, action, self.annotations, **attributes)


def run(
    container: Container,
    signals: Signals,
    streams: Streams | None = None,
    ended: Callable[[Ending], None] = lambda _: None,
) -> Ending:
    """Run a registered container in the foreground and return how it ended; *streams* pass on its input and output.

    After an error before its program runs, nothing of it is left. *ended* is called before its files may be removed.
    """
    try:
        if streams is not None:
            streams.open()
        create(container)
        container.runner.start()
    except BaseException:
        try:
            container.runner.undo()
        finally:
            discard(container)
            if streams is not None:
                streams.close(TinyboxError.status)
        raise
    try:
        record_start(container, attached=True)
        if streams is not None:
            streams.started()
        ending = wait_loop.watch(container, signals, streams.watch if streams is not None else None)
        stop(container, ending)
        if streams is not None:
            streams.close(ending.status)
        ended(ending)
    except BaseException as error:
        try:
            abandon(container, error)
        finally:
            close(container)
        raise
    close(container)
    return ending


def create(container: Container) -> None:
    """Make the container, but do not start its program; its state is then ``created``, and the child waits."""
    container.record.begin()
    if spec.has_other_users(container.config) and spec.ID_MAPS not in container.annotations:
        from tinybox.container.records import id_ranges

        id_ranges.keep(container.paths, container.id, container.config)
    naming.show(container.paths, container.id, container.name)
    container.runner.create(lambda pid: container.record.show(pid, start_ticks(pid)))
    pid = container.handles.pid
    container.record.write(
        status=state.CREATED, pid=pid, startTicks=start_ticks(pid), annotations=_annotations(container)
    )


def _annotations(container: Container) -> dict[str, str]:
    """Return the annotations for state.json: published ports include the host port that was chosen at the start."""
    kept: dict[str, str] = container.record.state.get("annotations", {})
    return kept if container.endpoints is None else kept | container.endpoints.published()


def start(container: Container) -> None:
    """Start the program; returns when execve(2) has succeeded, else raises an error with the exit status 126 or 127."""
    container.runner.start()
    record_start(container)


def record_start(container: Container, *, attached: bool = False) -> None:
    """Record that the program runs; its state is then ``running``. If *attached*, its output goes to the user."""
    container.record.write(status=state.RUNNING, startedAt=state.now())
    networks = container.endpoints.networks if container.endpoints is not None else []
    events.emit_start(container.paths, container.id, container.config, networks, attached=attached)


def stop(container: Container, ending: Ending) -> None:
    """Release everything that the container had while it ran (processes, network, cgroup), and record how it ended.

    If the record cannot be written (a full disk), that becomes the complaint; the status in the record is then unknown.
    """
    spawn.kill(container.handles)
    _keep_for_restart(container)
    if os.path.lexists(os.path.join(container.paths.run_directory(container.id), state.EXTENDED)):
        container.cgroup.made = None  # not only those: `tinybox update` has made groups for new limits
    container.cgroup.end()
    container.handles.close()
    if container.endpoints is not None:
        ending.complaint = attempt(container.endpoints.release) or ending.complaint
    if spec.OPTION_VOLUMES in container.annotations:
        ending.complaint = attempt(lambda: unmount_volumes(container.paths, container.id)) or ending.complaint
    try:
        container.record.write(
            status=state.STOPPED,
            pid=0,
            finishedAt=state.now(),
            exitCode=ending.status,
            oomKilled=ending.out_of_memory,
            error=ending.complaint,
            annotations=_annotations(container),
        )
    except StateError as error:
        ending.complaint = ending.complaint or str(error)
        container.stays = False  # without a record it could not be started again
    left, now = container.endpoints.networks if container.endpoints is not None else [], container.record.state
    events.emit_end(container.paths, container.id, container.config, left, now, ending.status)


def _keep_for_restart(container: Container) -> None:
    """Keep a container of ``--rm`` if `restart` waits for its end; then the store gets the state of a passing one, too.

    Without the file RUN/ID/restart nothing is loaded for this question.
    """
    mark = os.path.join(container.paths.run_directory(container.id), state.RESTART)
    if container.annotations.get(spec.REMOVE) and os.path.lexists(mark):
        from tinybox.container.records import restart_mark

        container.stays = restart_mark.is_held(container.paths, container.id)
        if container.stays:
            container.record.passing = False
            if container.endpoints is not None:
                container.endpoints.returns_early = False  # the next start needs the names of its links


def abandon(container: Container, error: BaseException) -> None:
    """End a container whose owner has failed with *error*; the container's exit status stays unknown."""
    container.runner.undo()
    container.cgroup.made = None
    container.runner.left += filter(None, [attempt(container.cgroup.kill), attempt(container.cgroup.remove)])
    if container.record.state.get("status") not in (state.NEW, state.STOPPED):
        cause = f"its monitor failed: {type(error).__name__}: {error}"
        container.record.write(status=state.STOPPED, pid=0, exitCode=None, error=cause, finishedAt=state.now())


def close(container: Container) -> None:
    """Release the ownership of an ended container: with ``--rm`` it is removed with its files, else it stays."""
    if container.stays or not container.annotations.get(spec.REMOVE):
        naming.hide(container.paths, container.id, container.name)
    else:
        gone = events.of_container(container.paths, container.id, "destroy", container.annotations)
        delete(container.paths, container.id, container.config)
        events.write(container.paths, gone)
    _release(container)


def discard(container: Container) -> None:
    """Remove a container whose start has failed, and release the ownership of it."""
    delete(container.paths, container.id, container.config)
    _release(container)


def _release(container: Container) -> None:
    """Release the lock. If an undo has failed, the run directory stays, and the next command sweeps the container."""
    if container.runner.left:
        container.record.hand_over()
    else:
        container.record.close()


def delete(paths: Paths, container: str, config: Spec | None = None, *, volumes_too: bool = False) -> None:
    """Remove a stopped container: its name, its config.json and all files that it wrote. The caller must own it.

    Its anonymous volumes are removed too if it was run with ``--rm``, or with *volumes_too*, unless another container
    uses them; named volumes stay.
    """
    config = config or spec.load_if_sound(paths.bundle(container))
    annotations = config.get("annotations", {})
    naming.release(paths, container, annotations.get(spec.NAME, ""))
    if spec.mounts_of_volumes(config, paths) and (volumes_too or annotations.get(spec.REMOVE)):
        from tinybox.container.storage import volumes

        volumes.remove_nameless(paths, config)
    if spec.ID_MAPS in annotations:
        from tinybox.container.records import home_ranges

        home_ranges.release(paths, container)
    elif spec.has_other_users(config):
        from tinybox.container.records import id_ranges

        id_ranges.release(paths, container)
    if spec.VOLATILE in annotations:
        overlay.remove_mark(os.path.join(paths.bundle(container), "work"))
    files.remove_tree(paths.bundle(container))


def acquire(paths: Paths, host: Host, container: str, *, damaged_too: bool = False) -> Record:
    """Become the owner of a container at rest. If /run was cleared (reboot, or by hand), kill what survives of it."""
    record = state.lock(paths, container, damaged_too=damaged_too)
    if not record.state or (record.state["status"] == state.STOPPED and record.state.get("exitCode") is None):
        try:
            end_group(record, host)
        except BaseException:
            record.hand_over()  # the next command that sweeps tries it again
            raise
    return record


def end_group(record: Record, host: Host) -> None:
    """Kill all processes of a container whose owner has died, and remove its control group.

    Without control groups, for a user without root, the end of PID 1 ends all.
    """
    if host.rootless:
        spawn.kill_recorded(record.state.get("pid", 0), record.state.get("startTicks", 0))
    if not host.hierarchies.roots():
        return
    known = record.state or state.last(record.paths, record.id)
    parent = known.get("annotations", {}).get(spec.CGROUP_PARENT, "")
    orphaned = Cgroup(place(record.id, parent), host.hierarchies, host.hierarchies.v1)
    orphaned.kill()
    orphaned.remove()


def unmount_volumes(paths: Paths, container: str) -> None:
    """Unmount the volumes with options that only this container has used; see storage/mounted_volumes.py."""
    from tinybox.container.storage import mounted_volumes

    mounted_volumes.release(paths.run_directory(container))
