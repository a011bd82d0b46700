"""The life of a container, told in order: register, create, start, stop, delete; and what is done when its owner dies.

This file is the table of contents of the whole program. Each function is one move between states; whatever a move has
made is undone, last thing first, when it fails half-way.
"""

from __future__ import annotations

import os

from tinybox.container.planning import planner
from tinybox.container.planning.task import Task
from tinybox.container.process import spawn, wait_loop
from tinybox.container.process.plan_runner import PlanRunner, attempt, start_ticks
from tinybox.container.records import events, naming, spec, state
from tinybox.errors import Reported
from tinybox.isolation.cgroups.group import Cgroup, place
from tinybox.isolation.cgroups.limits import settings
from tinybox.linux import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.network.endpoints import Endpoints
    from tinybox.container.process.handles import Handles
    from tinybox.container.process.plan import Plan
    from tinybox.container.process.wait_loop import Ending, Signals
    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec import Spec
    from tinybox.container.records.state import Record


class Container:
    """One container in the hands of its owner."""

    def __init__(self, paths: Paths, container: str, config: Spec, host: Host, handles: Handles) -> None:
        self.paths, self.id, self.config, self.host, self.handles = paths, container, config, host, handles
        self.bundle = paths.bundle(container)
        self.annotations = config.get("annotations", {})
        self.cgroup = group(container, config, host)
        self.wiring = endpoints_of(paths, container, self.annotations)
        task = Task(config, self.bundle, host, handles, self.cgroup, container, self.wiring)
        self.plan: Plan = planner.plan(task)
        self.limits_memory = bool(config.get("linux", {}).get("resources", {}).get("memory", {}).get("limit"))
        self.name = self.annotations.get(spec.NAME, "")  # the name it was given first; a rename may have changed it
        self.runner = PlanRunner(self.plan, handles)
        self.record: Record = state.Record(paths, container, -1)

    def tell(self, action: str, **attributes: object) -> None:
        """Write the event *action* down, with the image's name beside it."""
        events.emit(self.paths, self.id, action, self.annotations, **attributes)


def group(container: str, config: Spec, host: Host) -> Cgroup:
    """Return the control group of a container (which may not exist yet): ``tinybox/ID`` in every hierarchy it needs."""
    resources = config.get("linux", {}).get("resources", {})
    needed = {"devices"} | {setting.controller for setting in settings(resources, host.hierarchies)}
    return Cgroup(place(container), host.hierarchies, needed)


def endpoints_of(paths: Paths, container: str, annotations: dict[str, str]) -> Endpoints | None:
    """Return what connects a container with its networks; nothing, and nothing loaded, where there are none."""
    if spec.NETWORKS not in annotations:
        return None
    from tinybox.container.network.endpoints import Endpoints

    return Endpoints(paths, container, annotations)


def run(container: Container, signals: Signals) -> Ending:
    """Live a registered container in the foreground. Whatever happens, nothing half-made is left."""
    try:
        create(container)
        start(container)
        ending = wait_loop.watch(container, signals)
    except BaseException:
        try:
            container.runner.undo()
        finally:
            discard(container)
        raise
    stop(container, ending)
    close(container)
    return ending


def register(container: Container, *, passing: bool = False) -> None:
    """Take its id, its name and its place in the store; its state is then ``new``, as after ``docker create``.

    A *passing* one lives in the foreground and goes with its end (``--rm``): only its life is written, not its place.
    """
    container.record = state.lock(container.paths, container.id)
    container.record.passing = passing
    if not passing:  # of one that passes, nothing is in the store by which it could be taken for another
        container.record.bind()
    try:
        naming.reserve(container.paths, container.annotations[spec.NAME], container.id)
        if spec.has_other_users(container.config):
            from tinybox.container.records import id_ranges

            id_ranges.acquire(container.paths, container.id, container.config)
        make_bundle(container)
    except BaseException:
        container.handles.close()
        discard(container)
        raise
    container.tell("create")


def make_bundle(container: Container) -> None:
    """Make the bundle on disk: config.json, an empty writable layer, and a place to mount the root on."""
    if spec.mounts_of_volumes(container.config, container.paths):
        from tinybox.container.storage import volumes

        volumes.make(container.paths, container.config)
    os.mkdir(container.bundle, 0o711)
    for folder in ("upper", "work", container.config["root"]["path"]):
        os.mkdir(os.path.join(container.bundle, folder), 0o755)
    spec.save(container.config, container.bundle)
    container.record.write(
        ociVersion=spec.OCI_VERSION,
        id=container.id,
        status=state.NEW,
        bundle=container.bundle,
        annotations=container.annotations,
        command=container.config["process"]["args"],
        terminal=bool(container.config["process"].get("terminal")),
        createdAt=state.now(),
    )


def create(container: Container) -> None:
    """Do everything short of starting the program: the state is then ``created``, and the child waits for its word."""
    container.record.begin()
    if spec.has_other_users(container.config):
        from tinybox.container.records import id_ranges

        id_ranges.keep(container.paths, container.id, container.config)
    naming.show(container.paths, container.id, container.name)
    container.runner.create(lambda pid: container.record.show(pid, start_ticks(pid)))
    pid = container.handles.pid
    container.record.write(
        status=state.CREATED, pid=pid, startTicks=start_ticks(pid), annotations=_annotations(container)
    )


def _annotations(container: Container) -> dict[str, str]:
    """Return its annotations as the state has them: published ports with the host's side that was chosen."""
    kept: dict[str, str] = container.record.state.get("annotations", {})
    return kept if container.wiring is None else kept | container.wiring.published()


