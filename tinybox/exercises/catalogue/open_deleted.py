"""Read a deleted file that is still open.

A name in a directory and a file are two things. unlink(2) removes the name; the kernel frees the file when the last
descriptor of it is closed. Until then /proc/PID/fd/N leads to the file, also from outside the box.
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

SCRIPT = (
    "cp /shared/word /tmp/notes; (exec sleep 1000000) & (exec sleep 1000000) &"
    " exec {fd}</tmp/notes; rm /tmp/notes; sleep 1000000 & wait"
)


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw a box, the number of a descriptor, and a word."""
    boxes = course.boxes(draws, "open-deleted", 1)
    word = f"{draws.choice(course.WORDS)}-{draws.randrange(10**6):06}"
    return {"boxes": boxes, "box": boxes[0], "fd": draws.randint(4, 9), "word": word}


def prepare(scene: Scene) -> None:
    """Let a program open a file with a word and delete it; then remove the host's file with the word, too."""
    word = scene.put("word", f"{scene.numbers['word']}\n")
    script = SCRIPT.format(**scene.numbers)
    scene.box(scene.numbers["box"], "sh", "-c", script, volume=[f"{scene.folder}:/shared:ro"])
    scene.until(lambda: holders(scene), "the deleted file")
    os.unlink(word)


def holders(scene: Scene) -> dict[str, str]:
    """Return the links /proc/PID/fd/N of the box's processes that lead to a deleted file, with what they show."""
    links: dict[str, str] = {}
    for pid in scene.processes(scene.numbers["box"]):
        folder = f"/proc/{pid}/fd"
        shown = {f"{folder}/{fd}": proc.link(f"{folder}/{fd}") for fd in os.listdir(folder)}
        links |= {path: target for path, target in shown.items() if target.endswith("/notes (deleted)")}
    return links


def check(scene: Scene, answer: str) -> None:
    """Read the file through the descriptor, and compare."""
    found = holders(scene)
    scene.need(found, "no process holds the file any more, so the kernel has freed it: start --again")
    path, target = min(found.items())
    scene.saw("the descriptor leads to", target, f"readlink {path}")
    content = look.text(path)
    scene.need(answer == content, f"this is not the word in the file: {answer}")
    scene.saw("the word", content, f"cat {path}")


EXERCISE = course.Exercise(
    task="A program in the box {box} has opened the file /tmp/notes, and then deleted it. There is a word in the file."
    " Find the word. The program must not end. /proc/PID/fd shows the open files of a process.",
    hints=(
        "`tinybox top {box}` lists the processes. `ls -l /proc/PID/fd` shows where each descriptor leads.",
        "A link that ends with (deleted) can still be read: the kernel follows it to the file, not to the name.",
        "The descriptor has the number {fd}.",
    ),
    solution="Read the descriptor {fd} of the process that has it:\n"
    "  for p in $(tinybox top {box} -o pid | tail -n +2); do cat /proc/$p/fd/{fd} 2>/dev/null; done",
    draw=draw,
    prepare=prepare,
    check=check,
    answer="WORD",
)
