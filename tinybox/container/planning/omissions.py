"""The classic mistakes, on purpose: a plan with a step left out, and with what keeps the host from being hurt by that.

A container is not one wall but many, and what each of them is for shows when it is missing. The box is born in an outer
mount namespace, a throw-away copy of the host's; where it would see the host's files, they are read-only to it.
"""

from __future__ import annotations

import os

from tinybox import explain
from tinybox.container.process import init
from tinybox.container.process.plan import Step
from tinybox.errors import UsageError
from tinybox.isolation import capabilities, mounts, rootfs
from tinybox.linux import capability, mount, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.plan import Plan

OUTER, HOME = "outer", "home"  # among the live namespaces: the throw-away one, and the one to come back to
CHROOT = "chroot"  # not an omission: a worse way to do the same as pivot_root(2)


class Omission:
    """What may be left out: its *name*, the *steps* that go (``*``: all that begin so), what will follow."""

    def __init__(self, name: str, steps: str, warns: str) -> None:
        self.name, self.steps, self.warns = name, steps.split(), warns

    def covers(self, step: Step) -> bool:
        """Tell whether *step* goes with this omission."""
        return any(step.name == word or (word[-1] == "*" and step.name.startswith(word[:-1])) for word in self.steps)


OMISSIONS = {
    omission.name: omission
    for omission in (
        Omission(
            "private-mounts",
            "private-mounts",
            "Mounts are shared as under systemd: what the box mounts appears outside as well, and pivot_root(2) "
            "refuses with EINVAL to move a root that others share.",
        ),
        Omission(
            "pivot",
            "pivot",
            "The new root is mounted, and nobody goes there: the program sees the host's files, runs the host's "
            "programs, and its /proc shows the host's processes.",
        ),
        Omission(
            "proc",
            "mount/proc readonly-paths masked-paths sysctl-*",
            "/proc is the empty directory of the image: ps, top and mount know nothing, and programs that look at "
            "/proc/self fail.",
        ),
        Omission(
            "init",
            "name",
            "The program is PID 1 itself: orphans that end stay zombies, for it does not wait for children that it did "
            "not make; and the kernel drops every signal that it has no handler for, SIGTERM first of all.",
        ),
        Omission(
            "cgroup",
            "cgroup limit-cpu* limit-memory* limit-pids* limit-io* limit-blkio* limit-hugetlb* open-cgroup join-cgroup "
            "device-filter cgroup-namespace mount/sys/fs/cgroup",
            "No limit holds, nobody counts what the box uses, and there is no group by which to freeze or to kill it: "
            "it is counted with tinybox itself. (CAP_MKNOD is taken away: without the device filter, the box could "
            "open the host's disk.)",
        ),
        Omission(
            "caps",
            "bounding-set capabilities",
            "Root in the box has all of root's power: it can mount, trace, set the clock, load modules where nothing "
            "else refuses.",
        ),
        Omission(
            "seccomp",
            "seccomp",
            "All system calls of the kernel are open to the box, among them the old and rarely used ones in which most "
            "holes are found.",
        ),
        Omission(
            "loopback",
            "loopback",
            "The interface lo of the new network stays down: programs that talk to 127.0.0.1 find the network "
            "unreachable.",
        ),
    )
}
WARNS_OF_CHROOT = (
    "chroot(2) changes where names begin, for one process, and nothing else: the host's tree stays in the mount "
    "namespace, and who may call chroot(2) again climbs out by `..`."
)


def named(options: Sequence[str]) -> list[str]:
    """Return the names in *options*, of which each may be several with commas between them."""
    return [name for option in options for name in option.split(",") if name]


def check(names: Sequence[str], *, chroot: bool) -> None:
    """Raise UsageError for what cannot be left out, or not at once without danger for the host."""
    for name in names:
        if name not in OMISSIONS:
            raise UsageError(f"--omit {name}", "cannot be left out", ", ".join(OMISSIONS))
    if chroot and "pivot" in names:
        raise UsageError("--chroot", "is in place of pivot_root(2), which is left out", "give one of the two")
    walls = {"caps", "cgroup"} & set(names)
    if walls and (chroot or "pivot" in names):
        cause = "and a box with the host's files in reach would be no box at all"
        raise UsageError(f"--omit {' '.join(sorted(walls))}", cause, "leave out one wall at a time")


def _check_rights(steps: list[Step]) -> None:
    """Refuse more than docker's default rights where the host's files are in reach: they could undo the guard."""
    ordinary = capability.mask(capabilities.DEFAULT)
    if any(mask & ~ordinary for step in steps if step.name == "capabilities" for mask in step.args):
        cause = "with more than the default capabilities, a box with the host's files in reach would be no box at all"
        raise UsageError("--omit pivot, --chroot", cause, "leave --privileged and --cap-add out")


