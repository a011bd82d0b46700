"""The common signals, and what each one does by default.

Most signals end a program that has no handler for them; QUIT and SEGV also leave a core file; STOP stops it, CONT
continues it, and CHLD is ignored. A handler changes all of that, except for KILL and STOP. The lab measures this table:
it sends each signal, and the parent reads with wait(2) what happened to the child.
"""

from __future__ import annotations

import os
import resource
import select
import signal
from typing import TYPE_CHECKING

from tinybox.lab import look
from tinybox.lab.course import Lab
from tinybox.linux import process

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

NAMES = "CHLD CONT STOP TERM KILL INT HUP QUIT PIPE SEGV".split()
ENDS, CORE, STOPS, GOES_ON, IGNORED = "ends", "ends, core", "stops", "continues", "ignored"
EXPECTED = dict.fromkeys(NAMES, ENDS) | {"CHLD": IGNORED, "CONT": GOES_ON, "STOP": STOPS, "QUIT": CORE, "SEGV": CORE}
FIXED = {"KILL", "STOP"}
CORE_SIZE = 4096  # bytes: enough to see that there is a core file
NO_PIPE = 1  # RLIMIT_CORE 1 keeps a core from the program that core_pattern may name: see core(5)


def table(handled: bool, core_size: int) -> dict[str, str]:
    """In the box: send each signal to a child, and return its effect on the child."""
    os.chdir("/tmp")
    resource.setrlimit(resource.RLIMIT_CORE, (core_size, core_size))
    process.set_dumpable(True)
    return {name: effect(int(signal.Signals[f"SIG{name}"]), handled) for name in NAMES}


def effect(number: int, handled: bool) -> str:
    """Send a signal to a new child; return the effect by wait(2), or by the child's own answer if it lives on."""
    ask, answer = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        answer_questions(number, handled, ask[0], answer[1])
    os.read(answer[0], 1)
    going_on = ""
    if number == signal.SIGCONT:
        os.kill(child, signal.SIGSTOP)
        os.waitpid(child, os.WUNTRACED)
    os.kill(child, number)
    if number == signal.SIGCONT:
        going_on = GOES_ON if os.WIFCONTINUED(os.waitpid(child, os.WCONTINUED)[1]) else ""
    os.write(ask[1], b"?")
    became = what_became(child, answer[0])
    for fd in (*ask, *answer):
        os.close(fd)
    return " and ".join(filter(None, [going_on, became if became != IGNORED or not going_on else ""]))


def answer_questions(number: int, handled: bool, ask: int, answer: int) -> None:
    """Be the child: if *handled*, set a handler; answer each byte with the number of caught signals; sigaction(2)."""
    caught = []
    if handled and number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, lambda *_: caught.append(number))
    os.write(answer, b".")
    while True:
        os.read(ask, 1)
        os.write(answer, b"%d" % len(caught))


def what_became(child: int, answer: int) -> str:
    """Wait for the child's answer, or for a change of its state; return the effect; see waitpid(2)."""
    while True:
        pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if pid:
            return reap(child, status)
        if select.select([answer], [], [], 0.001)[0]:
            count = int(os.read(answer, 8) or b"0")
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "caught" if count else IGNORED


def reap(child: int, status: int) -> str:
    """Decode the *status* from wait(2), and kill a child that is only stopped."""
    if os.WIFSTOPPED(status):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return STOPS
    return CORE if os.WCOREDUMP(status) else ENDS


def plain_kill() -> int:
    """In the box: let a shell send a signal to itself by `kill` without options; return the number; see kill(1)."""
    child = os.fork()
    if child == 0:
        os.execv("/bin/sh", ["sh", "-c", "kill $$"])
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def check(bench: Bench, *, feature: bool) -> None:
    """Measure the table twice: for a program without handlers, and for a program with a handler for each signal."""
    pattern = look.text("/proc/sys/kernel/core_pattern")
    files = not pattern.startswith(("|", "/", "@"))
    size = CORE_SIZE if files else NO_PIPE
    expected = EXPECTED if files else {name: ENDS if row == CORE else row for name, row in EXPECTED.items()}
    with bench.box(table, False, size, tmpfs=["/tmp"]) as box:
        plain = box.receive()
    with bench.box(table, feature, size, tmpfs=["/tmp"]) as box:
        handled = box.receive()
    with bench.box(plain_kill) as box:
        sent = box.receive()
    bench.in_box("`kill PID` sends", signal.Signals(sent).name, "sh -c 'kill $$'; wait(2)")
    bench.text_says("kill sends SIGKILL", f"`kill PID` ended a shell by {signal.Signals(sent).name}",
                    refuted=sent == signal.SIGTERM)  # fmt: skip
    bench.saw("core files", "in the box's /tmp" if files else "none", f"core_pattern is {pattern}")
    for name in NAMES:
        bench.in_box(name, f"{plain[name]}; with a handler: {handled[name]}", "wait(2)")
    changed = {name for name in NAMES if handled[name] != plain[name]}
    bench.claim("without handlers the table is that of signal(7)", plain == expected)
    bench.claim("a handler changes every row except KILL and STOP", changed == set(NAMES) - FIXED)


LAB = Lab(
    question="What do CHLD CONT STOP TERM KILL INT HUP QUIT PIPE and SEGV do to a program that has no handlers? And"
    " which of these rows can a handler not change?",
    answer="CHLD is ignored, CONT continues it, STOP stops it, the others end it, QUIT and SEGV with a core file. A"
    " handler changes all rows except KILL and STOP.",
    control="the second program has no handlers, either: no row changes",
    check=check,
)
