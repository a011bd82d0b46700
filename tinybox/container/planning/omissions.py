"""run --omit and run --chroot: a plan without some of its steps, changed so that the host cannot be damaged.

A container has several walls, and the purpose of each one is seen when it is missing. To protect the host, the box is
made in an outer mount namespace, which is a temporary copy of the host's. If the box can reach the host's files, they
are read-only.
"""

from __future__ import annotations

import os

from tinybox import explain
from tinybox.container.process import child, init
from tinybox.container.process.plan import Step
from tinybox.errors import UsageError
from tinybox.isolation import capabilities, mounts, rootfs
from tinybox.linux import capability, mount, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.plan import Plan
    from tinybox.isolation.confinement import Confinement

OUTER, HOME = "outer", "home"  # keys of Handles.namespace_fds: the temporary namespace, and the host's to return to
CHROOT = "chroot"  # not an omission: chroot(2) in place of pivot_root(2), which is less safe


class Omission:
    """One wall that may be left out: its *name*, its *steps* (``a*``: all that begin with ``a``), and a warning."""

    def __init__(self, name: str, steps: str, warns: str) -> None:
        self.name, self.steps, self.warns = name, steps.split(), warns

    def covers(self, step: Step) -> bool:
        """Return whether *step* is left out by this omission."""
        return any(step.name == name or (name[-1] == "*" and step.name.startswith(name[:-1])) for name in self.steps)


