"""Why a runtime makes mounts private first: mount propagation.

Under systemd the host's mounts are shared: a new mount in one mount namespace appears in the peers of its parent mount,
also in other namespaces. A runtime that does not make the mounts private before it mounts a box's /proc mounts it over
the host's, too. When the box's pid namespace ends, the host's /proc is empty. And pivot_root(2) refuses a shared root.
In this lab all of it happens in an outer mount namespace that stands for the host, and is discarded.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from tinybox.isolation import mounts
from tinybox.lab import look
from tinybox.lab.course import Lab
from tinybox.linux import mount, proc, process

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

PLACE = b"/tmp"  # in the outer namespace: the new root, which has to be a mount


def host(private: bool) -> dict[str, Any]:
    """Act as a host with shared mounts: let a box mount its /proc there; return whether this /proc still works."""
    process.unshare(process.CLONE_NEWNS)
    mounts.make_private()  # first of all, so that nothing reaches the real host
    mount.mount_setattr(mount.AT_FDCWD, b"/", mount.AT_RECURSIVE, propagation=mount.MS_SHARED)
    fields = next(one.fields for one in proc.mountinfo(look.text("/proc/self/mountinfo")) if one.point == "/")
    reading, writing = os.pipe()
    process.unshare(process.CLONE_NEWPID)
    child = os.fork()  # the first process of a new pid namespace
    if child == 0:
        os.write(writing, box(private).encode())
        os._exit(0)
    os.waitpid(child, 0)
    pivot = os.read(reading, 100).decode()
    return {"fields": " ".join(fields), "pivot": pivot, "self": alive()}


def box(private: bool) -> str:
    """Act as the box: make the mounts private or not, mount /proc, call pivot_root(2); return "done" or the errno."""
    process.unshare(process.CLONE_NEWNS)
    if private:
        mounts.make_private()
    mount.mount(b"proc", b"/proc", b"proc", 0, b"")
    mount.mount(b"tmpfs", PLACE, b"tmpfs", 0, b"")
    try:
        mount.pivot_root(PLACE, PLACE)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def alive() -> bool:
    """Return whether /proc still shows the calling process; see /proc/self in proc(5)."""
    return os.path.exists("/proc/self/status")


def check(bench: Bench, *, feature: bool) -> None:
    """Make a box once with private mounts and once with shared ones, and check the host's /proc afterwards."""
    before = look.text("/proc/self/mountinfo")
    with bench.process(host, feature) as one:
        private = one.receive()
    with bench.process(host, False) as other:
        shared = other.receive()
    bench.saw("the host's /", private["fields"], "optional fields of / in /proc/self/mountinfo")
    for name, seen in (("private", private), ("shared", shared)):
        bench.in_box(f"{name}: pivot_root", seen["pivot"], "pivot_root(2)")
        bench.on_host(f"{name}: /proc/self", "there" if seen["self"] else "gone", "after the box has ended")
    bench.claim("with private mounts, pivot_root(2) works", private["pivot"] == "done")
    bench.claim("and the host keeps its /proc", private["self"])
    bench.claim("with shared mounts, pivot_root(2) fails with EINVAL", shared["pivot"] == "EINVAL")
    bench.claim("and the host's /proc is lost", not shared["self"])
    bench.claim("the mounts of the real host have not changed", look.text("/proc/self/mountinfo") == before)


LAB = Lab(
    question="The host's mounts are shared. A runtime mounts a box's /proc in a new mount namespace and calls"
    " pivot_root(2), without making the mounts private before. What happens?",
    answer="The box's /proc covers the host's, and is empty as soon as the box has ended. And pivot_root(2) fails with"
    " EINVAL, because it refuses to move a shared root.",
    control="the first box leaves the mounts shared, too",
    check=check,
)
