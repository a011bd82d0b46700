"""Read a file that a mount hides.

A mount hides what is below its mount point, it does not remove it. A process in the box sees an empty directory. The
list of mounts, /proc/PID/mountinfo, shows both the file system below and the one above.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tinybox.exercises import course
from tinybox.lab import look
from tinybox.linux import proc

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw a box, a directory, and a word."""
    boxes = course.boxes(draws, "hidden-file", 1)
    folder = draws.choice(course.WORDS)
    return {
        "boxes": boxes,
        "box": boxes[0],
        "folder": folder,
        "word": f"{draws.choice(course.WORDS)}-{draws.randrange(10**6):06}",
    }


def prepare(scene: Scene) -> None:
    """Make a box with a directory of the host, and an empty tmpfs over a part of it."""
    folder = scene.numbers["folder"]
    for each in course.WORDS:
        os.makedirs(f"{scene.folder}/{each}")
    scene.put(f"{folder}/word", f"{scene.numbers['word']}\n")
    scene.box(scene.numbers["box"], "sleep", "1000000", volume=[f"{scene.folder}:/srv"], tmpfs=[f"/srv/{folder}"])


def check(scene: Scene, answer: str) -> None:
    """Show the mounts below /srv, and compare the answer with the word in the hidden file."""
    box, folder = scene.numbers["box"], scene.numbers["folder"]
    pid = scene.pid(box)
    for mount in proc.mountinfo(look.text(f"/proc/{pid}/mountinfo")):
        if mount.point.startswith("/srv"):
            scene.saw(f"on {mount.point}", f"{mount.type} {mount.root}", f"/proc/{pid}/mountinfo")
    word = look.text(f"{scene.folder}/{folder}/word")
    scene.need(answer == word, f"this is not the word in the hidden file: {answer}")
    scene.saw("the word", word, f"cat {scene.folder}/{folder}/word")


EXERCISE = course.Exercise(
    task="The directory /srv/{folder} of the box {box} seems to be empty, but it has a file with the name `word`, which"
    " something hides. Which word is in the file? The box has to go on. /proc/PID/mountinfo lists what is mounted"
    " where:"
    " the fourth field is the directory of that file system, the fifth the place in the box.",
    hints=(
        "Two lines of /proc/PID/mountinfo are about /srv: one on /srv, one on /srv/{folder}.",
        "The mount on /srv is a directory of the host: its path on its disk is the fourth field of the line.",
        "`tinybox inspect {box}` has it under Mounts: Source. On the host, nothing is mounted over it.",
    ),
    solution="Read the file where nothing hides it:\n"
    "  cat $(tinybox inspect -f '{{{{range .Mounts}}}}{{{{.Source}}}}{{{{end}}}}' {box})/{folder}/word",
    draw=draw,
    prepare=prepare,
    check=check,
    answer="WORD",
)