OMISSIONS = {
    omission.name: omission
    for omission in (
        Omission(
            "private-mounts",
            "private-mounts",
            "Mounts are shared, as under systemd: mounts of the box appear outside as well, and pivot_root(2) fails "
            "with EINVAL, because it does not move a root whose mount is shared.",
        ),
        Omission(
            "pivot",
            "pivot sysctl-*",
            "The new root is mounted, but no process changes to it: the program sees the host's files, runs the host's "
            "programs, and its /proc shows the host's processes. (No kernel parameter is set in it: it is read-only.)",
        ),
        Omission(
            "proc",
            "mount/proc readonly-paths masked-paths sysctl-*",
            "/proc is the empty directory of the image: ps, top and mount show nothing, and programs that read "
            "/proc/self fail.",
        ),
        Omission(
            "init",
            "name",
            "The program is PID 1 itself: orphans that end stay zombies, because it does not wait for children that it "
            "did not make; and the kernel drops every signal for which it has no handler, for example SIGTERM.",
        ),
        Omission(
            "cgroup",
            "cgroup limit-cpu* limit-memory* limit-pids* limit-io* limit-blkio* limit-hugetlb* open-cgroup join-cgroup "
            "device-filter cgroup-namespace mount/sys/fs/cgroup",
            "The box has no limits, its use of resources is counted as tinybox's own, and there is no group by which "
            "it could be frozen or killed. (CAP_MKNOD is removed: without the device filter, the box could open the "
            "host's disk.)",
        ),
        Omission(
            "caps",
            "bounding-set capabilities",
            "Root in the box has all of root's rights: it can mount, trace, set the clock, and load modules, if no "
            "other wall prevents it.",
        ),
        Omission(
            "seccomp",
            "seccomp",
            "The box can make all system calls of the kernel, also the old and rarely used ones in which most security "
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
    "chroot(2) changes only where path names of one process begin: the host's files stay in the mount namespace, and a "
    "process that may call chroot(2) again gets back to them by `..`."
)


def named(options: Sequence[str]) -> list[str]:
    """Return the names in *options*; each option may have several names, separated by commas."""
    return [name for option in options for name in option.split(",") if name]


def check(names: Sequence[str], *, chroot: bool) -> None:
    """Raise UsageError for a name that cannot be left out, and for combinations that would endanger the host."""
    for name in names:
        if name not in OMISSIONS:
            raise UsageError(f"--omit {name}", "cannot be left out", ", ".join(OMISSIONS))
    if chroot and "pivot" in names:
        raise UsageError("--chroot", "replaces pivot_root(2), which --omit pivot leaves out", "give one of the two")
    walls = {"caps", "cgroup"} & set(names)
    if walls and (chroot or "pivot" in names):
        cause = "cannot be combined with --omit pivot or --chroot, by which the box can reach the host's files"
        raise UsageError(f"--omit {' '.join(sorted(walls))}", cause, "leave out one wall at a time")


def _check_rights(steps: list[Step]) -> None:
    """Refuse more than docker's default capabilities if the box can reach the host's files: guard() would not hold."""
    ordinary = capability.mask(capabilities.DEFAULT)
    if any(step.args[0] & ~ordinary for step in steps if step.name == "capabilities"):
        cause = "with more than the default capabilities, a box that can reach the host's files would be no box at all"
        raise UsageError("--omit pivot, --chroot", cause, "leave out --privileged and --cap-add")


def omit(plan: Plan, handles: Handles, names: Sequence[str], *, chroot: bool = False) -> None:
    """Remove the steps of *names* from *plan*, see OMISSIONS; with *chroot*, replace pivot_root(2) by chroot(2).

    Add steps that protect the host: the outer mount namespace, and read-only mounts if the box can reach the host's
    files.
    """
    check(names, chroot=chroot)
    if chroot or "pivot" in names:
        _check_rights(plan.child)
    omitted = [OMISSIONS[name] for name in names]
    for steps in (plan.parent, plan.child):
        root = next((step.args[0] for step in steps if step.name == "pivot"), b"")
        steps[:] = [step for step in steps if not any(omission.covers(step) for omission in omitted)]
        if root and (chroot or "pivot" in names):
            _protect_host(steps, root, chroot=chroot)
    if "cgroup" in names:
        _drop_mknod(plan.child)
    _change_program(plan.child[_place(plan.child, "program")], plan.child, names)
    _clone_in_outer(plan.parent, handles, shared="private-mounts" in names)


def _place(steps: list[Step], name: str) -> int:
    return next(number for number, step in enumerate(steps) if step.name == name)


def _protect_host(steps: list[Step], root: bytes, *, chroot: bool) -> None:
    says = "Protect the host: make its files read-only here, and hide its sockets in /run"
    if chroot:
        change = "Begin path names at the new root; the host's files stay mounted"
        steps[_place(steps, "pivot")] = Step(CHROOT, change, "chroot(2)", change_root, root)
        escape = Step("escape", "Try to leave the new root, as any root user could", "chroot(2)", try_to_escape)
        steps.insert(_place(steps, "find-program"), escape)
    steps.insert(_place(steps, "root") + 1, Step("guard", says, "mount_setattr(2)", guard, root))


def _drop_mknod(steps: list[Step]) -> None:
    without = ~capability.mask(["CAP_MKNOD"])
    for step in steps:
        if step.name in ("bounding-set", "capabilities"):
            step.args = tuple(mask & without for mask in step.args)
        if step.name == "program" and step.args[1].confinement:
            step.args[1].confinement.remove(~without)


def _change_program(step: Step, steps: list[Step], names: Sequence[str]) -> None:
    mode, program, handles = step.args
    if "seccomp" in names and program.confinement:
        _forget_filter(program.confinement, steps)
    if "caps" in names and program.confinement:
        program.confinement.sets = None
    if "init" in names:
        mode, step.says = init.NONE, "Become the program, as PID 1"
    if {"seccomp", "init"} & set(names):  # then PID 1 has no filter of its own, for which the trampoline would wait
        steps[:] = [other for other in steps if other.name not in ("start-trampoline", "seccomp")]
        close = steps[_place(steps, "close")]
        close.act, close.args = child.close_gate, (handles,)
    step.args = (mode, program, handles)


def _forget_filter(limit: Confinement, steps: list[Step]) -> None:
    """Install no filter, and keep no capability for it."""
    for step in steps:
        if limit.sets is not None and step.name == "bounding-set":
            step.args = (step.args[0], 0)
        elif limit.sets is not None and step.name == "capabilities":
            effective, permitted, inheritable = limit.sets
            step.args = (effective, permitted, inheritable, step.args[3] & inheritable)
    limit.program, limit.sets = b"", None


def _clone_in_outer(steps: list[Step], handles: Handles, *, shared: bool) -> None:
    says = "Protect the host: enter a temporary copy of its mount namespace"
    at = _place(steps, "clone")
    back = "Return to the host's mount namespace; the child stays"
    steps.insert(at + 1, Step("home", back, "setns(2)", go_home, handles))
    enter = Step("outer", says, "unshare(2)", enter_outer, handles, shared)
    steps.insert(at, enter.undone_by("setns(2), back into the host's mount namespace", lambda: go_home(handles)))


def enter_outer(handles: Handles, shared: bool) -> None:
    """Enter a copy of the mount namespace, with no propagation to the host; see unshare(2), mount_namespaces(7).

    With *shared*, its mounts are shared with later copies of it, as the host's mounts are under systemd.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC
    handles.namespace_fds[HOME] = os.open("/proc/self/ns/mnt", flags)
    process.unshare(process.CLONE_NEWNS)
    mounts.make_private()
    if shared:
        mount.mount_setattr(mount.AT_FDCWD, b"/", mount.AT_RECURSIVE, propagation=mount.MS_SHARED)
    handles.namespace_fds[OUTER] = os.open("/proc/self/ns/mnt", flags)


def go_home(handles: Handles) -> None:
    """Return to the host's mount namespace and keep the working directory; see setns(2). It may be called twice."""
    if HOME in handles.namespace_fds:
        here = os.open(".", os.O_PATH | os.O_CLOEXEC)
        process.setns(handles.namespace_fds[HOME], process.CLONE_NEWNS)
        os.fchdir(here)
        os.close(here)


def guard(root: bytes) -> None:
    """Make every mount read-only except the box's *root*, and cover /run, which has sockets; see mount_setattr(2)."""
    mount.mount_setattr(mount.AT_FDCWD, b"/", mount.AT_RECURSIVE, attr_set=mount.MOUNT_ATTR_RDONLY)
    mount.mount_setattr(mount.AT_FDCWD, root, 0, attr_clr=mount.MOUNT_ATTR_RDONLY)
    if not root.startswith(b"/run/"):
        rootfs.place_over(mounts.new_filesystem(b"tmpfs", b"tmpfs", mounts.Options(["ro", "size=0k"])), "/run")


def change_root(root: bytes) -> None:
    """Let path names of this process begin at *root*; chroot(2) changes neither mounts nor the working directory."""
    os.chroot(root)
    os.chdir("/")


def try_to_escape() -> None:
    """Try the escape that chroot(2) warns of, in another process, and emit an event with what that process found.

    A second chroot, into a directory below, leaves the working directory outside of the new root. From there, ``..``
    ends only at the real root.
    """
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.chroot("/dev")
            for _ in range(64):
                os.chdir("..")
            os.chroot(".")
            info = os.stat("/")
            os.write(writing, f"{info.st_dev}:{info.st_ino} {len(os.listdir('/'))}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    found = os.read(reading, 64).decode()
    os.close(reading)
    os.wait()
    if explain.listeners:
        explain.report("found", (CHROOT, found), None)
