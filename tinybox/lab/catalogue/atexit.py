"""Atexit handlers and buffers: exit in the program, _exit in the kernel.

exit(3) is a function of the C library. It calls the handlers of atexit(3), the last one first, and writes what stdio
has buffered; only then does it make the system call exit_group(2), which does not return. _exit(2) makes that call at
once. A child of fork(2) has copies of the handlers and of the buffers; execve(2) drops both.
"""

from __future__ import annotations

import ctypes
import os
import signal
from typing import TYPE_CHECKING, Any

from tinybox.lab import inside, look, tracing
from tinybox.lab.course import Lab
from tinybox.linux import syscalls

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.lab.bench import Bench
    from tinybox.lab.tracing import Call

_libc = ctypes.PyDLL(None)
_libc.fdopen.restype = ctypes.c_void_p
_libc.fputs.argtypes = (ctypes.c_char_p, ctypes.c_void_p)


_exit, _cxa_atexit = _libc["_exit"], _libc["__cxa_atexit"]  # atexit(3) has no symbol of its own


def _says(word: bytes) -> Any:
    return ctypes.PYFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(lambda _argument: os.write(1, word + b" "))


HANDLERS = [_says(b"first"), _says(b"second")]


def prepare() -> None:
    """Register two handlers, and print a word that stdio keeps in its buffer, because fd 1 is a pipe; see setbuf(3)."""
    for handler in HANDLERS:
        _cxa_atexit(handler, None, None)
    _libc.fputs(b"buffered ", _libc.fdopen(1, b"w"))


def become_true() -> None:
    """Execute true(1), which then ends."""
    os.execv("/bin/true", ["true"])


def leave_twice() -> None:
    """Fork, and end both processes by exit(3), the child first."""
    if os.fork():
        os.wait()
    _libc.exit(0)


def printed(act: Callable[[], object]) -> str:
    """Do *act* in a child that is prepared, and return what it printed."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.dup2(writing, 1)
        prepare()
        act()
        os._exit(1)
    os.close(writing)
    with open(reading, encoding="utf-8") as output:
        text = output.read().strip()
    os.wait()
    return text


def calls_of(act: Callable[[], object]) -> list[tuple[str, str]]:
    """Do *act* in a traced child; return its writes and its end, each with the file whose code made it; ptrace(2)."""
    numbers = syscalls.numbers_of(os.uname().machine)
    names = {numbers[name]: name for name in ("write", "exit", "exit_group")}
    calls = []

    def see(call: Call) -> None:
        if call.number in names:
            calls.append((names[call.number], file_of(call.pid, call.instruction)))

    def act_apart() -> None:
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        prepare()
        act()

    tracing.traced(act_apart, see)
    return calls


def file_of(pid: int, address: int) -> str:
    """Return the file that is mapped at this address of a process; see proc_pid_maps(5)."""
    for line in look.text(f"/proc/{pid}/maps").splitlines():
        start, end = (int(part, 16) for part in line.split(" ", 1)[0].split("-"))
        if start <= address < end:
            return line.split(maxsplit=5)[-1]
    return "no file"


def end_in_all_ways(library: bool) -> None:
    """In the box: end children in five ways, then trace exit(3), and a program that returns from main."""
    last = (lambda: _libc.exit(0)) if library else (lambda: _exit(0))
    ways: dict[str, Callable[[], object]] = {
        "exit(3)": last,
        "_exit(2)": lambda: _exit(0),
        "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
        "execve(2)": become_true,
        "fork(2), and two exit(3)": leave_twice,
    }
    inside.send({name: printed(act) for name, act in ways.items()})
    inside.send(calls_of(last))
    inside.send([*calls_of(become_true)[-1], os.path.realpath("/bin/true")])


def check(bench: Bench, *, feature: bool) -> None:
    """End a process with handlers and a full buffer in five ways, and read what it printed and which calls it made."""
    bench.need(tracing.allowed(), "this host allows no ptrace(2)")
    with bench.box(end_in_all_ways, feature) as box:
        texts, calls, (last, caller, program) = box.receive(), [name for name, _ in box.receive()], box.receive()
    for name, text in texts.items():
        bench.in_box(f"printed at {name}", text or "nothing", "read(2) of a pipe that is its stdout")
    bench.in_box("calls of exit(3)", " ".join(calls), "strace; ptrace(2)")
    bench.in_box(f"{program} returns from main: call", f"{last}, from {caller}", "ptrace(2), /proc/PID/maps")
    by_exit, by_kernel, by_signal, by_exec, forked = texts.values()
    bench.claim("exit(3) calls the handlers, the last one first", by_exit.startswith("second first"))
    bench.claim("and then writes what stdio has buffered", by_exit.endswith("first buffered"))
    bench.claim("_exit(2) and a signal do neither", (by_kernel, by_signal) == ("", ""))
    bench.claim("execve(2) drops handlers and buffer", by_exec == "")
    bench.claim("after fork(2) both processes do it all", forked.split() == "second first buffered".split() * 2)
    bench.claim("exit(3) makes three writes, then exit_group(2)", calls == ["write"] * 3 + ["exit_group"])
    library = "exit" not in calls and calls[-1:] == ["exit_group"]
    bench.text_says("exit() is a system call", f"its calls were {' '.join(calls)}", refuted=library and len(calls) > 1)
    if caller != program:  # a static program is one file with its C library
        bench.text_says("the compiler inserts _exit", f"{last} was called by {caller}, not by {program}", refuted=True)


LAB = Lab(
    question="A program has registered two handlers, first and second, and has printed a word without a newline into a"
    " pipe. What comes out at exit, at _exit, at SIGTERM, after execve, and when it forks and both processes exit?",
    answer="At exit: second, first, then the word, and only then the system call exit_group. At _exit, SIGTERM and"
    " execve: nothing, even the word is lost. After fork: all of it twice, because the child has copies.",
    control="the program ends by _exit in place of exit: no handler runs, and the word is lost",
    check=check,
)
