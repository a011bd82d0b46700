"""Why mounts are made private first: propagation.

Under systemd the host's mounts are shared: what is mounted in one namespace appears in its peers, copies of it in other
namespaces included. A runtime that mounts its box's /proc without leaving that circle mounts it over the host's, and
when the box's pid namespace ends the host's /proc is empty. pivot_root(2) refuses a shared root, too. All of it happens
here in an outer mount namespace that plays the host, and is thrown away.
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

PLACE = b"/tmp"  # in the throw-away namespace: the new root, which has to be a mount


def host(private: bool) -> dict[str, Any]:
    """Play a host with shared mounts; let a box mount its /proc there, and return what is left of ours."""
    process.unshare(process.CLONE_NEWNS)
    mounts.make_private()  # of the true host, before anything else
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
    """Be the box: leave the host's mounts, or do not; mount /proc, and try to pivot; return how that was answered."""
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
    """Tell whether /proc still knows the process that asks; see /proc/self in proc(5)."""
    return os.path.exists("/proc/self/status")


def check(bench: Bench, *, feature: bool) -> None:
    """Do it once with private mounts and once with shared ones, and look after the host's /proc."""
    before = look.text("/proc/self/mountinfo")
    with bench.process(host, feature) as one:
        private = one.hear()
    with bench.process(host, False) as other:
        shared = other.hear()
    bench.saw("the host's /", private["fields"], "optional fields of / in /proc/self/mountinfo")
    for name, seen in (("private", private), ("shared", shared)):
        bench.in_box(f"{name}: pivot_root", seen["pivot"], "pivot_root(2)")
        bench.on_host(f"{name}: /proc/self", "there" if seen["self"] else "gone", "after the box has ended")
    bench.claim("private first: pivot_root(2) works", private["pivot"] == "done")
    bench.claim("and the host keeps its /proc", private["self"])
    bench.claim("left shared: pivot_root(2) is refused with EINVAL", shared["pivot"] == "EINVAL")
    bench.claim("and the host's /proc is lost", not shared["self"])
    bench.claim("the true host has noticed nothing", look.text("/proc/self/mountinfo") == before)


LAB = Lab(
    question="The host's mounts are shared. A runtime mounts a box's /proc in a new mount namespace and pivots, without"
    " making the mounts private before. What happens?",
    answer="The box's /proc covers the host's, and is empty as soon as the box has ended; and pivot_root(2) says"
    " EINVAL, for it refuses to move a root that others share.",
    control="the first box leaves the mounts shared, too",
    check=check,
)
