"""waitpid: a parent can wait for the end, a stop or a continuation.

wait(2) returns when a child has ended. With WUNTRACED it also returns when a child was stopped, with WCONTINUED when a
child was continued. The event is packed into one number: 0x137f is "stopped by 19", 0xffff "continued", 0x000f "ended
by 15".
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tinybox.lab import look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.lab.bench import Bench


def watch(untraced: int, continued: int) -> dict[str, int]:
    """In the box: stop, continue and end a child, and return the status of each waitpid(2).

    Before each call the child is in its new state. So the result 0 with WNOHANG means that waitpid(2) would wait on.
    """
    child = os.fork()
    if child == 0:
        while True:
            signal.pause()
    settle(lambda: look.state(child) == "S")
    os.kill(child, signal.SIGSTOP)
    settle(lambda: look.state(child) == "T")
    stopped = os.waitpid(child, os.WNOHANG | untraced)[1]
    os.kill(child, signal.SIGCONT)
    settle(lambda: look.state(child) == "S")
    going = os.waitpid(child, os.WNOHANG | continued)[1]
    os.kill(child, signal.SIGTERM)
    return {"stopped": stopped, "continued": going, "ended": os.waitpid(child, 0)[1]}


def settle(fact: Callable[[], bool]) -> None:
    """In the box: wait until *fact* is true; the lab outside limits the time."""
    while not fact():
        os.sched_yield()


def check(bench: Bench, *, feature: bool) -> None:
    """Let a parent wait for a child that is stopped, continued and ended, with or without the two flags."""
    flags = (os.WUNTRACED, os.WCONTINUED) if feature else (0, 0)
    with bench.box(watch, *flags) as box:
        status = box.receive()
    for event, number in status.items():
        shown = f"{number:#06x}" if number else "nothing: it would wait on"
        bench.in_box(event, shown, "the status of waitpid(2)")
    bench.claim("stopped by SIGSTOP is 0x137f", status["stopped"] == 0x137F)
    bench.claim("continued is 0xffff", status["continued"] == 0xFFFF)
    bench.claim("ended by SIGTERM is 0x000f", status["ended"] == 0x000F)
    stopped, ended = status["stopped"], status["ended"]
    bench.claim(
        "the macros of wait(2) decode the same",
        os.WIFSTOPPED(stopped) and os.WSTOPSIG(stopped) == 19 and os.WTERMSIG(ended) == 15,
    )


LAB = Lab(
    question="A child is stopped, continued, and ended. Which of these events does waitpid(2) report to its parent?",
    answer="The end always: 0x000f. The stop (0x137f) with WUNTRACED, the continuation (0xffff) with WCONTINUED.",
    control="without the flags: the stop and the continuation are not reported",
    check=check,
)
