"""Job control: Ctrl-Z, bg, fg, and the group that Ctrl-C reaches.

A shell puts each job, that is, all processes of a pipeline, into a process group of its own, and tells the terminal
which group is in the foreground. The terminal turns Ctrl-Z and Ctrl-C into signals to that group, and to no other. bg
and fg are only SIGCONT; fg also puts the group into the foreground again.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tinybox.lab import look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.guest import Guest

BACKGROUND, PIPELINE = "sleep 1000", "sleep 1000 | sleep 1000 | sleep 1000"
CTRL_C, CTRL_Z = b"\x03", b"\x1a"


class Terminal:
    """A shell of the box on a terminal, and its jobs, as the host sees them."""

    def __init__(self, bench: Bench, shell: Guest) -> None:
        self.bench, self.shell = bench, shell

    def type(self, text: str) -> None:
        """Type a line; see pty(7)."""
        os.write(self.shell.master, text.encode() + b"\n")

    def sleepers(self, number: int) -> list[int]:
        """Wait until the shell has so many children that sleep, and return their pids."""

        def found() -> list[int]:
            pids = [pid for pid in look.children(self.shell.pid) if look.text(f"/proc/{pid}/comm") == "sleep"]
            return pids if len(pids) == number and all(look.state(pid) == "S" for pid in pids) else []

        return self.bench.until(found, f"{number} children of the shell")

    def foreground(self) -> int:
        """Return the process group in the foreground; see tcgetpgrp(3)."""
        return os.tcgetpgrp(self.shell.master)

    def become(self, when: str, pids: list[int], letter: str, group: int, seconds: float = 30) -> str:
        """Wait until all *pids* are in this state and *group* is in the foreground; note both; return the states."""
        self.bench.comes(lambda: states(pids) == letter * len(pids) and self.foreground() == group, seconds)
        where = f"{', '.join(f'/proc/{pid}/stat' for pid in pids)}: field 3; tcgetpgrp(3)"
        self.bench.on_host(when, f"{states(pids)}, foreground {self.foreground()}", where)
        return states(pids)


def states(pids: list[int]) -> str:
    """Return the letters of all states, as in field 3 of /proc/PID/stat."""
    return "".join(look.state(pid) for pid in pids)


def check(bench: Bench, *, feature: bool) -> None:
    """Stop and continue a pipeline from the keyboard of a terminal, then end it there."""
    with bench.box("sh", "-c", "read line") as box:
        shell = box.start("sh", tty=True)
        terminal = Terminal(bench, shell)
        terminal.type(f"{BACKGROUND} &")
        (other,) = terminal.sleepers(1)
        if not feature:
            terminal.type("set +m")
        terminal.type(PIPELINE)
        job = [pid for pid in terminal.sleepers(4) if pid != other]
        groups = {int(look.stat(pid, 5)) for pid in job}
        bench.on_host("group of the pipeline", ", ".join(map(str, groups)), f"ps -o pgid {' '.join(map(str, job))}")
        bench.on_host("group of the shell", look.stat(shell.pid, 5), f"field 5 of /proc/{shell.pid}/stat")
        job_group, began = min(groups), states(job)
        at_first = bench.on_host("in the foreground", terminal.foreground(), "tcgetpgrp(3) of the terminal's master")
        os.write(shell.master, CTRL_Z)
        stopped = terminal.become("after Ctrl-Z", job, "T", shell.pid, 30 if feature else 0.3)
        resumed, back = "", 0
        if feature:
            terminal.type("bg")
            resumed = terminal.become("after bg", job, "S", shell.pid)
            terminal.type("fg")
            terminal.become("after fg", job, "S", job_group)
            back = terminal.foreground()
        os.kill(job[0], signal.SIGINT)
        bench.until(lambda: look.state(job[0]) in "ZX", "the end of one process")
        one = bench.on_host(f"after kill -INT {job[0]}", states(job), "field 3 of the same; X: the process is gone")
        os.write(shell.master, CTRL_C)
        bench.until(lambda: set(states(job)) <= {"X", "Z"}, "the end of the pipeline")
        left = bench.on_host(
            "after Ctrl-C", states([*job, other]), f"field 3 of the pipeline, then of the job with &: {other}"
        )
    bench.claim("the pipeline is one group, in the foreground; the shell is not in it",
                groups == {at_first} != {shell.pid})  # fmt: skip
    bench.claim("Ctrl-Z stops all of it, bg lets it go on: S, T, S", [began, stopped, resumed] == ["SSS", "TTT", "SSS"])
    bench.claim("only fg puts it into the foreground again", back == job_group)
    bench.claim("kill(2) reaches one process", one[1:] == "SS")
    bench.claim("Ctrl-C reaches the whole group, and no background job", left[3] == "S")


LAB = Lab(
    question="Three programs run in a pipeline, a fourth one with & behind it. You press Ctrl-Z, type bg and fg, and"
    " press Ctrl-C. Which of the four stop, which go on, and which end?",
    answer="Ctrl-Z stops the three of the pipeline: they are one process group, the one in the foreground. bg sends"
    " SIGCONT, fg does that and puts the group into the foreground, where Ctrl-C ends all three. The fourth program is"
    " in another group: no key reaches it.",
    control="job control is off (set +m): the pipeline is in the shell's own group, and Ctrl-Z stops nothing",
    check=check,
)
