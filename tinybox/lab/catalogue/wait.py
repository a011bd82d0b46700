"""waitpid: a parent hears not only of the end.

wait(2) returns when a child has ended. With WUNTRACED it returns also when one was stopped, with WCONTINUED when one
goes on. What happened is packed into one number: 0x137f is "stopped by 19", 0xffff "continued", 0x000f "ended by 15".
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
    """In the box: stop, continue and end a child, and return what wait says of it each time; see waitpid(2).

    Each time the child is seen in its new state first. So an answer of 0 to WNOHANG means: it would wait on.
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
    """In the box: look until *fact* holds; the lab outside knows how long that may take."""
    while not fact():
        os.sched_yield()


def check(bench: Bench, *, feature: bool) -> None:
    """Let a parent ask for a child that was stopped, continued and ended, with and without the two flags."""
    flags = (os.WUNTRACED, os.WCONTINUED) if feature else (0, 0)
    with bench.box(watch, *flags) as box:
        words = box.hear()
    for what, word in words.items():
        shown = f"{word:#06x}" if word else "nothing: it would wait on"
        bench.in_box(what, shown, "the status of waitpid(2)")
    bench.claim("stopped by SIGSTOP is 0x137f", words["stopped"] == 0x137F)
    bench.claim("continued is 0xffff", words["continued"] == 0xFFFF)
    bench.claim("ended by SIGTERM is 0x000f", words["ended"] == 0x000F)
    bench.claim(
        "the macros read the same",
        os.WIFSTOPPED(words["stopped"]) and os.WSTOPSIG(words["stopped"]) == 19 and os.WTERMSIG(words["ended"]) == 15,
    )


LAB = Lab(
    question="A child is stopped, goes on, and is ended. Of which of these does its parent hear from waitpid(2)?",
    answer="Of its end always: 0x000f. Of the stop (0x137f) with WUNTRACED, of its going on (0xffff) with WCONTINUED.",
    control="without the flags: of the stop and the going on it hears nothing",
    check=check,
)
