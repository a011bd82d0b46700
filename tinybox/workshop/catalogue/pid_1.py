"""Numbers of its own, and what PID 1 must do.

A process in a pid namespace has one number in each namespace above it, and one inside, counted from 1. unshare(2)
cannot move a process to other numbers: only children are in the new namespace. clone3(2) makes the child and all its
namespaces in one call. A /proc shows the processes of the namespace in which it was mounted; so PID 1 has to mount it.

PID 1 is not like other processes. Orphans become its children, and are zombies until it waits for them. Signals
without a handler do not reach it, not even SIGTERM of `docker stop`. When it ends, the kernel kills all others. A
program that does not know this should not be PID 1. So put an init in between, which runs the program as its child,
sends SIGTERM on, waits for every child, and ends with the status of the program.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from tinybox.linux import proc
from tinybox.linux.waiting import until
from tinybox.workshop.catalogue.fork_exec import ends
from tinybox.workshop.catalogue.host_name import own_uts
from tinybox.workshop.catalogue.mounts import host_mounts, nothing_leaks, own_namespace, own_proc
from tinybox.workshop.catalogue.overlay import BOX, OTHER, overlay_of
from tinybox.workshop.catalogue.pivot_root import root_of_namespace
from tinybox.workshop.levels import Level
from tinybox.workshop.trial import PATIENCE, ROOTFS, Attempt, namespace, nothing_runs, parent, pids, read

if TYPE_CHECKING:
    from tinybox.workshop.trial import Trial

ORPHAN = "sh -c 'sleep 0.05 > /dev/null 2>&1 & echo $!'"  # its shell ends at once, and leaves sleep to PID 1


def check(trial: Trial) -> None:
    """Read the numbers of the program inside and outside, make an orphan, and stop the box as docker does."""
    before, name = host_mounts(), os.uname().nodename
    with Attempt([ROOTFS, BOX, "sh"]) as attempt:
        attempt.ask("echo ready")
        program = attempt.program()
        own_namespace(trial, program, attempt.pid)
        root_of_namespace(trial, program)
        overlay_of(trial, program)
        own_uts(trial, program, attempt.pid, name)
        init = numbers(trial, program)
        own_proc(trial, program)
        own_processes(trial, attempt)
        reaps(trial, attempt, init)
        forwards(trial, attempt, init, program)
    ends(trial, [ROOTFS, OTHER])
    nothing_leaks(trial, before, "after the end ")
    nothing_runs(trial)


def inside(pid: int) -> list[int]:
    """Return the numbers of process *pid*, from the spare host's to the innermost; see NSpid, proc_pid_status(5)."""
    return [int(word) for word in proc.status(read(pid, "status"))["NSpid"].split()]


def numbers(trial: Trial, program: int) -> int:
    """Require a pid namespace in which the program is not PID 1 but a child of PID 1; return PID 1's pid outside."""
    there, host, found = namespace(program, "pid"), namespace(1, "pid"), inside(program)
    trial.fact(
        there != host,
        f"/proc/{program}/ns/pid is {there}, the host's is {host}; NSpid in its status: {found}",
        f"/proc/{program}/ns/pid is {there}, as on the host: the program has no pid namespace of its own; see clone(2)",
    )
    trial.fact(
        found[-1] != 1,
        f"the program is {found[-1]} inside, not 1",
        f"NSpid in /proc/{program}/status is {found}: the program itself is PID 1; make it a child of your init",
    )
    init = parent(program)
    trial.fact(
        inside(init)[-1] == 1,
        f"its parent {init} is PID 1 inside",
        f"the parent {init} of the program has NSpid {inside(init)}: it is not PID 1 of the box",
    )
    return init


def own_processes(trial: Trial, attempt: Attempt) -> None:
    """Require that the /proc of the box belongs to the pid namespace of the box."""
    words = attempt.ask("grep NSpid /proc/self/status").split()
    trial.fact(
        len(words) == 2,
        f"/proc in the box has the numbers of the box: {' '.join(words)}",
        "/proc in the box has the host's numbers: mount it in PID 1 of the box, not before; see pid_namespaces(7)",
    )


def reaps(trial: Trial, attempt: Attempt, init: int) -> None:
    """Leave an orphan in the box; require that PID 1 waits for it when it ends."""
    number = int(attempt.ask(ORPHAN))

    def orphan() -> str:
        for pid in pids():
            stat = proc.stat_of(pid)
            if stat and stat.ppid == init and inside(pid)[-1] == number:
                return stat.state
        return ""

    until(lambda: orphan() in ("", "Z"), time.monotonic() + PATIENCE, 0.01)
    is_gone = until(lambda: not orphan(), time.monotonic() + 1, 0.01)
    trial.fact(
        is_gone,
        f"the orphan {number} of the box was reaped when it ended",
        f"the orphan {number} of the box is in state {orphan()}: PID 1 has to wait for all its children; see wait(2)",
    )
    waits_again(init)
    attempt.ask("echo still here")  # no answer: PID 1 has ended with the orphan, and the kernel has killed the shell


def waits_again(init: int) -> None:
    """Wait until PID 1 sleeps in its next wait(2), or has ended; see proc_pid_stat(5)."""
    until(lambda: (stat := proc.stat_of(init)) is None or stat.state in "SZ", time.monotonic() + PATIENCE, 0.001)


def forwards(trial: Trial, attempt: Attempt, init: int, program: int) -> None:
    """Send SIGTERM to PID 1; require that the program gets it."""
    waits_again(init)
    os.kill(init, signal.SIGTERM)
    # First the signal, then the end of its stdin, which ends a shell, too.
    has_ended = until(lambda: proc.stat_of(program) is None, time.monotonic() + 1, 0.01)
    found = attempt.end()
    what = "has ended the program, but its status is lost" if has_ended else "does not reach the program"
    trial.fact(
        found == 128 + signal.SIGTERM,
        f"SIGTERM for PID 1 reaches the program: status {found}",
        f"SIGTERM for PID 1 {what}: status {found}, expected 143; see signal(7)",
    )


LEVEL = Level(
    usage="ROOT BOX PROGRAM [ARGUMENT...]",
    pages="pid_namespaces(7), clone(2), wait(2), signal(7), proc_pid_status(5)",
    hints=(
        "Like os.fork, process.clone3 returns 0 in the child, as the first of two values. Combine the flags with |.",
        "os.wait() waits for any child and returns (pid, status). It is called again after a handler has run.",
        "signal.signal(signal.SIGTERM, FUNCTION) sets a handler; it is called with the number and the frame.",
    ),
    check=check,
)
