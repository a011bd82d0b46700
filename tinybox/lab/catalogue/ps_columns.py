"""The letters of ps: Ss, R+, SN, Sl, T, Z+ and I.

ps(1) makes its column STAT from a few fields of /proc/PID/stat: the state first, then < or N for the nice value, L for
locked pages, s for the leader of a session, l for more than one thread, + for the foreground of a terminal. State I is
that of idle kernel threads, which no box can see.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

from tinybox.lab import look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.lab.bench import Bench

KERNEL_THREAD = 0x200000  # PF_KTHREAD, of the flags in field 9
PIDS = "/tmp/pids"
PROCESSES = {"leader": "Ss", "busy": "R+", "ended": "Z+", "sleeper": "S", "nice": "SN", "threads": "Sl", "stopped": "T"}


def be_busy() -> None:
    """R: use the CPU."""
    while True:
        pass


def be_nice() -> None:
    """N: lower the own priority, and sleep; see nice(2)."""
    os.nice(5)
    signal.pause()


def have_threads() -> None:
    """l: sleep in two threads; see pthread_create(3)."""
    threading.Thread(target=signal.pause, daemon=True).start()
    signal.pause()


def cast(on_terminal: bool) -> None:
    """In the box, as the leader of a session: make children in the foreground and background; write all pids."""
    acts: dict[str, Callable[[], object]] = {
        "busy": be_busy, "ended": bool, "sleeper": signal.pause, "nice": be_nice, "threads": have_threads,
        "stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    }  # fmt: skip  # bool() returns at once, and the parent does not wait
    pids = {"leader": os.getpid()}
    for name, act in acts.items():
        pids[name] = os.fork()
        if pids[name] == 0:
            act()
            os._exit(0)
        os.setpgid(pids[name], pids["busy"] if name in ("busy", "ended") else 0)
    if on_terminal:
        os.tcsetpgrp(0, pids["busy"])
    with open(f"{PIDS}.new", "w", encoding="utf-8") as file:
        json.dump(pids, file)
    os.rename(f"{PIDS}.new", PIDS)
    signal.pause()


def letters(pid: int) -> str:
    """Return the column STAT of one process, from fields 3, 5, 6, 8, 19 and 20 of its stat, and VmLck of its status."""
    state, group, session, foreground, nice, threads = (look.stat(pid, number) for number in (3, 5, 6, 8, 19, 20))
    locked = look.status(pid, "VmLck") not in ("", "0 kB")
    marks = {"<": int(nice) < 0, "N": int(nice) > 0, "L": locked, "s": session == str(pid), "l": int(threads) > 1}
    marks["+"] = foreground == group
    return state + "".join(mark for mark, has in marks.items() if has)


def kernel_threads() -> tuple[list[str], list[str]]:
    """Return the states of all kernel threads of the host, and those of all other processes."""
    kernel: list[str] = []
    others: list[str] = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            flags = int(look.stat(name, 9))
            (kernel if flags & KERNEL_THREAD else others).append(look.state(name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return kernel, others


def by_ps(text: str) -> dict[int, str]:
    """Return the columns PID and STAT of an output of ps(1), as numbers and letters."""
    rows = (line.split() for line in text.splitlines())
    return {int(row[0]): row[1] for row in rows if len(row) > 1 and row[0].isdigit()}


def check(bench: Bench, *, feature: bool) -> None:
    """Make seven processes on a terminal of the box; compute their letters, and let ps(1) print them on both sides."""
    with bench.box("sh", "-c", "read line") as box:
        stage = box.start(cast, feature, tty=feature)
        bench.until(lambda: os.path.exists(box.path(PIDS)), "the file of the pids")
        inner = json.loads(look.text(box.path(PIDS)))
        numbers = {look.status(pid, "NSpid").split()[-1]: pid for pid in (stage.pid, *look.children(stage.pid))}
        pids = {name: numbers[str(pid)] for name, pid in inner.items()}
        bench.comes(lambda: {name: letters(pid) for name, pid in pids.items()} == PROCESSES, 20 if feature else 0.3)
        seen = {name: letters(pid) for name, pid in pids.items()}
        within = by_ps(box.run("ps", "-o", "pid,stat").output)
        listed = ",".join(map(str, pids.values()))
        host = printed(f"ps -o pid=,stat= -p {listed}")
    for name, pid in pids.items():
        bench.on_host(name, seen[name], f"fields 3, 5, 6, 8, 19, 20 of /proc/{pid}/stat")
        bench.in_box(name, within.get(inner[name], "?"), f"ps -o pid,stat, line {inner[name]}")
    kernel, others = kernel_threads()
    shown = " ".join(f"{kernel.count(letter)} {letter}" for letter in sorted(set(kernel))) or "none in this namespace"
    bench.on_host("kernel threads", shown, "PF_KTHREAD in field 9 of /proc/*/stat; field 3")
    bench.in_box("states that ps shows", " ".join(sorted({stat[0] for stat in within.values()})), "ps -o stat")
    bench.claim("the letters are those of what each process does: " + " ".join(PROCESSES.values()), seen == PROCESSES)
    if host.keys() == set(pids.values()):
        bench.on_host("ps of the host", " ".join(host[pid] for pid in pids.values()), f"ps -o pid=,stat= -p {listed}")
        bench.claim("ps prints what the fields say", host == {pids[name]: letter for name, letter in seen.items()})
    bench.claim(
        "both sides see the same states", all(within.get(inner[name], "?")[0] == seen[name][0] for name in seen)
    )
    if kernel:
        bench.claim("I is the state of kernel threads, and of no other process", "I" in kernel and "I" not in others)
    bench.claim("the box lists none of them", "I" not in {stat[0] for stat in within.values()})


def printed(command: str) -> dict[int, str]:
    """Return what ps(1) of the host prints; empty if the host has none, or one without these options."""
    if not shutil.which("ps"):
        return {}
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    return by_ps(done.stdout)


LAB = Lab(
    question="In the column STAT of ps, a shell has Ss and a busy program R+. What do s and + say? And which processes"
    " have the state I?",
    answer="s: it leads its session (its session is its pid). +: its process group is in the foreground of its"
    " terminal. Both come from fields of /proc/PID/stat. I: kernel threads that are idle; no process of a box is one.",
    control="the processes have no terminal: no foreground, and no + anywhere",
    check=check,
)
