"""System calls: where a program enters the kernel, and how often.

A program computes by itself, in user mode; for everything else it calls the kernel. While it waits in a system call,
/proc/PID/syscall shows the number of the call, and wchan the function of the kernel in which it sleeps. Output is a
system call, too: five lines that are echoed one by one are five calls of write(2).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.lab import inside, look, tracing
from tinybox.lab.course import Lab
from tinybox.linux import syscalls

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

SLEEPER, SPINNER = "exec sleep 1000", "while :; do :; done"
FIVE = "read go; echo 1; echo 2; echo 3; echo 4; echo 5; read go"
ONE = "read go; printf '1\\n2\\n3\\n4\\n5\\n'; read go"
READING = ("read", "poll", "ppoll")  # the calls in which the shell waits for a line; aarch64 has no poll(2)
LINES = ["1", "2", "3", "4", "5"]


def call_of(pid: int) -> str:
    """Return the name of the system call in which a process is, or ``running``; see proc_pid_syscall(5)."""
    number = look.text(f"/proc/{pid}/syscall").split()[0]
    names = {str(value): name for name, value in syscalls.numbers_of(os.uname().machine).items()}
    return names.get(number, number)


def writes(pid: int) -> int:
    """Return how many calls of write(2) and similar calls a process has made: syscw; see proc_pid_io(5)."""
    counted = dict(line.split(": ") for line in look.text(f"/proc/{pid}/io").splitlines())
    return int(counted["syscw"])


def hello() -> None:
    """In the box: trace `echo hello`, and send the names of its system calls; see ptrace(2)."""
    seen: list[int] = []
    tracing.traced(lambda: os.execv("/bin/echo", ["echo", "hello"]), lambda call: seen.append(call.number))
    names = {number: name for name, number in syscalls.numbers_of(os.uname().machine).items()}
    inside.send([names.get(number, str(number)) for number in seen])


def calls_of_hello(bench: Bench) -> None:
    """Count the system calls of a program that prints one line."""
    with bench.box(hello) as box:
        printed, calls = box.read_line(), box.receive()
    after = calls[calls.index("execve") + 1 :]
    bench.in_box("`echo hello` makes", f"{len(after)} calls: {' '.join(after)}", "strace echo hello; ptrace(2)")
    bench.text_says("Hello World makes no system calls", f"`echo {printed}` made {len(after)}, among them"
                    f" {after.count('write')} write and {after[-1]}", refuted="write" in after)  # fmt: skip


def sleeps(bench: Bench, script: str) -> str:
    """Return the call in which a box's program is, after the shell has started it."""
    with bench.box("sh", "-c", script) as box:
        pid = bench.until(lambda: box.program, "the program")
        if script == SPINNER:
            bench.until(lambda: look.seconds(pid) > 0.1, "the spinner's work")
        else:
            bench.comes(lambda: "nanosleep" in call_of(pid))
        name = bench.on_host("the program is in", call_of(pid), f"/proc/{pid}/syscall")
        bench.on_host("and sleeps in", look.sleeps_in(pid), f"/proc/{pid}/wchan")
    return name


def counted(bench: Bench, script: str) -> tuple[int, list[str]]:
    """Return how many writes a script makes for its five lines, and the lines."""
    with bench.box("sh", "-c", script) as box:
        pid = bench.until(lambda: box.program, "the program")
        bench.until(lambda: call_of(pid) in READING, "the shell's read")
        before = writes(pid)
        box.send_line("go")
        lines = [box.read_line() for _ in LINES]
        bench.until(lambda: call_of(pid) in READING, "the shell's second read")
        made = writes(pid) - before
        bench.in_box("lines", " ".join(lines), script)
        bench.on_host("calls of write(2)", made, f"syscw in /proc/{pid}/io, after and before")
    return made, lines


def check(bench: Bench, *, feature: bool) -> None:
    """Read the call in which a program waits, and count the calls of another program."""
    name = sleeps(bench, SLEEPER if feature else SPINNER)
    made, lines = counted(bench, FIVE if feature else ONE)
    if tracing.allowed():
        calls_of_hello(bench)
    bench.claim("a sleeping program is in nanosleep(2) or clock_nanosleep(2)", name.endswith("nanosleep"))
    bench.claim("all five lines came", lines == LINES)
    bench.claim("five echoes are five calls of write(2)", made == len(LINES))


LAB = Lab(
    question="A program sleeps for 1000 seconds. Where is it? And how many system calls do five echoes take?",
    answer="In the kernel, in clock_nanosleep(2): /proc/PID/syscall has its number. Five echoes are five calls of"
    " write(2).",
    control="a program in a busy loop is in no call; five lines printed at once are one write",
    check=check,
)