def start(container: Container) -> None:
    """Let the program begin; returns when execve(2) has succeeded, raises 126 or 127 when it has not."""
    container.runner.start()
    container.record.write(status=state.RUNNING, startedAt=state.now())
    container.tell("start")


def stop(container: Container, ending: Ending) -> None:
    """Take back what the container had while it ran, and write down how it ended."""
    spawn.kill(container.handles)
    container.cgroup.kill()
    container.handles.close()
    if container.wiring is not None:
        ending.complaint = attempt(container.wiring.release)
    container.cgroup.remove()
    container.record.write(
        status=state.STOPPED,
        pid=0,
        finishedAt=state.now(),
        exitCode=ending.status,
        oomKilled=ending.out_of_memory,
        error=ending.complaint,
        annotations=_annotations(container),
    )
    if ending.out_of_memory:
        container.tell("oom")
    container.tell("die", exitCode=ending.status)


def abandon(container: Container, error: BaseException) -> None:
    """End a container whose monitor has met an *error* of its own; its exit status is unknown."""
    container.runner.undo()
    container.runner.left += filter(None, [attempt(container.cgroup.kill), attempt(container.cgroup.remove)])
    if container.record.state.get("status") not in (state.NEW, state.STOPPED):
        cause = f"its monitor failed: {type(error).__name__}: {error}"
        container.record.write(status=state.STOPPED, pid=0, exitCode=None, error=cause, finishedAt=state.now())


def close(container: Container) -> None:
    """Give the container out of hand: with ``--rm`` it goes, with all it wrote; else it stays, stopped."""
    naming.hide(container.paths, container.id, container.name)
    if container.annotations.get(spec.REMOVE):
        delete(container.paths, container.id, container.config)
        container.tell("destroy")
    _let_go(container)


def discard(container: Container) -> None:
    """Remove a container that came to nothing, and give it out of hand."""
    delete(container.paths, container.id, container.config)
    _let_go(container)


def _let_go(container: Container) -> None:
    """Own it no longer. If not all could be undone, its live directory stays, and the next command sweeps it."""
    if container.runner.left:
        container.record.hand_over()
    else:
        container.record.close()


def delete(paths: Paths, container: str, config: Spec | None = None, *, volumes_too: bool = False) -> None:
    """Remove a stopped container: its name, its config.json and everything it wrote. Its owner does this.

    Volumes without a name that no other container has go with it if it was run with ``--rm``, or with *volumes_too*.
    """
    config = config or spec.load_if_sound(paths.bundle(container))
    annotations = config.get("annotations", {})
    naming.release(paths, container, annotations.get(spec.NAME, ""))
    if spec.mounts_of_volumes(config, paths) and (volumes_too or annotations.get(spec.REMOVE)):
        from tinybox.container.storage import volumes

        volumes.remove_nameless(paths, config)
    if spec.has_other_users(config):
        from tinybox.container.records import id_ranges

        id_ranges.release(paths, container)
    files.remove_tree(paths.bundle(container))


def acquire(paths: Paths, host: Host, container: str) -> Record:
    """Become the owner of a container at rest. If nobody saw its end, for /run was emptied, end what runs of it yet."""
    record = state.lock(paths, container)
    if record.state.get("status") == state.STOPPED and record.state.get("exitCode") is None:
        _end_group(container, host)
    return record


def _end_group(container: str, host: Host) -> None:
    orphaned = Cgroup(place(container), host.hierarchies, host.hierarchies.v1)
    orphaned.kill()
    orphaned.remove()


def sweep(paths: Paths, host: Host) -> list[str]:
    """Clean up after every tinybox process that was killed: end and record what it owned; return the ids.

    A living container's owner holds its lock; one whose lock can be had has none any more. See flock(2). One that
    cannot be cleaned up is named, and left to a later command: it does not keep the others from it. What one of them
    only kept frozen goes on.
    """
    swept = []
    for container in paths.with_run_directory():
        record = None
        with Reported(f"what is left of container {container[:12]}") as outcome:
            record = state.inherit(paths, container)
            if record is not None:
                _reap(paths, host, record)
                swept.append(container)
            elif os.path.exists(os.path.join(paths.run_directory(container), state.FREEZER)):
                from tinybox.container import freezing

                freezing.thaw_for_the_dead(paths, container)
        if outcome.failed and record is not None:
            record.hand_over()
    return swept


def _disconnect(paths: Paths, container: str) -> None:
    from tinybox.container.network import endpoints

    endpoints.release(paths, container)


def _reap(paths: Paths, host: Host, record: Record) -> None:
    """End a container whose owner has died. How its program ended nobody has seen: its exit status is unknown.

    An owner that only looked at a container at rest (`cp`, `export`, `commit`) takes nothing with it.
    """
    _end_group(record.id, host)
    attempt(lambda: _disconnect(paths, record.id))
    naming.hide(paths, record.id)
    kept = state.stored(paths, record.id)
    if kept is None or (record.is_bound() and kept["annotations"].get(spec.REMOVE)):
        delete(paths, record.id)
    elif record.state.get("status") == state.RUNNING:
        record.write(status=state.STOPPED, pid=0, finishedAt=state.now(), exitCode=None)
        events.emit(paths, record.id, "die", kept["annotations"], exitCode="unknown")
    elif kept.get("restarting"):
        state.Record(paths, record.id, -1, kept).write(restarting=False)
    record.close()
