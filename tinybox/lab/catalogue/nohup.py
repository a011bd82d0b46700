"""Nohup, SIGHUP and terminals: what happens when the window is closed.

When a terminal is closed, the kernel sends SIGHUP to the leader of its session. The signal ends a process that has no
handler for it. nohup(1) only ignores SIGHUP and then executes the command: an ignored signal stays ignored over
execve(2).
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tinybox.lab import look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

HUP = signal.SIGHUP.value
BY_HAND = ("sh", "-c", 'trap "" HUP; exec "$@"', "nohup")  # does the same as nohup(1), for an image without it


def check(bench: Bench, *, feature: bool) -> None:
    """Run the same program on two terminals, plainly and under nohup, and close both terminals."""
    with bench.box("sh", "-c", "read line") as box:
        program = ("nohup",) if os.path.lexists(box.path("/usr/bin/nohup")) else BY_HAND
        plain = box.start("sleep", "1000", tty=True)
        kept = box.start(*(program if feature else ()), "sleep", "1000", tty=True)
        for name, guest in (("plain", plain), ("nohup", kept)):
            bench.until(lambda pid=guest.pid: look.text(f"/proc/{pid}/comm") == "sleep", "sleep(1)")  # type: ignore[misc]
            ignores = HUP in look.signals(guest.pid, "SigIgn")
            bench.on_host(f"{name}: ignores SIGHUP", ignores, f"bit 0 of SigIgn in /proc/{guest.pid}/status")
            bench.on_host(f"{name}: terminal", look.stat(guest.pid, 7), f"field 7 of /proc/{guest.pid}/stat")
        for guest in (plain, kept):
            guest.lose_terminal()
        status = bench.on_host("plain: status", plain.wait(), "waitid(2)")
        bench.until(lambda: kept.ended() or look.stat(kept.pid, 7) == "0", "the loss of the terminal")
        bench.comes(kept.ended, 0.3 if feature else 20)
        state = bench.on_host("nohup: state", "Z" if kept.ended() else look.state(kept.pid), f"/proc/{kept.pid}/stat")
        if state != "Z":
            bench.on_host("nohup: terminal", look.stat(kept.pid, 7), f"field 7 of /proc/{kept.pid}/stat")
    ended_by = signal.Signals(status - 128).name if status > 128 else "none"
    bench.text_says(
        "closing a terminal sends TERM", f"status {status}: signal {ended_by}", refuted=ended_by == "SIGHUP"
    )
    bench.claim("the plain program dies by signal 1: 129", status == 128 + HUP)
    bench.claim("under nohup the program lives on, without a terminal", state == "S")


LAB = Lab(
    question="You start a long job in a terminal and close the window. What ends it, and how does nohup prevent that?",
    answer="SIGHUP, which the kernel sends when the terminal is closed; its default is to end the process. nohup"
    " ignores the signal, and the program inherits that through execve(2).",
    control="nohup is left out: both programs die",
    check=check,
)
