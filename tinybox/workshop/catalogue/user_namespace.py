"""Without root: the user namespace.

All levels before this one but the first need root: chroot(2) asks for CAP_SYS_CHROOT, and clone3(2) with a new
namespace for CAP_SYS_ADMIN. One namespace does not: any user may make a user namespace. Its first process has all
capabilities, but only over what belongs to this namespace: the other namespaces that are made in it, so also the
mounts, the host name and the processes of the box. It has none over the host: it cannot load a module, read the files
of others, or make a device file.

A map says which users the ids inside are. A user without root may map one id, the own one. Make it id 0, and root of
the box is you: what the box writes is yours, outside. The map is a line in /proc/PID/uid_map, written once, by the
parent: so the child has to wait. Groups have gid_map, with one condition more: setgroups(2) has to be given up first,
because a group can also take rights away, and a process could leave such a group. (For more ids the administrator gives
ranges in /etc/subuid, and newuidmap(1), a set-user-ID program, writes them. `tinybox run` without root does so.)

Limits, and the end of a cable on the host, need rights over the host, so this level goes on from level 7. It is also
the only one, beside level 1, that you can run by hand without sudo.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.linux import proc
from tinybox.workshop.catalogue.capabilities import status
from tinybox.workshop.catalogue.fork_exec import ends
from tinybox.workshop.catalogue.host_name import own_uts
from tinybox.workshop.catalogue.mounts import host_mounts, nothing_leaks, own_namespace, own_proc
from tinybox.workshop.catalogue.overlay import BOX, OTHER, overlay_of
from tinybox.workshop.catalogue.pid_1 import numbers, own_processes
from tinybox.workshop.catalogue.pivot_root import root_of_namespace
from tinybox.workshop.levels import Level
from tinybox.workshop.ordinary_user import become_ordinary, read_as
from tinybox.workshop.trial import ROOTFS, Attempt, namespace, nothing_runs, read

if TYPE_CHECKING:
    from tinybox.workshop.trial import Trial


def check(trial: Trial) -> None:
    """Run the student's program without root; read the maps and the rights of the program, and let it use them."""
    trial.options = become_ordinary(ROOTFS, BOX, OTHER)
    before, name = host_mounts(), os.uname().nodename
    with Attempt([ROOTFS, BOX, "sh"], trial.options) as attempt:
        attempt.ask("echo ready")
        program, rights = attempt.program(), status(attempt.pid)["CapEff"]
        trial.fact(
            int(rights, 16) == 0,
            f"your own process has no capability: CapEff is {rights} (/proc/{attempt.pid}/status)",
            f"your own process has capabilities: CapEff is {rights} (/proc/{attempt.pid}/status)",
        )
        own_user_namespace(trial, program, attempt.pid)
        own_namespace(trial, program, attempt.pid)
        root_of_namespace(trial, program)
        overlay_of(trial, program)
        own_uts(trial, program, attempt.pid, name)
        numbers(trial, program)
        own_proc(trial, program)
        own_processes(trial, attempt)
        is_root_inside(trial, attempt, program)
        is_not_root_outside(trial, attempt)
    ends(trial, [ROOTFS, OTHER])
    nothing_leaks(trial, before, "after the end ")
    nothing_runs(trial)


def own_user_namespace(trial: Trial, program: int, own: int) -> None:
    """Require a user namespace in which id 0 is the student, for users and for groups, and setgroups(2) is denied."""
    there, here = namespace(program, "user"), namespace(own, "user")
    trial.fact(
        there != here,
        f"/proc/{program}/ns/user is {there}, that of your own process is {here}",
        f"/proc/{program}/ns/user is {there}, as of your own process: the program has no user namespace of its own",
    )
    for file, field in (("uid_map", "Uid"), ("gid_map", "Gid")):
        outside = int(proc.status(read_as(own, own, "status"))[field].split()[0])
        found = proc.id_map(read_as(own, program, file))
        trial.fact(
            found == [(0, outside, 1)],
            f"/proc/{program}/{file}: id 0 in the box is your id {outside} outside",
            f"/proc/{program}/{file} has {found}, expected 0 {outside} 1: id 0 inside, your id outside, one id",
        )
    answer = read(program, "setgroups").strip()
    trial.fact(
        answer == "deny",
        f"/proc/{program}/setgroups is {answer}",
        f"/proc/{program}/setgroups is {answer}, expected deny",
    )


def is_root_inside(trial: Trial, attempt: Attempt, program: int) -> None:
    """Require that the program is root in the box, and has capabilities there."""
    found, rights = attempt.ask("id -u"), status(program)["CapEff"]
    trial.fact(found == "0", "`id -u` in the box: 0", f"`id -u` in the box: {found}, expected 0; see uid_map")
    trial.fact(
        int(rights, 16),
        f"the program has capabilities over its namespaces: CapEff is {rights} (/proc/{program}/status)",
        f"the program has no capabilities: CapEff is {rights} (/proc/{program}/status); it has to be root at execve(2)",
    )
    name = attempt.ask("hostname mine && hostname")
    trial.fact(name == "mine", "`hostname mine` succeeds in the box", "`hostname mine` fails in the box")


def is_not_root_outside(trial: Trial, attempt: Attempt) -> None:
    """Let the box write a file, which is the student's outside, and try to make a device file, which it may not."""
    attempt.ask("touch note")
    owner, student = os.stat(f"{BOX}/upper/note").st_uid, int(status(attempt.pid)["Uid"].split()[0])
    trial.fact(
        owner == student,
        f"a file that root of the box makes belongs to you outside ({BOX}/upper/note)",
        f"a file that root of the box makes belongs to user {owner} outside, and you are {student} ({BOX}/upper/note)",
    )
    found = attempt.ask("mknod disk b 8 0 2> /dev/null && echo succeeds || echo fails")
    sentence = f"`mknod disk b 8 0` {found} in the box: a device belongs to the host, see mknod(2)"
    trial.fact(found == "fails", sentence, sentence)


LEVEL = Level(
    usage="ROOT BOX PROGRAM [ARGUMENT...]",
    pages="user_namespaces(7), capabilities(7), clone(2), newuidmap(1), setgroups(2)",
    hints=(
        "The flag is process.CLONE_NEWUSER. With the others in one call, the kernel makes the user namespace first.",
        "os.getuid() and os.getgid() are your ids. A map has three numbers: the first id inside, outside, how many.",
        "EPERM for gid_map: is deny in setgroups? EPERM for uid_map: is it the parent's id, one id, written once?",
    ),
    check=check,
)
