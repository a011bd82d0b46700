"""A program in a child process.

Every program starts in the same way: a process makes a copy of itself, and the copy becomes the program. fork(2)
returns twice, in the parent with the pid of the child and in the child with 0. execve(2) replaces the memory of the
calling process by the program; the pid, the parent and the open files stay. If it succeeds it does not return. If it
fails, the child is still a copy of your program: it has to end there, or two copies go on.

The parent waits with waitpid(2). Until it does, the child that has ended is a zombie. The word that waitpid(2) fills in
contains the exit status or the number of the signal that killed the child. A shell shows the latter as 128+N.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tinybox.workshop.levels import Level
from tinybox.workshop.trial import Attempt, nothing_runs, parent, read

if TYPE_CHECKING:
    from tinybox.workshop.trial import Trial

ARGUMENT = "two words; exit 3"  # another program if a shell reads it


def check(trial: Trial) -> None:
    """Compare the program's process with the student's, then end the program in four ways."""
    with Attempt(["sh", "-s", ARGUMENT]) as attempt:
        attempt.ask("echo ready")
        program = attempt.program()
        trial.fact(
            program != attempt.pid,
            f"your process {attempt.pid} has made the process {program} (/proc/PID/status)",
            f"the program runs in your own process {attempt.pid}: make a child first, see fork(2)",
        )
        trial.fact(
            attempt.waits(),
            f"your process {attempt.pid} waits while the program runs (/proc/{attempt.pid}/stat: S)",
            f"your process {attempt.pid} has ended before the program: wait for it, see wait(2)",
        )
        trial.fact(
            parent(program) == attempt.pid,
            f"PPid of {program} is {attempt.pid} (/proc/{program}/status)",
            f"PPid in /proc/{program}/status is {parent(program)}, not your process {attempt.pid}: another process is"
            " between you and the program",
        )
        words = read(program, "cmdline").split("\0")[:-1]
        trial.fact(
            words == ["sh", "-s", ARGUMENT],
            f"its arguments are {words} (/proc/{program}/cmdline)",
            f"/proc/{program}/cmdline has {words}, not {['sh', '-s', ARGUMENT]}: hand the list on as it is",
        )
    ends(trial, [])
    nothing_runs(trial)


def ends(trial: Trial, before: list[str]) -> None:
    """Require the exit statuses of a shell; *before* are the words before the program."""
    wanted = (
        ("exit 42", 42, "the program's exit status; the word of waitpid(2) has it in its second byte"),
        ("kill -KILL $$", 128 + signal.SIGKILL, "128+N, because signal N killed the program; see WTERMSIG in wait(2)"),
    )
    for line, status, why in wanted:
        found = trial.status([*before, "sh"], f"{line}\n")
        trial.fact(found == status, f"`{line}`: status {found}", f"`{line}`: status {found}, expected {status}: {why}")
    for path, status, why in (("/no/program", 127, "there is no such program"), ("/etc", 126, "it is a directory")):
        found = trial.status([*before, path])
        missing = f"the program {path}: status {found}, expected {status}: {why}; the child ends with os._exit"
        trial.fact(found == status, f"the program {path}: status {found}", missing)
    with Attempt([*before, "sh"], trial.options) as attempt:
        attempt.ask("echo ready")
        os.kill(attempt.program(), signal.SIGTERM)
        found = attempt.end()
    missing = f"SIGTERM from outside: status {found}, expected 143: see WTERMSIG in wait(2)"
    trial.fact(found == 128 + signal.SIGTERM, f"SIGTERM from outside: status {found}", missing)


LEVEL = Level(
    usage="PROGRAM [ARGUMENT...]",
    pages="fork(2), exec(3), _exit(2), wait(2)",
    hints=(
        "os.fork(), os.execvp(FILE, LIST), os._exit(STATUS) and os.waitpid(PID, 0) are the four calls.",
        "The first word of LIST is the name that the program sees as its own: hand over the whole list.",
        "waitpid returns (pid, status). os.WIFEXITED(status) tells which of os.WEXITSTATUS and os.WTERMSIG applies.",
    ),
    check=check,
)
