"""Layers of an image: what a later one covers is still there.

A commit makes a layer of all that a box has changed, and a layer never changes again. A file that a later layer hides
or stores once more keeps its bytes in the layer below: every machine that pulls the image gets them, and no box sees
them. So what is made and removed must be made and removed in the same layer. `tinybox layers` counts such bytes.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tinybox.container.files import commit
from tinybox.container.records import spec
from tinybox.images import layer_report, removal
from tinybox.images.store import Store
from tinybox.isolation import overlay
from tinybox.lab import inside, look
from tinybox.lab.course import Lab
from tinybox.linux import proc
from tinybox.linux.filesystem.overlay_marks import has_mark

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.box import Box

BIG, CHANGED, FOLDER, KEPT = "lab/big", "lab/changed", "lab/folder", "lab/kept"
SIZES = {BIG: 200_000, CHANGED: 100_000, f"{FOLDER}/old": 10_000, KEPT: 50_000}
COVERED = SIZES[BIG] + SIZES[CHANGED] + SIZES[f"{FOLDER}/old"]


def make() -> None:
    """In the box: make the files."""
    os.makedirs(f"/{FOLDER}")
    for name, size in SIZES.items():
        with open(f"/{name}", "wb") as file:
            file.write(b"x" * size)


def change() -> None:
    """In the box: append one byte to a file, remove another one, and make a directory again without its file."""
    with open(f"/{CHANGED}", "ab") as file:
        file.write(b"!")
    os.unlink(f"/{BIG}")
    os.unlink(f"/{FOLDER}/old")
    os.rmdir(f"/{FOLDER}")
    os.mkdir(f"/{FOLDER}")


def build(*names: str) -> None:
    """In the box: do one or both of the two; then wait for the commit."""
    if "make" in names:
        make()
    if "change" in names:
        change()
    inside.send("done")
    inside.receive_line()


def use() -> None:
    """In the box: change the mode of a file, and send the names and the bytes that the box sees."""
    os.chmod(f"/{KEPT}", 0o600)
    names = sorted(os.listdir("/lab"))
    inside.send([names, sum(os.stat(f"/lab/{name}").st_size for name in names if name != "folder")])
    inside.receive_line()


def commit_of(bench: Bench, image: str, *names: str) -> str:
    """Return the id of a new image: a box of *image* has run `build`, and its changes are one layer more."""
    with bench.box(build, *names, image=image) as box:
        box.receive()
        paths = box.container.paths
        made = commit.commit(paths, box.id, commit.CommitOptions(), pause=True, told=lambda _: None)
    bench.closing(lambda: removal.remove(Store(paths.root), made))
    return made


def check(bench: Bench, *, feature: bool) -> None:
    """Make an image by two commits, or by one, and look at its layers below a running box."""
    if feature:
        image = commit_of(bench, commit_of(bench, bench.image, "make"), "change")
    else:
        image = commit_of(bench, bench.image, "make", "change")
    with bench.box(use, image=image) as box:
        names, seen = box.receive()
        layers = box.container.annotations[spec.LAYERS].split(":")
        report = layer_report.layers_of(layer_report.sources_of(Store(box.container.paths.root), image))
        below, top = layers[-2:]
        in_mount, pid = mounted(box), box.pid
        hidden, again = mark_of(f"{below}/{BIG}"), mark_of(f"{top}/{CHANGED}")
        mark, opaque = mark_of(f"{top}/{BIG}"), has_mark(f"{top}/{FOLDER}", overlay.opaque_mark(userns=False))
        upper = mark_of(f"{box.container.bundle}/upper/{KEPT}")
    lost = sum(layer.lost for layer in report)
    bench.in_box("ls /lab", " ".join(names), f"{seen} bytes in files")
    bench.on_host("the overlay", f"{in_mount} directories below", f"lowerdir in /proc/{pid}/mountinfo")
    bench.on_host("the top layer", f"{stat.filemode(mark.st_mode) if mark else 'nothing'}", f"stat {BIG}: mode")
    bench.on_host("opaque", opaque, f"trusted.overlay.opaque of {FOLDER}; getxattr(2)")
    bench.on_host("the layer below", f"{hidden.st_size if hidden else 0} bytes", f"stat {BIG}")
    bench.on_host("stored again", f"{again.st_size if again else 0} bytes", f"stat {CHANGED} in the top layer")
    bench.on_host("covered", f"{lost} bytes", "tinybox layers IMAGE")
    bench.claim("the box does not see the removed file", "big" not in names)
    bench.claim("a device 0:0 in the top layer hides it", mark and stat.S_ISCHR(mark.st_mode) and not mark.st_rdev)
    bench.claim("an attribute hides what was in the directory", opaque)
    bench.claim("its bytes are still in the layer below", hidden and hidden.st_size == SIZES[BIG])
    bench.claim("one byte more stored the whole file again", again and report[-1].size == SIZES[CHANGED] + 1)
    bench.claim("the report counts exactly these bytes as covered", lost == COVERED)
    bench.claim("a new mode alone copies a file up", upper and upper.st_size == SIZES[KEPT])


def mounted(box: Box) -> int:
    """Return how many lower directories the overlay of the box has."""
    found = [one for one in proc.mountinfo(look.text(f"/proc/{box.pid}/mountinfo")) if one.point == "/"]
    options = [option for option in found[-1].super_options if option.startswith("lowerdir")]
    return sum(option.count(":") + 1 for option in options)


def mark_of(path: str) -> os.stat_result | None:
    """Return the result of lstat(2) for *path*, None if there is no such file."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


LAB = Lab(
    question="A layer of an image has a file of 200 kB. The next layer removes it, and appends a byte to another file"
    " of 100 kB. How large is the image now?",
    answer="Larger: nothing below can change, so the 200 kB stay, hidden by a device 0:0, and the other file is stored"
    " again as a whole. Had both been done in one layer, the image would not have these bytes.",
    control="all is done in one layer: nothing is hidden, and nothing is covered",
    check=check,
)
