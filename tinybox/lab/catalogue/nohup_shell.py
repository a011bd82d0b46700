"""Jobs with & and the closed window: which process sends SIGHUP.

When a terminal is closed, the kernel sends SIGHUP to the leader of its session, the shell, and to the group in the
foreground. A job with & is in neither. bash passes the signal on to all jobs in its list before it ends; disown takes a
job off that list, and exit sends nothing. The ash of busybox passes nothing on, so its jobs live on.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import shutil
import signal
import sys
import termios
from typing import TYPE_CHECKING, Any

from tinybox.lab import look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

# A job: it tells its pid on fd 3, waits for SIGHUP, SIGUSR1 or the lab's end, and tells which came, and its sender.
JOB = """
import os, select, signal, sys
wanted = {signal.SIGHUP, signal.SIGUSR1}; lab = select.poll(); lab.register(3, 0)
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
os.write(3, b'"%d"\\n' % os.getpid())
while not (came := signal.sigtimedwait(wanted, 1)) and not lab.poll(0): pass
came and os.write(3, b'["%s", [%d, %d, %d]]\\n' % (sys.argv[1].encode(), came.si_signo, came.si_pid, came.si_code))
"""
START = '"$PYTHON" -I -S -c "$JOB" {} 2>/dev/null &'
SI_USER, SI_KERNEL = 0, 0x80  # codes of a signal's sender; see sigaction(2)


def lead_session(bash: str, _master: int, slave: int) -> None:
    """On the host: become bash on a terminal, which its session gets; fd 3 stays a pipe to the lab."""
    os.dup2(1, 3)
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    environment = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, "JOB": JOB, "PS1": "", "HISTFILE": ""}
    os.execve(bash, ["bash", "--norc", "--noprofile", "--noediting", "-i", "+o", "history"], environment)


def watch_leader(master: int, slave: int) -> list[int]:
    """On the host: lead a session on a terminal, as a shell does, and return number, sender and code of its SIGHUP."""
    os.close(master)
    os.setsid()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    os.write(1, b'"ready"\n')
    came = signal.sigwaitinfo([signal.SIGHUP])
    return [came.si_signo, came.si_pid, came.si_code]


class Window:
    """A process of the host that leads a session on a terminal of its own, which the lab closes."""

    def __init__(self, bench: Bench, function: Any, *arguments: Any) -> None:
        master, slave = pty.openpty()
        self.leader = bench.keep(bench.process(function, *arguments, master, slave))
        self.leader.master = master
        os.close(slave)
        self.jobs: list[int] = []  # pidfds
        bench.closing(lambda: list(map(os.close, self.jobs)))

    def type(self, line: str) -> None:
        """Type a line; see pty(7)."""
        os.write(self.leader.master, line.encode() + b"\n")

    def start(self, name: str, then: str = ":", last: str = ":") -> None:
        """Start a job in the background, wait until it waits for a signal, and type two commands."""
        self.type(START.format(name))
        self.jobs.append(os.pidfd_open(int(self.leader.receive())))
        self.type(f"{then}; echo 0 >&3; {last}")
        self.leader.receive()

    def reports(self) -> dict[str, list[int]]:
        """Wait for the leader's end, then send SIGUSR1; return the first signal of each job: number, sender, code."""
        self.leader.wait()
        for fd in self.jobs:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGUSR1)
        return dict(json.loads(line) for line in self.leader.read_all().splitlines())  # when all have ended


def told(came: list[int], senders: dict[int, str]) -> str:
    """Return a signal's name and sender in words."""
    sender = "the kernel (si_code SI_KERNEL)" if came[2] == SI_KERNEL else senders.get(came[1], f"process {came[1]}")
    return f"{signal.Signals(came[0]).name}, from {sender}"


def in_ash(bench: Bench) -> tuple[int, bool]:
    """Close the terminal of a shell in a box; return its exit status, and whether its job lives on."""
    with bench.box("sh", "-c", "read line") as box:
        shell = box.start("sh", tty=True)
        os.write(shell.master, b"sleep 1000 & wait\n")  # not a shell that reads, as in check
        job = bench.until(
            lambda: [pid for pid in look.children(shell.pid) if look.stat(pid, 2) == "sleep"], "sleep(1)"
        )[0]
        shell.lose_terminal()
        status = shell.wait()
        bench.in_box("ash", f"status {status}", "waitid(2)")
        lives = look.state(job) not in "ZX" and signal.SIGKILL not in look.signals(job, "SigPnd")
        bench.in_box("its job with &", "lives on" if lives else "is dead", f"/proc/{job}/stat and status")
    return status, lives


def check(bench: Bench, *, feature: bool) -> None:
    """Close the terminals of bash, of a session leader and of ash, and ask each job which signal it got from whom."""
    bench.need(bash := shutil.which("bash"), "this host has no bash")
    closed = Window(bench, lead_session, bash)
    closed.start("listed", ":" if feature else "disown $!")
    closed.start("disowned", "disown $!", "wait")  # a shell that reads may see the end of its terminal before SIGHUP
    bench.until(look.asleep(closed.leader.pid, "do_wait" if feature else ""), "bash, asleep")
    closed.leader.lose_terminal()
    left = Window(bench, lead_session, bash)
    left.start("exit", last="exit")
    shell = Window(bench, watch_leader).leader
    shell.receive()
    shell.lose_terminal()
    first = shell.receive()
    came = {**closed.reports(), **left.reports()}
    senders = {closed.leader.pid: "bash", left.leader.pid: "bash", os.getpid(): "the lab: no SIGHUP came before"}
    bench.on_host("leader of a session", told(first, senders), "sigwaitinfo(2) in the leader")
    for name, text in (("listed", "job in the list"), ("disowned", "job after disown"), ("exit", "job after exit")):
        bench.on_host(text, told(came[name], senders), "sigwaitinfo(2) in the job: si_signo, si_pid, si_code")
    (status, lives), hup = in_ash(bench), signal.SIGHUP.value
    bench.text_says("closing a terminal sends SIGTERM", f"its leader got {told(first, {})}", refuted=first[0] == hup)
    bench.claim("the kernel sends SIGHUP to the leader of the session", (first[0], first[2]) == (hup, SI_KERNEL))
    bench.claim("bash sends SIGHUP to the jobs in its list", came["listed"] == [hup, closed.leader.pid, SI_USER])
    bench.claim("after disown, or after exit, it sends none", hup not in (came["disowned"][0], came["exit"][0]))
    bench.claim("ash dies by SIGHUP and sends none: its job lives on", (status, lives) == (128 + hup, True))


LAB = Lab(
    question="You start a job with & and close the window. Which process sends the signal that ends the job: the kernel"
    " or the shell? And what changes if you type disown, or exit, before?",
    answer="The shell: the kernel sends SIGHUP to the shell, and bash sends it to the jobs in its list. After disown,"
    " or after exit, it sends none. The ash of busybox never does: its jobs live on without nohup.",
    control="disown takes both jobs off bash's list: none gets SIGHUP",
    check=check,
)
