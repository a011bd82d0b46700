"""IPC by signals: the pid of the sender, as the receiver sees it.

A signal carries one number and, in its siginfo, the pid of the sender. That pid is a number of the receiver's pid
namespace. A sender that has no number there, such as a process of the host, is shown as 0. So 0 means "from outside".
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
    """In the box: wait for SIGUSR1 twice, and send the pid of the sender from its siginfo; see sigwaitinfo(2)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    inside.send(os.getpid())
    for _ in range(2):
        inside.send(signal.sigwaitinfo([signal.SIGUSR1]).si_pid)
    inside.receive_line()  # if this program ended, the box would end, and the sender in it


def send(pid: int) -> int:
    """In the box, as another process: send SIGUSR1, and return the pid of this process; see kill(2)."""
    os.kill(pid, signal.SIGUSR1)
    return os.getpid()


def check(bench: Bench, *, feature: bool) -> None:
    """Send the same signal from the host and from inside, and compare the senders that the receiver sees."""
    with bench.box(receive, pid="private" if feature else "host") as box:
        number = box.receive()
        bench.on_host("sender", os.getpid(), f"kill -USR1 {box.program}")
        os.kill(box.program, signal.SIGUSR1)
        outside = bench.in_box("sender", box.receive(), "si_pid of sigwaitinfo(2)")
        neighbour = box.start(send, number)
        real = bench.in_box("its neighbour", neighbour.receive(), "getpid(2) in the sender")
        within = bench.in_box("sender, from inside", box.receive(), "si_pid of sigwaitinfo(2)")
        bench.on_host("its neighbour", neighbour.pid, "the result of clone3(2) in tinybox")
    bench.claim("a signal from the host has the sender 0", outside == 0)
    bench.claim("a signal from inside has the sender's real number", within == real)


LAB = Lab(
    question="The same signal is sent to a program in a box twice: from the host, then from inside. Which sender's pid"
    " does the program see?",
    answer="From the host: 0, because the sender has no number in the box's pid namespace. From inside: the sender's"
    " number in the box.",
    control="no pid namespace of its own (--pid host): the program sees the number of the host's process",
    check=check,
)
