"""A Python function as the program of a box: the plan is data, so a lab may let it end in a call of its own.

Alpine has no Python, and needs none: PID 1 of a box is our own interpreter, which has run on behind pivot_root(2) with
all it needs in memory. The function runs where execve(2) would have run the program: same namespaces, same groups,
same rights, same filter. It cannot import, and it talks in lines of JSON over its stdin and stdout.
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
from tinybox.isolation.seccomp import filters
from tinybox.linux import process

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.init import Program
    from tinybox.container.process.plan import Plan

    Function = Callable[..., Any]

ERROR = "error"  # the key of a line of JSON that tells of a function's failure
_waiting = bytearray()  # what has come in and is not yet a whole line


def end_in(plan: Plan, function: Function, arguments: tuple[Any, ...]) -> None:
    """Let *plan*, of a new box or of a process that joins one, end in a call of *function* instead of execve(2)."""
    steps = plan.child
    program = steps.pop()
    steps[:] = [step for step in steps if step.name != "find-program"]
    says = f"Call {function.__name__}() of the lab"
    steps.append(Step(program.name, says, "fork(2)", run, *program.args, function, arguments))


def run(mode: str, program: Program, handles: Handles, function: Function, arguments: tuple[Any, ...]) -> NoReturn:
    """Be what init.run() is, with a function: the same filter, the same PID 1 with the same duties; see fork(2)."""
    if program.filter:
        filters.install(program.filter, program.filter_flags)
    pid = 0 if mode == init.NONE else os.fork()
    os.close(handles.sync.report)  # its end tells the parent that the program runs
    if pid:
        init.supervise(pid, forward=mode == init.FORWARD)
    if os.getsid(0) != os.getpid():  # it was made after the session was begun
        os.setsid()
    if program.terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    perform(function, arguments)


def perform(function: Function, arguments: tuple[Any, ...]) -> NoReturn:
    """Call *function* as a fresh program would begin, with default signals; tell what it returns, and exit.

    The exit status is 0; 1 after an exception, which is told, too.
    """
    status = 0
    try:
        process.set_name(f"lab:{function.__name__}"[:15].encode())
        for number in init.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        answer = function(*arguments)
        if answer is not None:
            tell(answer)
    except BaseException as error:  # noqa: BLE001  whatever it is, the lab must hear of it
        tell({ERROR: f"{function.__name__}: {type(error).__name__}: {error}"})
        status = 1
    os._exit(status)


def tell(answer: Any) -> None:
    """Tell the lab *answer*, as one line of JSON on stdout; see write(2)."""
    os.write(1, json.dumps(answer).encode() + b"\n")


def listen() -> str:
    """Wait for a line from the lab, from its ``say()``; the empty string when it has hung up; see read(2)."""
    while b"\n" not in _waiting:
        piece = os.read(0, 4096)
        if not piece:
            return ""
        _waiting.extend(piece)
    line, _, rest = bytes(_waiting).partition(b"\n")
    _waiting[:] = rest
    return line.decode()