def omit(plan: Plan, handles: Handles, names: Sequence[str], *, chroot: bool = False) -> None:
    """Leave out of *plan* what *names* say, see OMISSIONS; with *chroot*, take chroot(2) in place of pivot_root(2).

    What protects the host comes in: the outer namespace, and read-only files where the box would see the host's.
    """
    check(names, chroot=chroot)
    if chroot or "pivot" in names:
        _check_rights(plan.child)
    gone = [OMISSIONS[name] for name in names]
    for steps in (plan.parent, plan.child):
        root = next((step.args[0] for step in steps if step.name == "pivot"), b"")
        steps[:] = [step for step in steps if not any(omission.covers(step) for omission in gone)]
        if root and (chroot or "pivot" in names):
            _protect_host(steps, root, chroot=chroot)
    if "cgroup" in names:
        _take_mknod(plan.child)
    for step in plan.child:
        if step.name == "program":
            _change_program(step, names)
    _be_born_outside(plan.parent, handles, shared="private-mounts" in names)


def _place(steps: list[Step], name: str) -> int:
    return next(number for number, step in enumerate(steps) if step.name == name)


def _protect_host(steps: list[Step], root: bytes, *, chroot: bool) -> None:
    says = "For the host's sake: make its files read-only here, and hide its sockets in /run"
    if chroot:
        change = "Let names begin at the new root, and keep the host's"
        steps[_place(steps, "pivot")] = Step(CHROOT, change, "chroot(2)", change_root, root)
        escape = Step("escape", "See whether that holds: climb out, as any root could", "chroot(2)", try_to_escape)
        steps.insert(_place(steps, "find-program"), escape)
    steps.insert(_place(steps, "root") + 1, Step("guard", says, "mount_setattr(2)", guard, root))


def _take_mknod(steps: list[Step]) -> None:
    without = ~capability.mask(["CAP_MKNOD"])
    for step in steps:
        if step.name in ("bounding-set", "capabilities"):
            step.args = tuple(mask & without for mask in step.args)


def _change_program(step: Step, names: Sequence[str]) -> None:
    mode, program, *handles = step.args
    if "seccomp" in names:
        program.filter = b""
    if "init" in names:
        mode, step.says = init.NONE, "Become the program, as PID 1"
    step.args = (mode, program, *handles)


def _be_born_outside(steps: list[Step], handles: Handles, *, shared: bool) -> None:
    says = "For the host's sake: enter a throw-away copy of its mount namespace"
    at = _place(steps, "clone")
    steps.insert(at + 1, Step("home", "Go back to the host's mounts; the child stays", "setns(2)", go_home, handles))
    enter = Step("outer", says, "unshare(2)", enter_outer, handles, shared)
    steps.insert(at, enter.undone_by("setns(2), back into the host's mount namespace", lambda: go_home(handles)))


def enter_outer(handles: Handles, shared: bool) -> None:
    """Enter a copy of the mount namespace that is cut from the host's; see unshare(2) and mount_namespaces(7).

    With *shared*, its mounts are shared among those who will copy it, as the host's are under systemd.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC
    handles.namespace_fds[HOME] = os.open("/proc/self/ns/mnt", flags)
    process.unshare(process.CLONE_NEWNS)
    mounts.make_private()
    if shared:
        mount.mount_setattr(mount.AT_FDCWD, b"/", mount.AT_RECURSIVE, propagation=mount.MS_SHARED)
    handles.namespace_fds[OUTER] = os.open("/proc/self/ns/mnt", flags)


def go_home(handles: Handles) -> None:
    """Be in the host's mount namespace again, in the directory where we were; see setns(2). Twice does no harm."""
    if HOME in handles.namespace_fds:
        here = os.open(".", os.O_PATH | os.O_CLOEXEC)
        process.setns(handles.namespace_fds[HOME], process.CLONE_NEWNS)
        os.fchdir(here)
        os.close(here)


def guard(root: bytes) -> None:
    """Make every mount here read-only but the box's *root*, and cover /run, where sockets are; see mount_setattr(2)."""
    mount.mount_setattr(mount.AT_FDCWD, b"/", mount.AT_RECURSIVE, attr_set=mount.MOUNT_ATTR_RDONLY)
    mount.mount_setattr(mount.AT_FDCWD, root, 0, attr_clr=mount.MOUNT_ATTR_RDONLY)
    if not root.startswith(b"/run/"):
        rootfs.place_over(mounts.new_filesystem(b"tmpfs", b"tmpfs", mounts.Options(["ro", "size=0k"])), "/run")


def change_root(root: bytes) -> None:
    """Let the names of this process begin at *root*; see chroot(2), which changes neither mounts nor directory."""
    os.chroot(root)
    os.chdir("/")


def try_to_escape() -> None:
    """Try the way out that chroot(2) warns of, in a process of its own, and tell what was found there.

    A second chroot, into a directory below, leaves the working directory outside of it: from there ``..`` has no end
    but the true root.
    """
    told, telling = os.pipe()
    if os.fork() == 0:
        try:
            os.chroot("/dev")
            for _ in range(64):
                os.chdir("..")
            os.chroot(".")
            info = os.stat("/")
            os.write(telling, f"{info.st_dev}:{info.st_ino} {len(os.listdir('/'))}".encode())
        finally:
            os._exit(0)
    os.close(telling)
    found = os.read(told, 64).decode()
    os.close(told)
    os.wait()
    if explain.listeners:
        explain.tell("found", (CHROOT, found), None)
