"""The hook steps of a plan: which hooks the parent runs, which the child runs, and when.

After the child has made its mounts, and before it changes its root, it waits: the parent runs the hooks that belong to
the runtime's namespaces, then the child runs those of its own namespaces. The last hooks run in the container, just
before the program.
"""

from __future__ import annotations

import os

from tinybox.container.planning import program
from tinybox.container.process import hooks, init, sync_pipe
from tinybox.container.process.plan import Step
from tinybox.errors import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.spec_types import Hook

_PARENTS = ("prestart", "createRuntime")


def outside(task: Task) -> list[Step]:
    """Plan the parent's hooks, which run while the child waits with its mounts made."""
    steps = of_runtime(task)
    if not steps:
        return []
    return [
        Step("await-mounts", "Wait until the child's mounts are made", "pipe(7)", await_mounts, task.handles),
        *steps,
        Step("go-on", "Let the child go on to its new root", "pipe(7)", task.handles.sync.open_gate, sync_pipe.ON),
    ]


def of_runtime(task: Task) -> list[Step]:
    """Plan the hooks that run in the runtime's namespaces when those of the container exist."""
    return _steps(task, _hooks(task, *_PARENTS), "creating", hooks.Place(task.bundle))


def before_pivot(task: Task) -> list[Step]:
    """Plan the child's side: wait for the parent's hooks, then run its own, in the root's directory.

    With such hooks, the child erases its environment after them; see planner.py.
    """
    steps, own = [], _hooks(task, "createContainer")
    if _hooks(task, *_PARENTS):
        says = "Report to the parent that all is mounted, and wait for its hooks"
        steps.append(Step("mounted", says, "pipe(7)", report_mounts, task.handles))
    steps += _steps(task, own, "creating", hooks.Place(os.fsdecode(task.root)))
    return [*steps, *(program.erase_environment(task) if own else ())]


def before_program(task: Task) -> list[Step]:
    """Plan the hooks that run in the container after `start`, as the program: its user, its environment, its filter."""
    environment = dict(line.partition("=")[::2] for line in task.process.get("env", []))
    place = hooks.Place("", environment, task.handles.sync.report, inside(task))
    return _steps(task, _hooks(task, "startContainer"), "created", place)


def inside(task: Task) -> Callable[[str, list[str], dict[str, str]], NoReturn]:
    """Return a function that executes a file of the box as the program is executed: with the same confinement."""

    def execute(path: str, args: list[str], env: dict[str, str]) -> NoReturn:
        init.jump(task.confinement, task.handles, path, args, env)

    return execute


def _hooks(task: Task, *kinds: str) -> list[tuple[str, Hook]]:
    listed = task.config.get("hooks", {})
    return [(f"{kind}[{number}]", hook) for kind in kinds for number, hook in enumerate(listed.get(kind, []))]


def _steps(task: Task, named: list[tuple[str, Hook]], status: str, place: hooks.Place) -> list[Step]:
    return [
        Step(f"hook-{name}", f"Run the hook {hook['path']}", "execve(2)",
             run, task, f"hooks.{name}", hook, status, place)
        for name, hook in named
    ]  # fmt: skip


def run(task: Task, name: str, hook: Hook, status: str, place: hooks.Place) -> None:
    """Run one hook with the container's present state; see OCI's runtime.md.

    The pid in the state is the one in the hook's own pid namespace: the parent uses the child's pid, the child uses its
    own.
    """
    pid = task.handles.pid if task.handles.pidfd >= 0 else os.getpid()  # the child has no pidfd of itself
    state = hooks.state_of(task.container, status, pid, task.bundle, task.annotations)
    hooks.run(f"{name} {hook['path']}", hook, state, place)


def await_mounts(handles: Handles) -> None:
    """Wait until the child has made its mounts; see pipe(7)."""
    if not handles.sync.receive():
        raise StepError("container process", "ended before its mounts were made", "killed, or out of memory")


def report_mounts(handles: Handles) -> None:
    """Report to the parent that the mounts are made, and wait until it sends `on`; see pipe(7)."""
    handles.sync.send(sync_pipe.MOUNTED)
    handles.sync.wait(sync_pipe.ON)
