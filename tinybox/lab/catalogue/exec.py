"""Fork, exec and spawn: a new process, a new program, or both at once.

fork(2) makes a new process with the old program. execve(2) puts a new program into the old process, which keeps its pid
and its start time. Most programs need both, and posix_spawn(3) does both without a copy: by a clone(2) that shares the
memory and stops the parent until the child has called execve(2).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.lab import inside, look, tracing
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.tracing import Call

CLONE_VM, CLONE_VFORK, CLONE_NEW = 0x100, 0x4000, 0x7E020080
NUMBERS = {"x86_64": (56, 435), "aarch64": (220, 435)}  # clone(2) and clone3(2)


def become_sleep(forks: bool) -> None:
    """In the box: after a line from the lab, execute sleep(1), in this process or in a child; see execve(2)."""
    inside.send(os.getpid())
    inside.receive_line()
    if forks and os.fork():
        os.read(0, 1)
    os.execv("/bin/sleep", ["sleep", "1000"])


def spawn_flags(machine: str) -> None:
    """In the box: trace a posix_spawn(3), and send the flags of its clone(2) to the lab."""
    clone, clone3 = NUMBERS[machine]
    flags: list[int] = []

    def see(call: Call) -> None:
        if call.number == clone:
            flags.append(call.arguments[0])
        elif call.number == clone3:
            flags.append(call.word(0))  # the first field of struct clone_args

    tracing.traced(lambda: os.posix_spawn("/bin/true", ["true"], {}), see)
    inside.send(flags)


def portrait(pid: int) -> tuple[str, str]:
    """Return the program that a process runs, and its start time in clock ticks after boot."""
    return os.readlink(f"/proc/{pid}/exe"), look.stat(pid, 22)


def check(bench: Bench, *, feature: bool) -> None:
    """Read exe and start time of a process before and after it calls execve(2), and the flags of posix_spawn(3)."""
    bench.need(tracing.allowed(), "this host allows no ptrace(2)")
    with bench.box(become_sleep, not feature) as box:
        inner = box.receive()
        exe, born = portrait(box.program)
        bench.on_host("before: exe", exe, f"readlink /proc/{box.program}/exe")
        bench.on_host("before: starttime", born, f"field 22 of /proc/{box.program}/stat")
        box.send_line("become sleep")
        sleeper = bench.until(
            lambda: [
                pid for pid in (box.program, *look.children(box.program)) if look.text(f"/proc/{pid}/comm") == "sleep"
            ],
            "sleep(1)",
        )[0]
        exe_after, born_after = portrait(sleeper)
        bench.on_host("after: exe", exe_after, f"readlink /proc/{sleeper}/exe")
        bench.on_host("after: starttime", born_after, f"field 22 of /proc/{sleeper}/stat")
        bench.in_box("before: pid", inner, "getpid(2)")
        later = bench.in_box("after: pid", int(look.status(sleeper, "NSpid").split()[-1]), "NSpid")
        guest = box.start(spawn_flags, os.uname().machine)
        flags = guest.receive()[-1]
        names = [name for name, bit in (("CLONE_VM", CLONE_VM), ("CLONE_VFORK", CLONE_VFORK)) if flags & bit]
        bench.in_box(
            "posix_spawn", f"clone({'|'.join(names)}), flags {flags:#x}", "strace -f -e clone,clone3; ptrace(2)"
        )
    bench.claim("the program is another one", exe_after != exe)
    bench.claim("the process is the same: its pid and its start time", (later, born_after) == (inner, born))
    bench.claim("posix_spawn shares memory and stops the parent: CLONE_VM and CLONE_VFORK", len(names) == 2)
    bench.claim("and makes no new namespaces", not flags & CLONE_NEW)


LAB = Lab(
    question="A process executes another program. Which of these change: its pid, its start time, its exe?",
    answer="Only the program: exe. The process stays, with its pid and its start time. posix_spawn is fork and exec in"
    " one: clone with CLONE_VM|CLONE_VFORK, so nothing is copied, and the parent waits until the child has executed.",
    control="the process forks first, and the child executes: another pid, another start time",
    check=check,
)
