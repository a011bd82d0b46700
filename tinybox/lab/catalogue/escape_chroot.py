"""Why pivot_root and not chroot: the way out by `..`.

chroot(2) changes where paths begin, for one process; the host's tree is still in its mount namespace. A process that
may call chroot(2) again moves its root below its working directory. Then it is outside of its root, and climbs by `..`
to the top of the tree. pivot_root(2) exchanges the top itself: the host's tree is unmounted, and there is no directory
to climb to.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

STEPS = 32  # of ".."; at the top, further steps change nothing


def climb() -> dict[str, Any]:
    """In the box: set a root below the working directory, climb to the top, and return both roots; see chroot(2)."""
    begun = root()
    os.chdir("/")
    os.chroot("/tmp")  # the working directory is still the old root, outside of the new one
    for _ in range(STEPS):
        os.chdir("..")
    os.chroot(".")
    return {"begun": begun, "reached": root()}


def root() -> str:
    """Return device and inode of the root directory, which identify it; see stat(2)."""
    status = os.stat("/")
    return f"{os.major(status.st_dev)}:{os.minor(status.st_dev)} inode {status.st_ino}"


def check(bench: Bench, *, feature: bool) -> None:
    """Climb in a box that was made with pivot_root, and in one that was made with chroot."""
    host = bench.on_host("the root", root(), "stat -c '%d %i' /")
    with bench.box(climb, **({} if feature else {"chroot": True})) as box:
        pivoted = box.receive()
    with bench.box(climb, chroot=True) as box:
        chrooted = box.receive()
    bench.in_box("pivot_root: root", pivoted["begun"], "stat(2) of /")
    bench.in_box("then reached", pivoted["reached"], "chroot /tmp; cd ..; cd .. ...; chroot .")
    bench.in_box("chroot: root", chrooted["begun"], "stat(2) of /")
    bench.in_box("there reached", chrooted["reached"], "the same")
    bench.claim("after pivot_root(2) it ends at the box's root", pivoted["reached"] == pivoted["begun"] != host)
    bench.claim("after chroot(2) it ends at the host's root", chrooted["reached"] == host != chrooted["begun"])


LAB = Lab(
    question="Root in a box calls chroot(2) on a directory and climbs by `..` as far as it can. Where does it end?",
    answer="After pivot_root(2): at the root of the box, because there is nothing above it. After chroot(2): at the"
    " root of the host.",
    control="the first box is made with chroot, too (--chroot)",
    check=check,
)
