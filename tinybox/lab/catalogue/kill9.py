"""The two signals that no program can catch: SIGKILL and SIGSTOP.

A program may catch, ignore or block nearly every signal. Two are exceptions, so that there is always a way to end or
stop a process: for them sigaction(2) fails with EINVAL, and in a signal mask the kernel clears their bits silently.
"""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

UNCATCHABLE = (signal.SIGKILL, signal.SIGSTOP)
CATCHABLE = (signal.SIGTERM, signal.SIGHUP)


def resist(numbers: list[int]) -> None:
    """In the box: block every signal, try to ignore these, and send the results to the lab; see sigaction(2)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    answers = []
    for number in numbers:
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError as error:
            answers.append(errno.errorcode[error.errno or 0])
        else:
            answers.append("ignored")
    inside.send(answers)
    inside.receive_line()


def check(bench: Bench, *, feature: bool) -> None:
    """Let a program block and ignore two signals, read its masks, and send it the first of them."""
    numbers = UNCATCHABLE if feature else CATCHABLE
    names = [number.name for number in numbers]
    with bench.box(resist, [int(number) for number in numbers], init="none", pid="private") as box:
        answers = box.receive()
        blocked, ignored = look.signals(box.pid, "SigBlk"), look.signals(box.pid, "SigIgn")
        for name, answer in zip(names, answers, strict=True):
            bench.in_box(f"to ignore {name}", answer, "sigaction(2)")
        bench.on_host("SigBlk", look.status(box.pid, "SigBlk"), f"/proc/{box.pid}/status")
        for what, mask in (("SigBlk", blocked), ("SigIgn", ignored)):
            bits = " ".join(f"{number - 1}:{int(number in mask)}" for number in numbers)
            bench.on_host(f"{what}, bits", bits, f"/proc/{box.pid}/status")
        os.kill(box.pid, numbers[0])
        gone = bench.comes(lambda: look.state(box.pid) in "ZX", 2 if feature else 0.2)
        bench.on_host(f"after {names[0]}", "ended" if gone else "lives", f"kill -{names[0]} {box.pid}")
    bench.claim("sigaction(2) refuses both with EINVAL", answers == ["EINVAL", "EINVAL"])
    bench.claim("they are missing in the mask of blocked signals", not blocked & set(numbers))
    bench.claim("the others are in it", blocked >= signal.valid_signals() - set(UNCATCHABLE))
    bench.claim("they are never ignored", not ignored & set(numbers))
    bench.claim("the first of them ends the program in any case", gone)


LAB = Lab(
    question="A program blocks every signal, and tries to ignore SIGKILL and SIGSTOP. What does the kernel answer?",
    answer="EINVAL, twice. In SigBlk bits 8 and 18, of signals 9 and 19, stay 0; and SIGKILL ends it. (Bits 31 and 32"
    " are signals that the C library keeps for its threads.)",
    control="SIGTERM and SIGHUP instead: both are ignored, and the program lives",
    check=check,
)
