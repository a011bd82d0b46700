"""IPC by signals: who sent it, as the receiver is told.

A signal carries one number and, in its siginfo, the pid of the sender. That pid is told in the receiver's own
counting: a sender that has no number in the receiver's pid namespace, such as the host, is told as 0. So 0 means
"from outside".
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tinybox.lab import inside
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench


def receive() -> None:
    """In the box: wait for SIGUSR1 with its siginfo, twice, and tell who sent it; see sigwaitinfo(2)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    inside.tell(os.getpid())
    for _ in range(2):
        inside.tell(signal.sigwaitinfo([signal.SIGUSR1]).si_pid)
    inside.listen()  # our end would be the end of the box, and of the sender in it


def send(pid: int) -> int:
    """In the box, as another process: send SIGUSR1, and tell our own number; see kill(2)."""
    os.kill(pid, signal.SIGUSR1)
    return os.getpid()


def check(bench: Bench, *, feature: bool) -> None:
    """Send the same signal from the host and from inside, and compare whom the receiver names."""
    with bench.box(receive, pid="private" if feature else "host") as box:
        number = box.hear()
        bench.on_host("sender", os.getpid(), f"kill -USR1 {box.program}")
        os.kill(box.program, signal.SIGUSR1)
        stranger = bench.in_box("sender", box.hear(), "si_pid of sigwaitinfo(2)")
        neighbour = box.start(send, number)
        real = bench.in_box("its neighbour", neighbour.hear(), "getpid(2) in the sender")
        told = bench.in_box("sender, from inside", box.hear(), "si_pid of sigwaitinfo(2)")
        bench.on_host("its neighbour", neighbour.pid, "what clone3(2) returned to tinybox")
    bench.claim("a signal from the host comes from number 0", stranger == 0)
    bench.claim("a signal from inside comes from the sender's real number", told == real)


LAB = Lab(
    question="The same signal is sent to a program in a box twice: from the host, then from inside. Who is the sender?",
    answer="From the host: 0, for the sender has no number in the box's pid namespace. From inside: the sender's number"
    " as the box counts.",
    control="no pid namespace of its own (--pid host): the host's process is named by its number",
    check=check,
)
