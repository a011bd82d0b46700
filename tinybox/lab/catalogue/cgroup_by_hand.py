"""A control group by hand: mkdir, write a limit, join.

There is no system call for control groups. A group is a directory, which the kernel fills with files at mkdir(2);
a limit is a number in one of these files; a process joins when its pid is written to cgroup.procs. Children are
born in the group of their parent. In version 2 there is one tree, and a group offers its children only the controllers
that are named in its cgroup.subtree_control; in version 1 each controller has a tree of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from typing import TYPE_CHECKING

from tinybox.isolation.cgroups import files
from tinybox.lab import inside, look
from tinybox.lab.course import Lab
from tinybox.linux import process

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

LIMIT, ENOUGH, BOXED = 5, 20, 77
NAME = "by-hand-"


def fork_many(most: int) -> None:
    """On the host: after a line, fork until fork(2) fails, or *most* children exist; they end with this process."""
    inside.send("ready")
    inside.receive_line()
    children, refusal, parent = 0, "none", os.getpid()
    while children < most and refusal == "none":
        try:
            child = os.fork()
        except OSError as error:
            refusal = errno.errorcode[error.errno or 0]
        else:
            children += 1
            if child == 0:
                process.set_parent_death_signal(signal.SIGKILL)
                while os.getppid() == parent:  # it is not, if the parent was killed before that line
                    signal.pause()
                os._exit(0)
    inside.send([children, refusal])
    signal.pause()


def make(path: str) -> None:
    """Make the group, and remove those of labs that were killed: their names end with the pid of the lab; mkdir(2)."""
    os.makedirs(path)
    for name in os.listdir(os.path.dirname(path)):
        if name.startswith(NAME) and not os.path.exists(f"/proc/{name.removeprefix(NAME)}"):
            with contextlib.suppress(OSError):
                os.rmdir(f"{os.path.dirname(path)}/{name}")


def remove(path: str) -> None:
    """Remove the group and, if it is the last one there, the directory of tinybox's groups; see rmdir(2)."""
    files.remove_tree(path, time.monotonic() + 10)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))


def group_of(pid: int, version: int) -> str:
    """Return the group of a process in the tree of version 2, or in that of the controller pids; see cgroups(7)."""
    rows = [line.split(":", 2) for line in look.text(f"/proc/{pid}/cgroup").splitlines()]
    return next(path for _, names, path in rows if names.split(",").count("pids" if version == 1 else ""))


def why_not_rmdir(path: str) -> str:
    """Try to remove a group, and return the name of the errno."""
    try:
        os.rmdir(path)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "removed"


def check(bench: Bench, *, feature: bool) -> None:
    """Make a group beside that of a box, write its limit, move a process into it, and let the process fork."""
    with bench.box("sleep", "1000", pids_limit=str(BOXED)) as box:
        box_group = box.container.cgroup
        version, directory = box_group.hierarchies.version("pids"), str(box_group.directory("pids"))
        parent = os.path.dirname(directory)
        boxed = (box_group.read("pids", "pids.max") or "none").strip()
        bench.on_host("limit of a box", boxed, f"cat {directory}/pids.max")
        if version == 2:
            bench.on_host("parent offers", look.text(f"{parent}/cgroup.subtree_control"), "cgroup.subtree_control")
        mine = bench.on_host(f"new group G, in version {version}", f"{parent}/{NAME}{os.getpid()}", "G=...; mkdir $G")
        make(mine)
        bench.closing(lambda: remove(mine))
        made = bench.on_host("files in it", len(os.listdir(mine)), "ls $G | wc -l")
        first = bench.on_host("its limit", look.text(f"{mine}/pids.max"), "cat $G/pids.max")
        files.write(f"{mine}/pids.max", str(LIMIT))
        bench.on_host(
            "its limit, written", look.text(f"{mine}/pids.max"), f"echo {LIMIT} > $G/pids.max; cat $G/pids.max"
        )
        with bench.process(fork_many, ENOUGH) as guest:
            guest.receive()
            if feature:
                files.write(f"{mine}/cgroup.procs", str(guest.pid))
            place = group_of(guest.pid, version)
            bench.on_host(
                "group of a process", place, f"echo {guest.pid} > $G/cgroup.procs; cat /proc/{guest.pid}/cgroup"
            )
            guest.send_line("fork")
            children, refusal = guest.receive()
            members = bench.on_host("members", len(files.processes(mine)), "wc -l < $G/cgroup.procs")
            bench.on_host("its children, then errno", f"{children}, {refusal}", "fork(2), again and again")
            busy = bench.on_host("rmdir while it has members", why_not_rmdir(mine), "rmdir $G")
    bench.claim("mkdir alone made the files, and the limit was max", made > 1 and first == "max")
    bench.claim("the process is in the group, after one write", place.endswith(f"/{os.path.basename(mine)}"))
    bench.claim("its children were born there", members == children + 1)
    bench.claim(f"with {LIMIT} processes fork(2) fails with EAGAIN", (children + 1, refusal) == (LIMIT, "EAGAIN"))
    bench.claim("a group with members cannot be removed: EBUSY", busy == "EBUSY")
    bench.claim("a box is limited by the same file, with the number of --pids-limit", boxed == str(BOXED))


LAB = Lab(
    question=f"You make a directory below /sys/fs/cgroup, and write {LIMIT} to one of its files. Which file do you"
    " write next, to limit a process that runs already? And what happens to the children that it makes?",
    answer="Its pid, to cgroup.procs. Its children are born in the group and count, too: with five processes fork(2)"
    " fails with EAGAIN. mkdir, write, join is all that tinybox does for --pids-limit.",
    control="the process does not join: the group and its limit exist, and nothing is limited",
    check=check,
)
