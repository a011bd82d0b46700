"""A Python function as the program of a box: the last step of the plan calls it, in place of execve(2).

This works because a plan is data. Alpine has no Python, and needs none: PID 1 of a box is tinybox's own interpreter,
which runs on after pivot_root(2) with all that it needs in memory. The function runs where execve(2) would have run the
program: same namespaces, same control groups, same rights, same filter. It cannot import. It sends lines of JSON to the
lab on its stdout, and reads lines from its stdin.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import termios
from typing import TYPE_CHECKING

from tinybox.container.process import init
from tinybox.container.process.plan import Step
from tinybox.linux import process

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.init import Program
    from tinybox.container.process.plan import Plan

    Function = Callable[..., Any]

ERROR = "error"  # the key of a line of JSON that reports an exception of the function
_buffer = bytearray()  # bytes from stdin that are not yet a whole line


def end_in(plan: Plan, function: Function, arguments: tuple[Any, ...]) -> None:
    """Replace the last step of *plan* (of a new box, or of `exec`) by a call of *function*, in place of execve(2)."""
    steps = plan.child
    program = steps.pop()
    limit = program.args[1].confinement
    for step in steps:
        if step.name == "capabilities" and limit:  # the function installs the filter itself, see init.confine()
            effective, permitted, *others = step.args
            step.args = (effective, permitted | limit.needed(), *others)
    unneeded = ["find-program", "start-trampoline"]
    if any(step.name == "start-trampoline" for step in steps):
        unneeded.append("seccomp")  # PID 1's own filter; run() installs the program's
    steps[:] = [step for step in steps if step.name not in unneeded]
    says = f"Call {function.__name__}() of the lab"
    steps.append(Step(program.name, says, "fork(2)", run, *program.args, function, arguments))


def run(mode: str, program: Program, handles: Handles, function: Function, arguments: tuple[Any, ...]) -> NoReturn:
    """Do what init.run() does, but call a function: the same filter, the same PID 1 with its duties; see fork(2)."""
    init.confine(program.confinement)
    pid = 0 if mode == init.NONE else os.fork()
    os.close(handles.sync.report)  # the parent reads end of file: the program runs
    if pid:
        init.supervise(pid, forward=mode == init.FORWARD)
    if os.getsid(0) != os.getpid():  # fork(2) made this process after the session was begun
        os.setsid()
    if program.terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    perform(function, arguments)


def perform(function: Function, arguments: tuple[Any, ...]) -> NoReturn:
    """Call *function* with default signals, as a new program has them; send what it returns to the lab, and exit.

    The exit status is 0. After an exception, which is sent to the lab, too, it is 1.
    """
    status = 0
    try:
        process.set_name(f"lab:{function.__name__}"[:15].encode())
        for number in init.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        answer = function(*arguments)
        if answer is not None:
            send(answer)
    except BaseException as error:  # noqa: BLE001  every exception has to be reported to the lab
        send({ERROR: f"{function.__name__}: {type(error).__name__}: {error}"})
        status = 1
    os._exit(status)


def send(value: Any) -> None:
    """Send *value* to the lab, as one line of JSON on stdout; see write(2)."""
    os.write(1, json.dumps(value).encode() + b"\n")


def receive_line() -> str:
    """Wait for a line from the lab, from its ``send_line()``; return the empty string at end of file; see read(2)."""
    while b"\n" not in _buffer:
        piece = os.read(0, 4096)
        if not piece:
            return ""
        _buffer.extend(piece)
    line, _, rest = bytes(_buffer).partition(b"\n")
    _buffer[:] = rest
    return line.decode()
