"""Find how much a few added bytes have copied.

overlayfs copies files, not blocks: at the first write, the file is copied from the lower layer to the upper directory
of the box. So one byte may cost megabytes, and the box gets its own copy of what all boxes shared.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from tinybox.exercises import course

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

FOLDERS = ("/lib", "/sbin", "/usr/lib", "/usr/bin", "/etc/ssl/certs")
LEAST = 50_000  # bytes: files that are worth a look
SCRIPT = """until [ -s /shared/file ]; do usleep 5000; done
read file < /shared/file
head -c $MORE /dev/zero >> "$file"; head -c 123456 /dev/zero > /var/new
: > /shared/done; exec sleep 1000000"""
APART = ("ld-musl", "busybox")  # programs that run in the box


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw a box, which of the large files of the image is written to, and how many bytes are added."""
    boxes = course.boxes(draws, "copy-up", 1)
    return {"boxes": boxes, "box": boxes[0], "which": draws.random(), "more": draws.randint(3, 99)}


def large_files(layers: list[str]) -> list[str]:
    """Return the paths of the large files of these layers, as a box sees them, in a fixed order."""
    folders = [(layer, folder) for layer in layers for folder in FOLDERS if os.path.isdir(layer + folder)]
    paths = {(layer, f"{folder}/{name}") for layer, folder in folders for name in os.listdir(layer + folder)}
    large = {path for layer, path in paths if os.path.lexists(layer + path) and is_large(os.lstat(layer + path))}
    return sorted(path for path in large if not os.path.basename(path).startswith(APART))


def is_large(found: os.stat_result) -> bool:
    """Return whether this is a regular file of many bytes."""
    return stat.S_ISREG(found.st_mode) and found.st_size >= LEAST


def prepare(scene: Scene) -> None:
    """Make a box, and let a program in it add bytes to one file; it also makes files that are new."""
    box = scene.numbers["box"]
    env = [f"MORE={scene.numbers['more']}"]
    scene.box(box, "sh", "-c", SCRIPT, volume=[f"{scene.folder}:/shared"], env=env)
    files = large_files(scene.overlay(box)[1])
    scene.put("draft", files[int(scene.numbers["which"] * len(files))] + "\n")
    os.rename(f"{scene.folder}/draft", f"{scene.folder}/file")
    scene.until(lambda: os.path.exists(f"{scene.folder}/done"), "the write")
    os.unlink(f"{scene.folder}/file")


def check(scene: Scene, answer: str) -> None:
    """Find the file that is in both layers, and compare its size with the answer."""
    upper, lowers = scene.overlay(scene.numbers["box"])
    source = f"upperdir and lowerdir in /proc/{scene.pid(scene.numbers['box'])}/mountinfo"
    both = [path for path in large_files([upper]) if any(os.path.exists(lower + path) for lower in lowers)]
    scene.need(len(both) == 1, "the upper directory has no file of the image any more, or several: start --again")
    size = os.path.getsize(upper + both[0])
    scene.saw("upper directory", upper, source)
    scene.need(answer.isdecimal(), f"the answer is no number of bytes: {answer}")
    scene.need(int(answer) == size, f"the copy in the upper directory does not have {answer} bytes")
    scene.saw("the copy", f"{both[0]}: {size} bytes", f"stat {upper}{both[0]}")
    lower = next(lower for lower in lowers if os.path.exists(lower + both[0]))
    scene.saw("the original", f"{os.path.getsize(lower + both[0])} bytes", f"stat {lower}{both[0]}")


EXERCISE = course.Exercise(
    task="A program in the box {box} has added a few bytes to one file of the image. How many bytes has the copy of"
    " this"
    " file in the upper directory of the box now? `tinybox diff` lists what a box has changed; /proc/PID/mountinfo"
    " names"
    " the upper and the lower directories.",
    hints=(
        "`tinybox diff {box}` marks a new file with A, and a changed one with C; directories change, too.",
        "`tinybox exec {box} stat FILE` shows the size; the upper directory (upperdir in mountinfo) has the same file.",
        "It is the size of the whole file, not the {more} bytes that were added.",
    ),
    solution="Find the file with C in front, and print its size:\n  for f in $(tinybox diff {box} | sed -n 's/^C"
    " //p'); do tinybox exec {box} stat -c '%s %F %n' $f; done",
    draw=draw,
    prepare=prepare,
    check=check,
    answer="BYTES",
)
