"""Other files: chroot.

Each process has a root directory: "/" of all its paths begins there. chroot(2) changes it for the calling process, and
its children inherit it. So it has to be called in the child: your own process must stay on the host, where it will do
other work later.

chroot(2) changes nothing else. The working directory stays where it was, outside the new root, and ".." leads on to
all files of the host from there. The cure is one more call. (A program with the rights of root can climb out in spite
of it: `tinybox lab run escape-chroot` does. Level 4 has the better wall.)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.workshop.catalogue.fork_exec import ends
from tinybox.workshop.levels import Level
from tinybox.workshop.trial import ROOTFS, Attempt, nothing_runs, parent, same_file

if TYPE_CHECKING:
    from tinybox.workshop.trial import Trial


def check(trial: Trial) -> None:
    """Compare the root and the working directory of three processes: the program, the student's, and the check's."""
    with Attempt([ROOTFS, "sh"]) as attempt:
        attempt.ask("echo ready")
        program = attempt.program()
        trial.fact(
            parent(program) == attempt.pid,
            f"your process {attempt.pid} is the parent of the program {program}",
            f"PPid in /proc/{program}/status is {parent(program)}, not your process {attempt.pid}",
        )
        root = os.readlink(f"/proc/{program}/root")
        trial.fact(
            root == ROOTFS,
            f"/proc/{program}/root is {root}",
            f"/proc/{program}/root is {root}, not {ROOTFS}: the program sees other files; see chroot(2)",
        )
        trial.fact(
            os.readlink(f"/proc/{attempt.pid}/root") == "/",
            f"/proc/{attempt.pid}/root, of your own process, is /",
            f"/proc/{attempt.pid}/root is not /: you have locked in your own process, too; call chroot in the child",
        )
        at_root(trial, program)
    ends(trial, [ROOTFS])
    nothing_runs(trial)


def at_root(trial: Trial, program: int) -> None:
    """Require that the program's working directory is its root directory."""
    where = os.readlink(f"/proc/{program}/cwd")
    trial.fact(
        same_file(f"/proc/{program}/cwd", f"/proc/{program}/root"),
        f"/proc/{program}/cwd is the root of the program, too",
        f"/proc/{program}/cwd is {where}, not the new root: `cat ../etc/passwd` reads the host's; see chdir(2)",
    )


LEVEL = Level(
    usage="ROOT PROGRAM [ARGUMENT...]",
    pages="chroot(2), chdir(2), path_resolution(7)",
    hints=(
        "os.chroot(PATH) and os.chdir(PATH) are the two calls.",
        "Which of the two comes first? After chroot(root) the path root does not exist any more, but / does.",
    ),
    check=check,
)
