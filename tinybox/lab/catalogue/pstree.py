"""The process tree, and the processes 0, 1 and 2.

Every process has a parent, so all processes form a tree. On the host its root is number 1, init. Beside it is number 2,
kthreadd, the parent of the kernel's own threads. Both were started by 0, which is not a process but the idle loop. In a
box the tree begins at the box's own 1, and number 2 is an ordinary program: kernel threads are not in a box.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

COUNT = 7


def grow() -> None:
    """In the box: make two children and three grandchildren; with init and this program these are seven processes."""
    for grandchildren in (1, 2):
        if os.fork() == 0:
            for _ in range(grandchildren):
                if os.fork() == 0:
                    stay()
            stay()
    inside.send({"2 is": look.text("/proc/2/comm") if os.path.exists("/proc/2/comm") else "nobody", "us": os.getpid()})
    inside.receive_line()


def stay() -> None:
    """Stay until a signal ends this process."""
    while True:
        os.read(os.pipe()[0], 1)


def subtree(pid: int) -> list[int]:
    """Return the pids of a process and all its descendants, from the children files; see proc_tid_children(5)."""
    return [pid, *(below for child in look.children(pid) for below in subtree(child))]


def check(bench: Bench, *, feature: bool) -> None:
    """Walk the tree of a box from the host, and compare the numbers of both sides."""
    kthreadd = look.text("/proc/2/comm") if look.state(2) != "X" else "nobody"
    bench.need(kthreadd == "kthreadd", "this host is a container itself: it cannot see kthreadd")
    with bench.box(grow, pid="private" if feature else "host") as box:
        report = box.receive()
        bench.comes(lambda: len(subtree(box.pid)) == COUNT)
        tree = subtree(box.pid)
        numbers = {pid: look.status(pid, "NSpid").split()[-1] for pid in tree}
    bench.on_host("number 2", kthreadd, "/proc/2/comm")
    threads = bench.on_host("children of number 2", len(look.children(2)), "wc -w /proc/2/task/2/children")
    bench.claim("number 2 of the host is the parent of the kernel's threads", threads > 0)
    bench.in_box("number 2", report["2 is"], "/proc/2/comm")
    bench.on_host(
        "the subtree", " ".join(map(str, tree)), f"pstree -p {tree[0]}; /proc/{tree[0]}/task/{tree[0]}/children"
    )
    bench.in_box("the same processes", " ".join(numbers[pid] for pid in tree), "the last number of NSpid, each")
    bench.claim("there are seven processes", len(tree) == COUNT)
    bench.claim("their numbers in the box are 1 to 7", sorted(map(int, numbers.values())) == list(range(1, COUNT + 1)))
    bench.claim("number 2 is the program, and not kthreadd", report["us"] == 2 and report["2 is"] != "kthreadd")


LAB = Lab(
    question="The host's number 2 is kthreadd, the parent of the kernel's threads. Which process is number 2 in a box?",
    answer="The program: the first process that the box's init has made. The tree of the box begins at its own 1, and"
    " on the host the same processes have other numbers.",
    control="the host's pid namespace (--pid host): the numbers are the host's, and number 2 is kthreadd",
    check=check,
)
