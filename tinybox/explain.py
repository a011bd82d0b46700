"""Trace hooks: every system call and every step of a plan is reported to listeners, such as --explain and --step.

This is the only interface between the engine and the code that shows its work: the engine reports, and never formats
or prints. Without a listener the cost is one ``if`` for each call.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Listener = Callable[[str, tuple[object, ...], object, int], None]

listeners: list[Listener] = []
held = False  # posix_spawn(3) starts a trampoline that waits: the program's own execve(2) is reported later
kept: list[int] = []  # file descriptors that listeners need: the child keeps these open until execve(2)


def report(name: str, arguments: tuple[object, ...], result: object, begun: int = 0) -> None:
    """Report an event to every listener: its *name*, its *arguments*, its *result*, and the time when it had *begun*.

    A system call is reported under its own name (``clone3``) with the kernel's return value: a negative one is an
    errno(3). A step of a plan is reported as ``begin:NAME``, then as ``step:NAME`` or, with the error, as
    ``failed:NAME``. Times are nanoseconds of CLOCK_MONOTONIC, see clock_gettime(2). A listener may block, and may
    refuse a step by raising an exception.
    """
    for listener in listeners:
        listener(name, arguments, result, begun)


def report_part(name: str, says: str, manual: str) -> None:
    """Report that another process begins a part of the current step: its *name*, a sentence, a manual page."""
    if listeners:
        report(f"part:{name}", (says, manual), None)
