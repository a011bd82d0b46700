"""Exit codes, and which exit handlers run: exit and _exit.

A process ends with eight bits for its parent, or by a signal; the shell shows a signal as 128 plus its number.
exit(3) is a function of the C library: it first calls the handlers that were registered with atexit(3), then _exit(2).
_exit(2) is a system call and calls no handler. SIGKILL calls none, either.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import sys
from typing import TYPE_CHECKING

from tinybox.errors import TinyboxError
from tinybox.lab import inside, tracing
from tinybox.lab.course import Lab
from tinybox.linux import syscalls

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.lab.bench import Bench

_libc = ctypes.PyDLL(None)


def say_goodbye() -> None:
    """Print "handler"; this is the exit handler."""
    os.write(1, b"handler\n")


LAST_WORDS = ctypes.PYFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)(lambda _status, _argument: say_goodbye())


def exit_by_library(code: int) -> None:
    """Register a handler and end by exit(3), which calls it."""
    _libc.on_exit(LAST_WORDS, None)  # as atexit(3), which has no symbol of its own
    _libc.exit(code)


def exit_by_kernel(code: int) -> None:
    """Register a handler and end by _exit(2), which does not call it."""
    _libc.on_exit(LAST_WORDS, None)  # as atexit(3), which has no symbol of its own
    os._exit(code)


def exit_by_signal(number: int) -> None:
    """Register a handler and be ended by a signal."""
    _libc.on_exit(LAST_WORDS, None)  # as atexit(3), which has no symbol of its own
    os.kill(os.getpid(), number)


def returning() -> None:
    """On the host: run a program that registers puts(3) as its exit handler, and whose main() then returns."""
    script = "import ctypes; c = ctypes.CDLL(None); c.strdup.restype = ctypes.c_void_p;"
    script += 'c.__cxa_atexit(c.puts, ctypes.c_void_p(c.strdup(b"handler")), None)'
    os.execv(sys.executable, [sys.executable, "-ISc", script])


def last_calls() -> None:
    """In the box: trace exit(3) and send the number and the argument of the last system call; see ptrace(2)."""
    seen: list[tracing.Call] = []
    tracing.traced(lambda: _libc.exit(7), seen.append)
    names = {number: name for name, number in syscalls.numbers_of(os.uname().machine).items()}
    inside.send([names.get(seen[-1].number, str(seen[-1].number)), seen[-1].arguments[0]])


def texts(bench: Bench) -> None:
    """Measure what exit(3) is, and what follows when main() returns."""
    if tracing.allowed():
        with bench.box(last_calls) as box:
            name, argument = box.receive()
        bench.in_box("exit(7) ends in", f"{name}({argument})", "strace; ptrace(2)")
        bench.text_says(
            "exit() is a system call", f"the library's exit(7) called {name}({argument})", refuted=name != "exit"
        )
    with bench.process(returning) as program:
        printed = program.read_all().strip()
    bench.on_host("printed when main() returns", printed or "nothing", "atexit(3)")
    bench.text_says("the compiler puts an _exit() behind main()", f"at its return the exit handler printed {printed!r}:"
                    " the library called exit(3)", refuted=printed == "handler")  # fmt: skip


def lived(bench: Bench, *command: Any) -> tuple[int, str]:
    """Return the status of a box, as ``$?`` after `tinybox run`, and what it printed."""
    try:
        with bench.box(*command) as box:
            printed = box.read_all()
            return box.wait(), printed
    except TinyboxError as error:
        return error.status, ""


def codes(bench: Bench) -> None:
    """End boxes in six ways, and compare the exit statuses of `tinybox run`."""
    code = bench.random.randrange(1, 125)
    ways = {
        ("sh", "-c", f"exit {code}"): code,
        ("sh", "-c", "exit 256"): 0,
        ("/etc/passwd",): 126,
        ("no-such-program",): 127,
        ("sh", "-c", "kill -KILL $$"): 137,
        ("sh", "-c", "kill -SEGV $$"): 139,
    }
    for command, expected in ways.items():
        shown = " ".join(command).removeprefix("sh -c ")
        status, _ = lived(bench, *command)
        bench.saw(shown, status, f"tinybox run --rm {bench.image} {shlex.join(command)}; echo $?")
        bench.claim(f"`{shown}` ends with {expected}", status == expected)


def check(bench: Bench, *, feature: bool) -> None:
    """Collect exit codes, then what exit handlers print."""
    codes(bench)
    leave: Callable[[int], None] = exit_by_library if feature else exit_by_kernel
    status, at_exit = lived(bench, leave, 256 + 3)
    bench.on_host("status of 259", status, "waitid(2)")
    bench.in_box("printed at exit(259)", at_exit.strip() or "nothing", "atexit(3)")
    _, at_kernel_exit = lived(bench, exit_by_kernel, 3)
    bench.in_box("printed at _exit(3)", at_kernel_exit.strip() or "nothing", "_exit(2)")
    _, at_kill = lived(bench, exit_by_signal, signal.SIGKILL.value)
    bench.in_box("printed at SIGKILL", at_kill.strip() or "nothing", "kill(2)")
    texts(bench)
    bench.claim("only the lower eight bits arrive: 259 becomes 3", status == 3)
    bench.claim("exit(3) calls the handlers", at_exit == "handler\n")
    bench.claim("_exit(2) and SIGKILL call none", not at_kernel_exit and not at_kill)


LAB = Lab(
    question="A program calls exit(256). Which status does its parent get? And at which ends do exit handlers run?",
    answer="0: only eight bits are passed on. 126 means not executable, 127 not found, 128+N signal N. Handlers of"
    " atexit(3) run at exit(3) and at return from main, not at _exit(2) and not when a signal ends the process.",
    control="the program ends by _exit(2) in place of exit(3): its handler does not run",
    check=check,
)
