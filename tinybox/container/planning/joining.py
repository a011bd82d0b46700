"""The steps of a box that joins existing namespaces (--pid container:NAME ...); see process/joining.py."""

from __future__ import annotations

from tinybox.container.planning.task import made_by_clone
from tinybox.container.process import joining, spawn
from tinybox.container.process.plan import Step
from tinybox.isolation import namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.planning.task import Task


def open_namespaces(task: Task) -> list[Step]:
    """Plan the parent's steps that open the existing namespaces which the child will join."""
    return [
        Step(f"open-{kind}-namespace", f"Open the {kind} namespace to join", "namespaces(7)",
             joining.open_namespace, task.handles, kind, path)
        for kind, path in task.joined.items()
    ]  # fmt: skip


def joined_early(task: Task) -> list[str]:
    """Return the namespaces that the child joins before it is in a user namespace, or by being made in one."""
    return [kind for kind in task.joined if kind not in ("pid", "mount")]


def clone(task: Task, says: str, flags: int) -> tuple[str, Callable[..., None], int]:
    """Return the sentence, the function and the flags of the step that makes the child; *says* is without joins."""
    if "pid" in task.joined:
        return "Make the child, outside of the pid namespace that it will join", spawn.spawn, 0
    kinds = joined_early(task)
    if not (task.userns and kinds):
        return says, spawn.spawn, flags
    return f"{says}; a helper joins first: {', '.join(kinds)}", joining.spawn_from_inside, flags


def await_namespaces(task: Task) -> list[Step]:
    """Plan the parent's wait until a child that joins a pid namespace has made its own namespaces, if it makes any."""
    if "pid" not in task.joined or not (new := made_by_clone(task)):
        return []
    says = f"Wait until the child has made its namespaces: {', '.join(new)}"
    return [Step("await-namespaces", says, "pipe(7)", joining.await_namespaces, task.handles)]


def adopt(task: Task) -> list[Step]:
    """Plan the parent's steps for a child that joins an existing pid namespace."""
    says = "Wait until the child goes on in the other pid namespace"
    return [
        Step("adopt", says, "clone(2)", joining.adopt, task.handles),
        Step("go-on-inside", "Let the child go on there", "pipe(7)", joining.go_on, task.handles),
    ]


def prepare(task: Task) -> list[Step]:
    """Plan how the child selects an existing pid namespace for its second process, which it makes in its last steps.

    setns(2) needs root's rights on the host for this, so it comes before any user namespace.
    """
    handles, new = task.handles, made_by_clone(task)
    says = "Select the other pid namespace for the next child of this process"
    steps = [Step("join-pid", says, "setns(2)", joining.join_pid_namespace, handles)]
    if task.userns and (kinds := [kind for kind in joined_early(task) if kind != "user"]):
        says = f"Join the other namespaces as the host's root: {', '.join(kinds)}"
        steps.append(Step("join-early", says, "setns(2)", joining.join_namespaces, handles))
    if "user" in task.joined:
        steps.append(join(task, "user"))
    if new:
        says = f"Make new namespaces: {', '.join(new)}"
        steps.append(Step("unshare", says, "unshare(2)", joining.make_namespaces, handles, namespaces.flags(new)))
    return steps


def join(task: Task, kind: str) -> Step:
    """Plan how the child joins an existing namespace of this OCI *kind*."""
    return Step(
        f"join-{kind}", f"Join the other {kind} namespace", "setns(2)", joining.join_namespace, task.handles, kind
    )


def go_inside(task: Task) -> Step:
    """Plan how the child comes into the pid namespace that it joins."""
    says = "Go on in the joined pid namespace"
    return Step("go-inside", says, "clone(2)", joining.enter_pid_namespace, task.handles)
