"""PID files: a stale number, overlapping cron jobs, and flock(1).

A PID file says which process is the daemon, until the daemon is killed: then the number stays, and some day another
process has it. A lock does not become stale, because the kernel releases it with the last descriptor of the open file,
however the process ends. `flock -n FILE COMMAND` in a crontab is such a lock: a second run fails at once while the
first one works. A child inherits the descriptor, and so holds the lock, too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.box import Box
    from tinybox.lab.guest import Guest

LAST = "/proc/sys/kernel/ns_last_pid"
FILE, CRON = "/tmp/daemon.pid", "/tmp/cron.lock"
JOB = ("sh", "-c", "echo works; read line")


def may_start(locks: bool) -> str:
    """Decide as a daemon does whether no other one runs: by a lock, or by the number in the PID file and kill(2)."""
    file = os.open(FILE, os.O_RDWR | os.O_CREAT, 0o644)  # kept open: the lock is that of the open file
    if locks:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
    elif number := os.pread(file, 20, 0).strip():
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            pass
        else:
            return f"process {int(number)} exists"
    os.ftruncate(file, 0)
    os.pwrite(file, b"%d\n" % os.getpid(), 0)
    return "starts"


def be_daemon(locks: bool, has_child: bool) -> None:
    """In the box: start if no other daemon runs, maybe with a child; send the pid and the decision, and stay."""
    answer = may_start(locks)
    if has_child and os.fork() == 0:
        signal.pause()
    inside.send([os.getpid(), answer])
    signal.pause()


def take_number(number: int) -> None:
    """In the box: be a process with this pid, which has nothing to do with the daemon; see proc_sys_kernel(5)."""
    with open(LAST, "w", encoding="utf-8") as file:
        file.write(str(number - 1))
    started, executes = os.pipe()  # execve(2) closes both ends in the child
    child = os.fork()
    if child == 0:
        os.execv("/bin/sleep", ["sleep", "1000"])
    os.close(executes)
    os.read(started, 1)
    inside.send(child)
    signal.pause()


def work_once() -> None:
    """In the box: what `flock -n CRON JOB` does, for an image without flock(1)."""
    lock = os.open(CRON, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os._exit(1)
    os.set_inheritable(lock, True)
    os.execvp(JOB[0], JOB)


def overlap(bench: Bench, box: Box, *, locks: bool) -> int:
    """Start a job twice, as cron does if it takes longer than a minute; return how many work at the same time."""
    has_flock = os.path.lexists(box.path("/usr/bin/flock"))
    locked = ("flock", "-n", CRON, *JOB) if has_flock else (work_once,)
    runs = [box.start(*(locked if locks else JOB)) for _ in range(2)]
    bench.until(lambda: all(run.ended() or run.has_output() for run in runs), "both runs")
    working = [run for run in runs if not run.ended()]
    statuses = [run.wait() for run in runs if run.ended()]
    line = f"flock -n {CRON} " * locks + "COMMAND"
    bench.in_box("runs that work; status of the other", f"{len(working)}; {statuses}", f"crontab: * * * * * {line}")
    return len(working)


def check(bench: Bench, *, feature: bool) -> None:
    """Kill a daemon, give its number to another program, and start daemons; then let a cron job overlap itself."""
    bench.need(os.path.exists(LAST), f"this kernel has no {LAST} (CONFIG_CHECKPOINT_RESTORE)")
    way = f"flock(2) of {FILE}" if feature else f"kill -0 $(cat {FILE})"
    with bench.box("sh", "-c", "read line", privileged=True) as box:

        def daemon(figure: str, has_child: bool = False) -> tuple[Guest, int, str]:
            guest = box.start(be_daemon, feature, has_child)
            pid, answer = guest.receive()
            bench.in_box(figure, f"{pid}: {answer}", way)
            return guest, pid, answer

        first, number, _ = daemon("a daemon")
        twin = daemon("another one, meanwhile")[2]
        kill(first)
        stale = int(bench.on_host("PID file after kill -9", look.text(box.path(FILE)), f"cat {box.path(FILE)}"))
        box.start(take_number, stale).receive()
        name = box.run("cat", f"/proc/{stale}/comm").output.strip()
        bench.in_box(f"process {stale} now", name, f"ns_last_pid, fork(2); cat /proc/{stale}/comm")
        alive = box.run("kill", "-0", str(stale)).status == 0
        bench.in_box(f"kill -0 {stale}", "it exists" if alive else "no such process", "kill(2)")
        second, _, after = daemon("the next daemon", has_child=True)
        kill(second)
        held = daemon("after kill -9 of that, too, which had a child")[2]
        working = overlap(bench, box, locks=feature)
    bench.text_says("a child inherits no lock", f"the child of a dead daemon keeps the next from its file: {held}",
                    refuted=held == "EAGAIN")  # fmt: skip
    bench.claim("a second daemon does not start", twin != "starts")
    bench.claim(
        "the number in the PID file belongs to another program", (stale, name, alive) == (number, "sleep", True)
    )
    bench.claim("the lock is free all the same: the next daemon starts", after == "starts")
    bench.claim("a child has inherited its daemon's flock(2), and holds it: EAGAIN", held == "EAGAIN")
    bench.claim("of two runs of the cron job one works", working == 1)


def kill(guest: Guest) -> None:
    """Kill a daemon with SIGKILL, which leaves its file, and wait for it, so that its number is free."""
    guest.send_signal(signal.SIGKILL)
    guest.wait()


LAB = Lab(
    question="A daemon writes its number into a PID file, and is killed with SIGKILL. Later another program has that"
    " number. How does the next daemon know that it may start? And what does a cron job do that is not ready in time?",
    answer="By a lock on the file: the kernel releases it when the last process that has it open ends, also a child"
    " that inherited it. The number alone would say that the daemon runs. cron starts the job again beside the first,"
    " unless flock -n refuses.",
    control="no locks: the stale number keeps the next daemon from starting, and two runs of the cron job work at once",
    check=check,
)
