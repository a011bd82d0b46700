"""A name of its own: the UTS namespace.

The smallest namespace has two strings: the host name and the domain name of uname(2). UTS means UNIX Time-sharing
System, a word from the first versions of that call. It shows in three lines what all namespaces have in common: the
global thing is copied for the process that calls unshare(2), its children inherit the copy, and what they change there
is not seen outside.

The order counts: a name that is set before unshare(2) is the host's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.workshop.catalogue.fork_exec import ends
from tinybox.workshop.catalogue.mounts import host_mounts, nothing_leaks, own_namespace
from tinybox.workshop.catalogue.overlay import BOX, OTHER, overlay_of
from tinybox.workshop.catalogue.pivot_root import root_of_namespace
from tinybox.workshop.levels import Level
from tinybox.workshop.trial import ROOTFS, Attempt, namespace, nothing_runs

if TYPE_CHECKING:
    from tinybox.workshop.trial import Trial


def check(trial: Trial) -> None:
    """Compare the host names and the UTS namespaces of the host and of two boxes."""
    before, name = host_mounts(), os.uname().nodename
    with Attempt([ROOTFS, BOX, "sh"]) as attempt, Attempt([ROOTFS, OTHER, "sh"]) as other:
        attempt.ask("echo ready")
        program = attempt.program()
        own_namespace(trial, program, attempt.pid)
        root_of_namespace(trial, program)
        overlay_of(trial, program)
        own_uts(trial, program, attempt.pid, name)
        for each, wanted in ((attempt, "box"), (other, "other")):
            found = each.ask("hostname")
            missing = f"`hostname` in the box: {found}, expected {wanted}, the last part of BOX; see gethostname(2)"
            trial.fact(found == wanted, f"`hostname` in the box: {found}", missing)
    ends(trial, [ROOTFS, OTHER])
    nothing_leaks(trial, before, "after the end ")
    nothing_runs(trial)


def own_uts(trial: Trial, program: int, own: int, name: str) -> None:
    """Require that the program has a UTS namespace of its own, and that the host is still called *name*."""
    there, host = namespace(program, "uts"), namespace(1, "uts")
    trial.fact(
        there != host,
        f"/proc/{program}/ns/uts is {there}, the host's is {host}",
        f"/proc/{program}/ns/uts is {there}, as on the host: the program has no UTS namespace of its own; unshare(2)",
    )
    trial.fact(
        namespace(own, "uts") == host,
        f"/proc/{own}/ns/uts, of your own process, is the host's",
        f"/proc/{own}/ns/uts is not the host's: your own process has left it, too",
    )
    now = os.uname().nodename
    trial.fact(
        now == name,
        f"the host is still called {now} (/proc/sys/kernel/hostname)",
        f"the host is called {now} now, and was called {name}: first leave the host's UTS namespace, then set the name",
    )


LEVEL = Level(
    usage="ROOT BOX PROGRAM [ARGUMENT...]",
    pages="uts_namespaces(7), gethostname(2), uname(2), unshare(2)",
    hints=(
        "process.unshare(process.CLONE_NEWUTS) and socket.sethostname(NAME) are the two calls.",
        "A student who renames the host by mistake renames the spare host only. lsns -t uts lists the namespaces.",
    ),
    check=check,
)
