"""Mounts of one's own, and a /proc.

A mount namespace is a list of mounts. unshare(2) gives the calling process a copy of its list; from then on the two
lists are apart, with one exception: under systemd all mounts are *shared*. A mount made below a shared mount appears in
every copy of the list, so the host would get the mounts of your box. Propagation is a property of each single mount,
not of the namespace: the whole tree has to be made private (or a slave, which only receives), before the first mount.

/proc is no directory of the disk but a file system that the kernel makes up when it is read. Below the new root there
is only an empty directory of that name: ps(1) shows nothing, until a proc is mounted on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinybox.workshop.catalogue.chroot import at_root
from tinybox.workshop.catalogue.fork_exec import ends
from tinybox.workshop.levels import Level
from tinybox.workshop.trial import ROOTFS, Attempt, mounts, namespace, nothing_runs

if TYPE_CHECKING:
    from tinybox.workshop.trial import Trial


def check(trial: Trial) -> None:
    """Compare the mounts of the host before, during and after; look for the program's /proc."""
    before = host_mounts()
    with Attempt([ROOTFS, "sh"]) as attempt:
        attempt.ask("echo ready")
        program = attempt.program()
        own_namespace(trial, program, attempt.pid)
        nothing_leaks(trial, before)
        own_proc(trial, program)
        at_root(trial, program)
        comm = attempt.ask("cat /proc/self/comm")
        trial.fact(comm == "cat", "`cat /proc/self/comm` in the box: cat", "`cat /proc/self/comm` fails in the box")
    ends(trial, [ROOTFS])
    nothing_leaks(trial, before, "after the end ")
    nothing_runs(trial)


def host_mounts() -> set[tuple[int, str, str]]:
    """Return the mounts of the spare host: id, type and mount point."""
    return {(one.mount_id, one.type, one.point) for one in mounts(1)}


def own_namespace(trial: Trial, program: int, own: int) -> None:
    """Require that the program has a mount namespace of its own, and the student's process has the host's."""
    there, here, host = namespace(program, "mnt"), namespace(own, "mnt"), namespace(1, "mnt")
    trial.fact(
        there != host,
        f"/proc/{program}/ns/mnt is {there}, the host's is {host}",
        f"/proc/{program}/ns/mnt is {there}, as on the host: the program has no mount namespace of its own; unshare(2)",
    )
    trial.fact(
        here == host,
        f"/proc/{own}/ns/mnt, of your own process, is the host's",
        f"/proc/{own}/ns/mnt is not the host's: your own process has left it, too; call unshare in the child",
    )


def nothing_leaks(trial: Trial, before: set[tuple[int, str, str]], when: str = "") -> None:
    """Require that the host's mounts are those of *before*; *when* begins the sentence about them."""
    more = ", ".join(sorted(f"{kind} on {point}" for _, kind, point in host_mounts() - before))
    fewer = ", ".join(sorted(f"{kind} on {point}" for _, kind, point in before - host_mounts()))
    trial.fact(
        not more,
        f"{when}the host has no mount of the box (/proc/1/mountinfo)",
        f"{when}the host has got a mount: {more} (/proc/1/mountinfo): first make all mounts private, MS_REC too",
    )
    trial.fact(
        not fewer,
        f"{when}the host has lost no mount",
        f"{when}the host has lost a mount: {fewer} (/proc/1/mountinfo): first make all mounts private, MS_REC too",
    )


def own_proc(trial: Trial, program: int) -> None:
    """Require that a proc is mounted on /proc of the program, and that it is not the host's."""
    found = [one for one in mounts(program) if one.point == "/proc"]
    host = [one for one in mounts(1) if one.point == "/proc"][-1]
    trial.fact(
        found and found[-1].type == "proc",
        f"proc is mounted on /proc (/proc/{program}/mountinfo)",
        f"/proc/{program}/mountinfo has no proc on /proc: mount one on the directory proc of ROOT; see mount(2)",
    )
    trial.fact(
        found[-1].device != host.device,
        f"it is a file system of its own: device {found[-1].device}, the host's is {host.device}",
        f"the proc in the box is the host's, device {host.device} in both mountinfo: mount a new one, no bind mount",
    )


LEVEL = Level(
    usage="ROOT PROGRAM [ARGUMENT...]",
    pages="mount_namespaces(7), unshare(2), mount(2), proc(5)",
    hints=(
        (
            "tinybox.linux.mount.mount has the five arguments of mount(2): source, target, type, flags, data."
            " Paths are bytes, and b'' stands for an argument that is not used."
        ),
        "Propagation is changed by a call with a target and flags only: mount.mount(b'', b'/', b'', FLAGS, b'').",
        "findmnt -o TARGET,PROPAGATION shows which mounts are shared. Without MS_REC only / itself becomes private.",
    ),
    check=check,
)
