"""Copy-on-write of files: the image below, the box's changes above.

overlayfs shows two directories as one. Files that are only read come from the lower one, the image, which all boxes
share. The first write to a file copies the whole file up, however small the change. A deletion makes a mark in the
upper directory, a character device with the number 0:0, which hides the file below. So the upper directory contains all
that the box has changed.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from tinybox.container.records import spec
from tinybox.lab import inside
from tinybox.lab.course import Lab
from tinybox.linux.filesystem import files
from tinybox.pictures.series import Layer, Layers

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

WRITTEN, DELETED = "bin/busybox", "etc/group"


class Sum(NamedTuple):
    """The size and the digest of a file."""

    size: int
    digest: str


def change(written: str, deleted: str) -> None:
    """In the box: append one byte to one file, and delete another."""
    fd = os.open(written, os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"!")
    os.close(fd)
    os.unlink(deleted)
    inside.send("done")
    inside.receive_line()


def summed(path: str) -> Sum:
    """Return size and digest of a file."""
    with open(path, "rb") as file:
        content = file.read()
    return Sum(len(content), hashlib.sha256(content).hexdigest())


def check(bench: Bench, *, feature: bool) -> None:
    """Change files in a box, in its root or in a volume, and compare the lower and the upper directory."""
    folder = tempfile.TemporaryDirectory(prefix="tinybox-lab-")
    bench.closing(folder.cleanup)
    for name in (WRITTEN, DELETED):
        os.makedirs(os.path.dirname(f"{folder.name}/{name}"), exist_ok=True)
        with open(f"{folder.name}/{name}", "wb") as file:
            file.write(b"x" * 100_000)
    top = "" if feature else "/volume"
    with bench.box(change, f"{top}/{WRITTEN}", f"{top}/{DELETED}", volume=[f"{folder.name}:/volume"]) as box:
        lower = box.container.annotations[spec.LAYERS].split(":")[-1]
        upper = os.path.join(box.container.bundle, "upper")
        before = summed(f"{lower}/{WRITTEN}")
        box.receive()
        after = summed(f"{lower}/{WRITTEN}")
        seen = os.stat(box.path(f"{top}/{WRITTEN}")).st_size
        opened = os.open(upper, os.O_RDONLY | os.O_DIRECTORY)
        bench.closing(lambda: os.close(opened))
        names = sorted(name for _, _, others in files.walk(opened) for name in others)
        copied, mark = status(f"{upper}/{WRITTEN}"), status(f"{upper}/{DELETED}")
    bench.on_host("lower", f"{after.size} bytes, sha256 {after.digest[:12]}", f"the image's {WRITTEN}")
    bench.in_box("the file", f"{seen} bytes", f"stat {top}/{WRITTEN}")
    bench.on_host("upper", " ".join(names) or "empty", "find upper -type f -o -type c")
    if copied is not None:
        bench.on_host("copied up", f"{copied.st_blocks * 512} bytes", f"blocks of upper/{WRITTEN}")
    if mark is not None:
        bench.on_host("deleted", f"{stat.filemode(mark.st_mode)} {mark.st_rdev}", f"stat upper/{DELETED}: mode, device")
    kept = os.path.exists(f"{lower}/{DELETED}")
    draw(bench, [(WRITTEN, f"{after.size} bytes"), *([(DELETED, "still there")] if kept else [])], copied, mark)
    bench.claim("the image below is unchanged", before == after and kept)
    bench.claim("writing one byte copied the whole file up", copied is not None and copied.st_size == before.size + 1)
    bench.claim("a deletion is a character device 0:0", mark is not None and is_whiteout(mark))


def status(path: str) -> os.stat_result | None:
    """Return the result of lstat(2) for *path*, None if there is no such file."""
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def draw(
    bench: Bench, below: list[tuple[str, str]], copied: os.stat_result | None, mark: os.stat_result | None
) -> None:
    """Note what each layer has of the two files, as one picture."""
    upper = [(WRITTEN, f"{copied.st_size} bytes")] if copied else []
    upper += [(DELETED, f"{stat.filemode(mark.st_mode)} 0:0, a whiteout")] if mark and is_whiteout(mark) else []
    seen = [(WRITTEN, "from upper" if copied else "from lower"), *([] if mark else [(DELETED, "from lower")])]
    layers = [Layer("what the box sees", seen), Layer("upper: its own", upper),
              Layer("lower: the image", below)]  # fmt: skip
    says = "The upper layer covers the lower one: the box sees the upper file, and no file that has a whiteout."
    bench.draw(Layers("One byte written, one file deleted", says, "lstat(2) of the files in each directory", layers))


def is_whiteout(mark: os.stat_result) -> bool:
    """Return whether this is the mark of a deletion; see "whiteouts" in the kernel's overlayfs documentation."""
    return stat.S_ISCHR(mark.st_mode) and mark.st_rdev == 0


LAB = Lab(
    question="A box appends one byte to a file of its image, and deletes another file. How much is written, and where?",
    answer="Nothing below: the image does not change. The upper directory has the whole file and the one byte, and"
    " beside it a character device 0:0, which hides the deleted file.",
    control="the files are in a volume: no overlay, no copy, no mark",
    check=check,
)
