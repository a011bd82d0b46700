"""Orphans and re-parenting: the new parent of a child whose parent has died.

Every process has a parent, which gets its exit status. When the parent ends first, the kernel gives its children to the
nearest ancestor that is a subreaper; if there is none, to PID 1 of the pid namespace. In a box, this is the box's init,
not the host's.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab
from tinybox.linux import process

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.box import Box


def lose_a_parent(subreaper: bool) -> None:
    """In the box: make a grandchild, and let its parent die after a line from the lab; see prctl(2) for subreapers."""
    if subreaper:
        process.set_child_subreaper()
    parent = os.fork()
    if parent == 0:
        child = os.fork()
        if child == 0:
            signal.pause()  # it must not read stdin: the line from the lab is for its parent
        inside.send([os.getppid(), os.getpid(), child])
        inside.receive_line()
        os._exit(0)
    os.waitpid(parent, 0)
    inside.send("the parent has died")
    os.read(0, 1)


def check(bench: Bench, *, feature: bool) -> None:
    """Read the parent of a process, on both sides, before and after that parent's death."""
    with bench.box(lose_a_parent, not feature) as box:
        grandparent, parent, child = box.receive()
        middle = look.children(box.program)[0]
        orphan = look.children(middle)[0]
        bench.on_host("before", int(look.stat(orphan, 4)), f"field 4 of /proc/{orphan}/stat")
        before = bench.in_box("before", _parent_inside(box, child), f"field 4 of /proc/{child}/stat")
        box.send_line("die")
        box.receive()
        after_outside = bench.on_host("after", int(look.stat(orphan, 4)), f"field 4 of /proc/{orphan}/stat")
        after = bench.in_box("after", _parent_inside(box, child), f"field 4 of /proc/{child}/stat")
        bench.on_host("the box's init, its program", f"{box.pid}, {box.program}", f"/proc/{box.pid}/task/*/children")
        bench.in_box("its grandparent", grandparent, "getppid(2) in its parent")
        init = box.pid
    bench.claim("before, its parent is the process that made it", before == parent)
    bench.claim("afterwards, inside, its parent is number 1", after == 1)
    bench.claim("outside, that is the box's init, not the host's", after_outside == init != 1)


def _parent_inside(box: Box, child: int) -> int:
    fields = box.run("cat", f"/proc/{child}/stat").output.rpartition(") ")[2].split()
    return int(fields[1])


LAB = Lab(
    question="A process in a box dies before its child. Which process is the child's parent then, seen from inside and"
    " from outside?",
    answer="Number 1 inside: the box's init, which has another number on the host. The host's PID 1 adopts no process"
    " of another pid namespace.",
    control="the grandparent is a subreaper (PR_SET_CHILD_SUBREAPER): it adopts the child, and PID 1 does not",
    check=check,
)
