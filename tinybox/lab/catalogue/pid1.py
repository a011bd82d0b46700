"""PID 1 is immune to signals from inside; its end is the box's end.

The kernel protects the first process of a pid namespace: a signal from inside for which it has no handler does nothing,
not even SIGKILL. From outside, only SIGKILL and SIGSTOP work without a handler. And when PID 1 ends, for whatever
reason, the kernel kills every other process of the namespace: a box does not outlive its PID 1.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tinybox.lab import look
from tinybox.lab.bench import PATIENCE
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

UNHARMED = 0.05  # seconds: the kernel has dropped an ignored signal by the time that kill(2) returns
STATUS_OF_KILL = 128 + signal.SIGKILL


def stay() -> None:
    """In the box: stay, without any handler, until a signal ends this process."""
    os.write(1, b"here\n")
    while True:
        signal.pause()


def send(number: int, victim: int) -> str:
    """In the box, as another process: send a signal; see kill(2)."""
    os.kill(victim, number)
    return "sent"


def check(bench: Bench, *, feature: bool) -> None:
    """Send TERM and KILL to the program from inside, then from outside, and check each time whether it lives."""
    with bench.box(stay, init="none" if feature else "forward") as box:
        box.read_line()
        victim, inside = box.program, 1 if feature else 2
        for number in (signal.SIGTERM, signal.SIGKILL) if feature else (signal.SIGTERM,):
            box.run(send, int(number), inside)
            bench.comes(lambda: look.state(victim) in "ZX", UNHARMED if feature else PATIENCE)
            lives = look.state(victim) not in "ZX"
            bench.in_box(f"after kill -{number.name[3:]} {inside}", "it lives" if lives else "gone", "kill(2)")
            bench.claim(f"SIG{number.name[3:]} from inside does nothing", lives)
        if not feature:
            return  # the program has ended, and so has the box
        neighbour = box.start("sleep", "1000")
        os.kill(victim, signal.SIGTERM)
        lives = look.state(victim) not in "ZX"
        bench.on_host("after kill -TERM", "it lives" if lives else "gone", f"kill -TERM {victim}")
        bench.claim("SIGTERM from outside, without a handler, is ignored", lives)
        os.kill(victim, signal.SIGKILL)
        other = neighbour.wait()  # first: PID 1 ends only when its last process has been waited for
        status = box.wait()
        bench.on_host("after kill -KILL", f"status {status}", f"kill -KILL {victim}; echo $?")
        bench.on_host("its neighbour", f"status {other}", f"wait(2) for {neighbour.pid}")
    bench.text_says("init ignores SIGKILL", f"from outside, kill -KILL {victim} ended it: status {status}",
                    refuted=status == STATUS_OF_KILL)  # fmt: skip
    bench.claim("SIGKILL from outside ends it: 137", status == STATUS_OF_KILL)
    bench.claim("and all other processes of the box", other == STATUS_OF_KILL)


LAB = Lab(
    question="Root in a box types kill -9 1. What happens? And what if root on the host does it?",
    answer="Nothing from inside: PID 1 gets only signals that it has handlers for. From the host it ends with 137, and"
    " all other processes of the box with it.",
    control="the program is not PID 1 but its child: SIGTERM from inside ends it",
    check=check,
)
