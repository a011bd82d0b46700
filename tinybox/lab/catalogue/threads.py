"""Threads: tasks that share one memory and one pid.

To the scheduler a thread is a task like any other: it has a number (tid), a state, a name and a line in /proc/PID/task.
pthread_create(3) makes it by clone(2) with the flags CLONE_VM, CLONE_FILES and CLONE_THREAD: same memory, same
descriptors, same pid. pstree(1) shows threads in braces. The limit on processes counts tasks, so threads, too.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from tinybox.isolation.cgroups import stats
from tinybox.lab import inside, look, tracing
from tinybox.lab.course import Lab
from tinybox.linux import process, user_namespaces

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.tracing import Call

NUMBERS = {"x86_64": (56, 435), "aarch64": (220, 435)}  # clone(2) and clone3(2)
FLAGS = {"CLONE_VM": 0x100, "CLONE_FILES": 0x400, "CLONE_THREAD": 0x10000}
WORKERS = 3
_shelf: list[list[int]] = []  # memory that the workers write to, if it is theirs


def work(number: int) -> None:
    """Take a name, put both own numbers on the shelf, and stay; see gettid(2)."""
    process.set_name(f"worker-{number}".encode())
    _shelf.append([os.getpid(), threading.get_native_id()])
    if os.getpid() == threading.get_native_id():  # a process
        signal.pause()
    threading.Event().wait()


def employ(by_threads: bool) -> None:
    """In the box: start some workers, by pthread_create(3) or by fork(2), and send what is on the shelf."""
    for number in range(1, WORKERS + 1):
        if by_threads:
            threading.Thread(target=work, args=(number,), daemon=True).start()
        elif os.fork() == 0:
            work(number)
    inside.send(os.getpid())
    inside.receive_line()
    inside.send(_shelf)
    inside.receive_line()


def clone_flags(machine: str) -> None:
    """In the box: trace the start of one thread, and send the flags of its clone(2) to the lab; see ptrace(2)."""
    clone, clone3 = NUMBERS[machine]
    flags: list[int] = []

    def see(call: Call) -> None:
        if call.number == clone:
            flags.append(call.arguments[0])
        elif call.number == clone3:
            flags.append(call.word(0))  # the first field of struct clone_args

    tracing.traced(lambda: threading.Thread(target=threading.get_native_id).start(), see)
    inside.send(flags)


def tree(pid: int) -> list[str]:
    """Return the names of a process's threads, in braces, and of its children, as pstree(1) shows them."""
    names = [look.text(f"/proc/{pid}/task/{tid}/comm") for tid in os.listdir(f"/proc/{pid}/task") if tid != str(pid)]
    return sorted(
        [f"{{{name}}}" for name in names] + [look.text(f"/proc/{child}/comm") for child in look.children(pid)]
    )


def names(tasks: list[str]) -> list[str]:
    """Return the names without their braces."""
    return [name.strip("{}") for name in tasks]


def check(bench: Bench, *, feature: bool) -> None:
    """Let a program of the box start three workers, and count processes, tasks and memories."""
    bench.need(tracing.allowed(), "this host allows no ptrace(2)")
    workers = [f"worker-{number}" for number in range(1, WORKERS + 1)]
    limit = {} if user_namespaces.is_rootless() else {"pids_limit": "50"}  # a user without root has no control group
    with bench.box(employ, feature, **limit) as box:
        inner, pid = box.receive(), box.program
        bench.until(lambda: names(tree(pid)) == workers, "the names of the workers")
        drawn, has_pstree = tree(pid), os.path.lexists(box.path("/usr/bin/pstree"))
        bench.comes(lambda: not limit or stats.pids(box.container.cgroup)["pids"] == WORKERS + 2, 5)
        counted = stats.pids(box.container.cgroup)["pids"] if limit else None
        picture = box.run("pstree", str(inner)).output if has_pstree else " ".join(drawn)
        bench.in_box("drawn", picture, f"pstree {inner}" if has_pstree else f"comm in /proc/{inner}/task/*, children")
        tasks = sorted(map(int, os.listdir(f"/proc/{pid}/task")))
        bench.on_host("tasks of the program", tasks, f"ls /proc/{pid}/task")
        bench.on_host("children of the program", look.children(pid), f"/proc/{pid}/task/{pid}/children")
        if limit:
            bench.on_host("tasks in the group, with init", counted, "pids.current of the box's control group")
        box.send_line("the shelf")
        shelf = bench.in_box("in memory: pid and tid of each worker", box.receive(), "getpid(2), gettid(2)")
        flags = box.start(clone_flags, os.uname().machine).receive()[-1]
        flag_names = [name for name, bit in FLAGS.items() if flags & bit]
        bench.in_box("pthread_create", f"clone({'|'.join(flag_names)} ...), {flags:#x}", "strace -f -e clone,clone3")
        other = box.start(employ, feature)
        other.receive()
        victim = max([*map(int, os.listdir(f"/proc/{other.pid}/task")), *look.children(other.pid)])
        os.kill(victim, signal.SIGKILL)
        bench.comes(lambda: look.state(other.pid) in "ZX", 30 if feature else 0.2)
        figure = f"another such program {other.pid}, after kill -9 {victim}"
        end = bench.on_host(figure, look.state(other.pid), "its state: field 3 of stat")
    bench.claim("the workers are tasks of the program, not its children", len(tasks) == WORKERS + 1)
    bench.claim("pstree shows them in braces", drawn == [f"{{{name}}}" for name in workers])
    bench.claim("all have the pid of the program, and each a tid of its own",
                ({one for one, _ in shelf}, len({two for _, two in shelf})) == ({inner}, WORKERS))  # fmt: skip
    bench.claim("what they wrote is in the memory of the program", len(shelf) == WORKERS)
    bench.claim("pthread_create is a clone(2) that shares memory, files and pid", flag_names == list(FLAGS))
    if limit:
        bench.claim("the limit on processes counts every thread", counted == WORKERS + 2)
    bench.claim("SIGKILL to the number of one thread ends the whole process", end in "ZX")


LAB = Lab(
    question="A program starts three threads. How many pids do they have, how many tasks does --pids-limit count, and"
    " what happens if you send SIGKILL to the number of the third thread?",
    answer="One process, with one pid; and four tasks, each with a number of its own (tid), a name and a directory in"
    " /proc/PID/task. pstree shows the threads in braces. The limit counts tasks. kill(2) is about"
    " processes, so the signal ends all four.",
    control="three processes by fork(2): children with pids of their own, and nothing that they write is seen here",
    check=check,
)
