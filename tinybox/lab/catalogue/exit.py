"""Exit codes, and which last words are spoken: exit, _exit and atexit.

A process ends with eight bits for its parent, or by a signal; the shell writes a signal as 128 plus its number.
exit(3) is the C library's: it first calls what atexit(3) was given, then _exit(2), which is the kernel's and calls
nobody. Nor does SIGKILL.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
from typing import TYPE_CHECKING

from tinybox.errors import TinyboxError
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.lab.bench import Bench

_libc = ctypes.PyDLL(None)


def say_goodbye() -> None:
    """Be a handler, and say so."""
    os.write(1, b"handler\n")


LAST_WORDS = ctypes.PYFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)(lambda _status, _argument: say_goodbye())


def exit_by_library(code: int) -> None:
    """Register a handler and leave by exit(3), which calls it."""
    _libc.on_exit(LAST_WORDS, None)  # as atexit(3), which has no symbol of its own
    _libc.exit(code)


def exit_by_kernel(code: int) -> None:
    """Register a handler and leave by _exit(2), which calls nobody."""
    _libc.on_exit(LAST_WORDS, None)  # as atexit(3), which has no symbol of its own
    os._exit(code)


def exit_by_signal(number: int) -> None:
    """Register a handler and be ended by a signal."""
    _libc.on_exit(LAST_WORDS, None)  # as atexit(3), which has no symbol of its own
    os.kill(os.getpid(), number)


def lived(bench: Bench, *command: Any) -> tuple[int, str]:
    """Return the status of a box, as ``$?`` after `tinybox run`, and what it printed."""
    try:
        with bench.box(*command) as box:
            printed = box.rest()
            return box.wait(), printed
    except TinyboxError as error:
        return error.status, ""


def codes(bench: Bench) -> None:
    """End boxes in six ways, and compare what `tinybox run` ends with."""
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
    """Collect exit codes, then last words."""
    codes(bench)
    leave: Callable[[int], None] = exit_by_library if feature else exit_by_kernel
    polite, words = lived(bench, leave, 256 + 3)
    bench.on_host("status of 259", polite, "waitid(2)")
    bench.in_box("last words at exit(259)", words.strip() or "none", "atexit(3)")
    _, abrupt_words = lived(bench, exit_by_kernel, 3)
    bench.in_box("last words at _exit(3)", abrupt_words.strip() or "none", "_exit(2)")
    _, killed_words = lived(bench, exit_by_signal, signal.SIGKILL.value)
    bench.in_box("last words at SIGKILL", killed_words.strip() or "none", "kill(2)")
    bench.claim("only the lower eight bits arrive: 259 is 3", polite == 3)
    bench.claim("exit(3) calls the handlers", words == "handler\n")
    bench.claim("_exit(2) and SIGKILL call none", not abrupt_words and not killed_words)


LAB = Lab(
    question="A program says exit 256. What does its parent hear? And who still gets to say something at the end?",
    answer="0: only eight bits are passed on. 126 means not executable, 127 not found, 128+N signal N. Handlers of"
    " atexit(3) run on exit(3) and on return from main, not on _exit(2) and not on a signal's default.",
    control="the program leaves by _exit(2) in place of exit(3): its handler is silent",
    check=check,
)
