"""A root that cannot be left: pivot_root.

After chroot(2) the tree of the host is still in the mount namespace of the program: only its way to it is cut off, and
root finds another one. pivot_root(2) exchanges the root mount of the whole namespace. The old root is moved to a
directory of the new one, and can be unmounted there. Then the namespace has no mount of the host any more, and there is
nothing to climb out to.

The call wants a mount, not a directory, so the directory is bound to itself first. With "." for both arguments the old
root comes to lie over the new one, and the next umount2(2) of "." takes it away. It is busy, because the processes of
the host use it: MNT_DETACH takes it out of the tree nevertheless.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.linux import proc, process
from tinybox.workshop.catalogue.chroot import at_root
from tinybox.workshop.catalogue.fork_exec import ends
from tinybox.workshop.catalogue.mounts import host_mounts, nothing_leaks, own_namespace, own_proc
from tinybox.workshop.levels import Level
from tinybox.workshop.trial import ROOTFS, Attempt, mounts, nothing_runs

if TYPE_CHECKING:
    from tinybox.workshop.trial import Trial


def check(trial: Trial) -> None:
    """Enter the program's mount namespace by setns(2), and look what its root is and which mounts it has."""
    before = host_mounts()
    with Attempt([ROOTFS, "sh"]) as attempt:
        attempt.ask("echo ready")
        program = attempt.program()
        own_namespace(trial, program, attempt.pid)
        nothing_leaks(trial, before)
        root_of_namespace(trial, program)
        trial.fact(
            os.path.exists(f"/proc/{program}/root/bin/busybox"),
            f"/proc/{program}/root has the files of ROOT",
            f"/proc/{program}/root has not the files of ROOT",
        )
        own_proc(trial, program)
        at_root(trial, program)
    ends(trial, [ROOTFS])
    nothing_leaks(trial, before, "after the end ")
    nothing_runs(trial)


def root_of_namespace(trial: Trial, program: int) -> None:
    """Require that the namespace's root is the program's, and that no mount of the host is in it."""
    host = {(one.device, one.root) for one in mounts(1)}
    left = [one.point for one in mounts(program) if (one.device, one.root) in host]
    trial.fact(
        not left,
        f"no mount of the host is below the root of {program} (/proc/{program}/mountinfo)",
        f"/proc/{program}/mountinfo still has a mount of the host, on {' '.join(left[:1])}: see umount2(2)",
    )
    (device, inode, all_mounts), mine = look_from_its_root(program), os.stat(f"/proc/{program}/root")
    trial.fact(
        (device, inode) == (mine.st_dev, mine.st_ino),
        f"a process that joins the namespace by setns(2) has the same root as {program}",
        "a process that joins the mount namespace by setns(2) sees the host's files: its root mount is still the"
        " host's; see pivot_root(2)",
    )
    trial.fact(
        not any((one.device, one.root) in host for one in all_mounts),
        f"no mount of the host is anywhere in the namespace (mountinfo after setns(2): {len(all_mounts)} mounts)",
        "a mount of the host is left in the namespace: see umount2(2)",
    )


def look_from_its_root(program: int) -> tuple[int, int, list[proc.Mount]]:
    """Return device and inode of the root of a namespace, and all its mounts, as a child sees them that joins it."""
    output, input_ = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            processes = os.open("/proc", os.O_PATH)
            fd = os.open(f"/proc/{program}/ns/mnt", os.O_RDONLY)
            process.setns(fd, process.CLONE_NEWNS)
            root = os.stat("/")
            with open(os.open("self/mountinfo", os.O_RDONLY, dir_fd=processes), encoding="utf-8") as file:
                text = file.read()
            os.write(input_, f"{root.st_dev} {root.st_ino}\n{text}".encode())
        finally:
            os._exit(0)
    os.close(input_)
    with open(output, encoding="utf-8") as file:
        first, _, text = file.read().partition("\n")
    os.waitpid(child, 0)
    device, inode = first.split()
    return int(device), int(inode), proc.mountinfo(text)


LEVEL = Level(
    usage="ROOT PROGRAM [ARGUMENT...]",
    pages="pivot_root(2), umount2(2), mount_namespaces(7), setns(2)",
    hints=(
        "Paths are bytes: os.fsencode(root). A bind mount has a source, a target and the flag MS_BIND; no type.",
        "The order is: unshare, private, bind, proc, chdir to ROOT, pivot_root('.', '.'), umount2('.'), chdir to /.",
        (
            "If pivot_root(2) gives EINVAL, the new root is no mount, or a mount is still shared."
            " EBUSY of umount2(2) means that MNT_DETACH is missing."
        ),
    ),
    check=check,
)
