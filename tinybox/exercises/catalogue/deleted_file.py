"""Get a deleted file back from the layer below.

A box cannot change the layers of its image. When it deletes a file of the image, overlayfs only makes a whiteout in the
upper directory, a device 0:0, which hides the file. The file itself is still in the lower layer.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Any

from tinybox.exercises import course

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

FILES = ("/etc/passwd", "/etc/group", "/etc/services", "/etc/protocols", "/etc/profile", "/etc/alpine-release")


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw a box, and the file that is deleted in it."""
    boxes = course.boxes(draws, "deleted-file", 1)
    return {"boxes": boxes, "box": boxes[0], "file": draws.choice(FILES)}


def prepare(scene: Scene) -> None:
    """Make a box whose program deletes a file of the image."""
    box, file = scene.numbers["box"], scene.numbers["file"]
    scene.box(box, "sh", "-c", f"rm {file}; exec sleep 1000000")
    scene.until(lambda: not os.path.lexists(scene.inside(box, file)), "the deletion")
    scene.note("program", scene.program(box))


def check(scene: Scene, answer: str) -> None:
    """Compare the file that the box sees with the one in the lower layer."""
    del answer
    box, file = scene.numbers["box"], scene.numbers["file"]
    upper, lowers = scene.overlay(box)
    lower = next(lower for lower in lowers if os.path.lexists(lower + file))
    scene.need(scene.still("program"), "the program of the box was to go on, and has ended: start --again")
    if os.path.lexists(upper + file) and stat.S_ISCHR((found := os.lstat(upper + file)).st_mode):
        number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        scene.saw("in the upper directory", f"a character device {number}", f"stat {upper}{file}")
    seen = scene.inside(box, file)
    scene.need(os.path.isfile(seen), f"the box sees no file {file}: {seen}")
    wanted, given = (scene.saw(name, digest(path), f"sha256sum {path}") for name, path in
                     (("in the lower layer", lower + file), ("in the box", seen)))  # fmt: skip
    scene.need(given == wanted, f"the file {file} in the box has another content than the one in the image")
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (lower + file, seen)]
    scene.saw("modes", " and ".join(f"{mode:o}" for mode in modes), f"stat -c %a {lower}{file} {seen}")
    scene.need(modes[0] == modes[1], f"the file {file} has the mode {modes[1]:o}, in the image it has {modes[0]:o}")


def digest(path: str) -> str:
    """Return the beginning of the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(1 << 24)).hexdigest()[:16]


EXERCISE = course.Exercise(
    task="A program in the box {box} has deleted the file {file} of its image. Give the box this file back, with the"
    " same"
    " content and mode, while its program runs. lowerdir in /proc/PID/mountinfo names the layer below; `tinybox cp`"
    " copies between boxes and the host.",
    hints=(
        "`tinybox diff {box}` shows D in front of the file: the box has a whiteout, the image still has the file.",
        "Another box of the same image has the file. `tinybox create alpine` makes one without running it.",
        "`tinybox cp -a` keeps the mode: from the other box to the host, and from there into {box}.",
    ),
    solution="Copy it from the layer below, which lowerdir in mountinfo names:\n"
    "  pid=$(tinybox inspect -f '{{{{.State.Pid}}}}' {box})\n"
    "  lower=$(grep ' / / ' /proc/$pid/mountinfo | sed 's/.*lowerdir=\\([^,:]*\\).*/\\1/')\n"
    "  tinybox cp -a $lower{file} {box}:{file}",
    draw=draw,
    prepare=prepare,
    check=check,
)
