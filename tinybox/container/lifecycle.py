"""The life of a container, told in order: create, start, wait, delete; and what becomes of it when its watcher dies.

This file is the table of contents of the whole program. Each function is one move between states; whatever a move has
made is undone, last thing first, when it fails half-way.
"""

from __future__ import annotations

import os

from tinybox.container import monitor, planner, spawn, spec, state
from tinybox.isolation.cgroup import Cgroup
from tinybox.isolation.cgroup_limits import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.host import Host
    from tinybox.container.live import Live
    from tinybox.container.monitor import Ending
    from tinybox.container.plan import Plan, Step
    from tinybox.container.spec import Spec
    from tinybox.container.state import Home, Record


class Container:
    """One container in the hands of the process that watches over it."""

    def __init__(self, home: Home, container: str, config: Spec, host: Host, live: Live) -> None:
        self.home, self.id, self.config, self.host, self.live = home, container, config, host, live
        self.bundle = home.bundle(container)
        self.annotations = config.get("annotations", {})
        self.name = self.annotations.get(spec.NAME, "") or container
        self.cgroup = group(container, config, host)
        self.plan: Plan = planner.plan(config, self.bundle, host, live, self.cgroup)
        self.limits_memory = bool(config.get("linux", {}).get("resources", {}).get("memory", {}).get("limit"))
        self.done: list[Step] = []
        self.record: Record | None = None


def group(container: str, config: Spec, host: Host) -> Cgroup:
    """Return the control group of a container (which may not exist yet): ``tinybox/ID`` in every hierarchy it needs."""
    resources = config.get("linux", {}).get("resources", {})
    needed = {"devices"} | {setting.controller for setting in settings(resources, host.hierarchies)}
    return Cgroup(f"tinybox/{container}", host.hierarchies, needed)


def run(container: Container) -> Ending:
    """Create, start, wait and delete: one container in the foreground. Whatever happens, nothing half-made is left."""
    with monitor.Signals() as signals:
        try:
            create(container)
            start(container)
            ending = monitor.watch(container, signals)
        except BaseException:
            discard(container)
            raise
        stop(container, ending)
        return ending


def create(container: Container) -> None:
    """Do everything short of starting the program: the state is then ``created``, and the child waits for its word."""
    container.record = record = state.own(container.home, container.id)
    record.write(
        ociVersion=spec.OCI_VERSION,
        id=container.id,
        status=state.CREATING,
        bundle=container.bundle,
        annotations=container.annotations,
        name=container.name,
    )
    state.reserve_name(container.home, container.name, container.id)
    state.show_name(container.home, container.name, container.id)
    make_bundle(container)
    for step in container.plan.parent:
        container.done.append(step)
        step.run()
    container.live.close_trees()
    record.write(status=state.CREATED, pid=container.live.pid)


def start(container: Container) -> None:
    """Let the program begin; returns when execve(2) has succeeded, raises 126 or 127 when it has not."""
    spawn.start(container.live)
    assert container.record is not None  # noqa: S101  create() has set it
    container.record.write(status=state.RUNNING, startedAt=state.now())


def stop(container: Container, ending: Ending) -> None:
    """Record the end and take back what the container had while it lived; with ``--rm`` also all that it wrote."""
    spawn.kill(container.live)
    container.cgroup.kill()
    container.live.close()
    container.cgroup.remove()
    record = container.record
    assert record is not None  # noqa: S101  create() has set it
    if container.annotations.get(spec.REMOVE):
        delete(container.home, container.id, container.name)
    else:
        record.write(
            status=state.STOPPED,
            pid=0,
            finishedAt=state.now(),
            exitCode=ending.status,
            oomKilled=ending.out_of_memory,
        )
    record.close()


def discard(container: Container) -> None:
    """Undo a container that never ran, from the last step made back to the first, and forget it."""
    spawn.kill(container.live)
    for step in reversed(container.done):
        if step.undo is not None:
            step.undo()
    container.done.clear()
    container.live.close()
    if container.record is not None:
        delete(container.home, container.id, container.name)
        container.record.close()


def delete(home: Home, container: str, name: str) -> None:
    """Remove a stopped container: its name, its config.json and everything it wrote."""
    state.release_name(home, name, container)
    state.remove_tree(home.bundle(container))


def make_bundle(container: Container) -> None:
    """Make the bundle on disk: config.json, an empty writable layer, and a place to mount the root on."""
    os.mkdir(container.bundle, 0o711)
    for name in ("upper", "work", container.config["root"]["path"]):
        os.mkdir(os.path.join(container.bundle, name), 0o755)
    spec.save(container.config, container.bundle)


def sweep(home: Home, host: Host) -> list[str]:
    """Clean up after every tinybox process that was killed: end and record what it watched; return the ids.

    A living container's watcher holds its lock; one whose lock can be had has none any more. See flock(2).
    """
    swept = []
    for container in home.living():
        record = state.inherit(home, container)
        if record is not None:
            _bury(home, host, record)
            swept.append(container)
    return swept


def _bury(home: Home, host: Host, record: Record) -> None:
    """End a container whose watcher has died. How its program ended nobody has seen: its status is unknown."""
    orphaned = Cgroup(f"tinybox/{record.id}", host.hierarchies, host.hierarchies.v1)
    orphaned.kill()
    orphaned.remove()
    before, annotations = record.state.get("status", state.CREATING), record.state.get("annotations", {})
    lived = before == state.RUNNING and os.path.exists(os.path.join(home.bundle(record.id), "config.json"))
    if annotations.get(spec.REMOVE) or not lived:
        delete(home, record.id, record.state.get("name", ""))
    else:
        record.write(status=state.STOPPED, pid=0, finishedAt=state.now(), exitCode=None)
    record.close()
