"""One image, many boxes: overlay.

The box of level 4 writes into ROOT, so a second box sees what the first one has changed. An overlay shows two
directories as one: files are read from the lower directory unless the upper one has a file of the same name. A change
goes to the upper directory only. The first write copies the whole file up; a deletion leaves a mark there, a character
device 0:0, which hides the file below. The work directory is the kernel's, and lies in the same file system as the
upper one.

So one image serves any number of boxes, and a box is as large as its changes. These are kept in the directory BOX, and
are there again when a box with the same directory starts. The merged directory is a mount already: pivot_root(2) needs
no bind mount any more.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tinybox.workshop.catalogue.chroot import at_root
from tinybox.workshop.catalogue.fork_exec import ends
from tinybox.workshop.catalogue.mounts import host_mounts, nothing_leaks, own_namespace, own_proc
from tinybox.workshop.catalogue.pivot_root import root_of_namespace
from tinybox.workshop.levels import Level
from tinybox.workshop.spare_host import PLACE
from tinybox.workshop.trial import ROOTFS, Attempt, mounts, nothing_runs

if TYPE_CHECKING:
    from tinybox.workshop.trial import Trial

BOX, OTHER = f"{PLACE}/box", f"{PLACE}/other"
LOST = "etc/passwd"


def check(trial: Trial) -> None:
    """Change files in one box; look for the changes in its upper directory, in the image, and in two other boxes."""
    before = host_mounts()
    with Attempt([ROOTFS, BOX, "sh"]) as attempt:
        attempt.ask("echo ready")
        program = attempt.program()
        own_namespace(trial, program, attempt.pid)
        nothing_leaks(trial, before)
        root_of_namespace(trial, program)
        changes(trial, attempt, overlay_of(trial, program))
        own_proc(trial, program)
        at_root(trial, program)
    for box, there, why in ((BOX, "mine", "starts again"), (OTHER, "", "is another one")):
        with Attempt([ROOTFS, box, "sh"]) as attempt:
            found = attempt.ask("test -e note && cat note")
        missing = f"a box that {why} reads {found!r} in the file that the first one wrote, expected {there!r}"
        trial.fact(found == there, f"a box that {why} reads {found!r} in the file that the first one wrote", missing)
    ends(trial, [ROOTFS, OTHER])
    nothing_leaks(trial, before, "after the end ")
    nothing_runs(trial)


def overlay_of(trial: Trial, program: int) -> str:
    """Require that the program's root is an overlay over the image; return its upper directory."""
    root = [one for one in mounts(program) if one.point == "/"][-1]
    options = dict(option.partition("=")[::2] for option in root.super_options)
    trial.fact(
        root.type == "overlay",
        f"the root of {program} is an overlay (/proc/{program}/mountinfo)",
        f"/proc/{program}/mountinfo: the root is of the type {root.type}, no overlay; see mount(2)",
    )
    lower, upper = options.get("lowerdir", ""), options.get("upperdir", "no upper directory")
    trial.fact(lower == ROOTFS, f"its lowerdir is {lower}", f"its lowerdir is {lower}, not {ROOTFS}")
    trial.fact(
        upper.startswith(f"{BOX}/"),
        f"its upperdir is {upper}",
        f"its upperdir is {upper}: the changes of a box belong below its directory {BOX}",
    )
    return upper


def changes(trial: Trial, attempt: Attempt, upper: str) -> None:
    """Write one file and delete another in the box; require both in the directory *upper*, and none in the image."""
    written = attempt.ask("echo mine > note && cat note")
    trial.fact(
        written == "mine" and os.path.exists(f"{upper}/note") and not os.path.exists(f"{ROOTFS}/note"),
        f"a new file of the box is {upper}/note, and not in {ROOTFS}",
        f"a new file of the box is not {upper}/note, or it is in {ROOTFS}",
    )
    attempt.ask(f"rm {LOST}")
    mark = os.stat(f"{upper}/{LOST}") if os.path.exists(f"{upper}/{LOST}") else None
    trial.fact(
        mark and stat.S_ISCHR(mark.st_mode) and mark.st_rdev == 0 and os.path.exists(f"{ROOTFS}/{LOST}"),
        f"a deleted file is a character device 0:0 in {upper}, and is still in {ROOTFS}",
        f"a file that the box deletes leaves no mark in {upper}, or is lost in {ROOTFS}",
    )


LEVEL = Level(
    usage="ROOT BOX PROGRAM [ARGUMENT...]",
    pages="mount(2), mount(8), mkdir(2)",
    hints=(
        "The type is overlay; its options are the last argument of mount(2): b'lowerdir=...,upperdir=...,workdir=...'.",
        "os.makedirs(PATH, exist_ok=True) makes a directory and those above it.",
        "The kernel writes the reason of an EINVAL to its log: dmesg | tail -1.",
    ),
    check=check,
)
