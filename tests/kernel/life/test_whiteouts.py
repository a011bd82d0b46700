"""Whiteouts in every form and order: a loaded image shows what its layers come to, in a box, on the real overlayfs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.boxes import output
from tests.support.image_archives import Member, archive, directory, hard_link, regular, saved, symlink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

# stat(1) fails at a broken whiteout, which a directory lists, but which does not exist.
LOOK = "find /t* | while read f; do stat -c '%n %F' $f; done; find / -maxdepth 1 -name '.wh*'"


@pytest.fixture
def elsewhere(tinybox: Command) -> Iterator[Command]:
    """Give the command with an empty store beside the session's."""
    root = f"{tinybox.root}-whiteouts"
    yield Command(root)
    shutil.rmtree(root, ignore_errors=True)


def base(count: int) -> list[Member]:
    """Return the members of a layer with busybox, and *count* directories t0, t1 ... with the same files."""
    with open("/bin/busybox", "rb") as file:
        busybox = file.read()
    files = [
        *(directory("t"), directory("t/d"), directory("t/d/sub"), regular("t/d/old"), regular("t/d/sub/old")),
        *(regular("t/f"), symlink("t/l", "d")),
    ]
    return [
        *(directory(name) for name in ("bin", "dev", "proc", "sys", "etc")),
        *(regular("bin/busybox", busybox, mode=0o755), symlink("bin/sh", "busybox")),
        *(symlink(f"bin/{name}", "busybox") for name in ("find", "stat")),
        *(moved(member, number) for number in range(count) for member in files),
    ]


def moved(member: Member, number: int) -> Member:
    """Return *member* in the directory t0, t1 ... instead of t."""
    name, link = (
        path.replace("t/", f"t{number}/", 1) if path.startswith("t/") else path for path in (member.name, member.link)
    )
    return member._replace(name=f"t{number}" if name == "t" else name, link=link)


def wh(name: str) -> Member:
    """Return the whiteout of *name*, a path below /t."""
    folder, slash, last = name.rpartition("/")
    return regular(f"t/{folder}{slash}.wh.{last}", b"")


OPAQUE = regular("t/d/.wh..wh..opq", b"")
WHOLE = {"d", "d/old", "d/sub", "d/sub/old", "f", "l"}
REST = {"f", "l"}
FORMS: dict[str, tuple[list[Member], set[str]]] = {
    "a directory that the layer makes again, by a file in it": ([wh("d"), regular("t/d/new")], REST | {"d", "d/new"}),
    "the same, after its file": ([regular("t/d/new"), wh("d")], REST | {"d", "d/new"}),
    "the same, and the directory": ([wh("d"), directory("t/d"), regular("t/d/new")], REST | {"d", "d/new"}),
    "the same, deeper": ([wh("d"), regular("t/d/a/b/new")], REST | {"d", "d/a", "d/a/b", "d/a/b/new"}),
    "the same, in a directory that is kept": (
        [wh("d/sub"), regular("t/d/sub/new")], WHOLE - {"d/sub/old"} | {"d/sub/new"}),
    "opaque, before its files": ([OPAQUE, regular("t/d/new")], REST | {"d", "d/new"}),
    "opaque, after its files": ([regular("t/d/new"), OPAQUE], REST | {"d", "d/new"}),
    "opaque, before the directory": ([OPAQUE, directory("t/d", mode=0o700)], REST | {"d"}),
    "opaque in a directory that is whited out": ([wh("d"), OPAQUE, regular("t/d/new")], REST | {"d", "d/new"}),
    "opaque, with whiteouts beside it": ([OPAQUE, wh("d/old"), regular("t/d/sub/x"), wh("d/sub/old")],
                                         REST | {"d", "d/sub", "d/sub/x"}),
    "a file that the layer makes itself": ([regular("t/own"), wh("own"), wh("f"), regular("t/f")], WHOLE | {"own"}),
    "a file in a directory that is whited out": ([wh("d"), wh("d/old")], REST | {"d"}),
    "a directory, a file, a directory again": ([directory("t/d"), regular("t/d"), directory("t/d"), regular("t/d/new")],
                                               REST | {"d", "d/new"}),
    "a file becomes a directory": ([regular("t/f"), directory("t/f"), regular("t/f/new")], WHOLE | {"f/new"}),
    "a hard link to a file that is whited out for the layers below": (
        [regular("t/f"), wh("f"), hard_link("t/h", "t/f")], WHOLE | {"h"}),
    "a hard link in place of a whiteout": ([regular("t/a"), wh("f"), hard_link("t/f", "t/a")], WHOLE | {"a"}),
    "a link in place of a whiteout": ([wh("d"), symlink("t/d", "f")], REST | {"d"}),
    "AUFS's own files, one of them the target of a hard link": (
        [regular(".wh..wh.aufs", b""), directory(".wh..wh.plnk"), regular(".wh..wh.plnk/1.2"),
         hard_link("t/h", ".wh..wh.plnk/1.2"), hard_link("t/.wh.f", ".wh..wh.aufs")], WHOLE - {"f"} | {"h"}),
}  # fmt: skip


def shown(tinybox: Command) -> dict[str, set[str]]:
    """Return what a box of the image finds in t0, t1 ...; a file that cannot be examined would fail the test."""
    lines = output(tinybox, "--network", "none", "forms", "sh", "-c", LOOK).splitlines()
    found: dict[str, set[str]] = {}
    for line in lines:
        top, _, rest = line.split()[0].removeprefix("/").partition("/")
        found.setdefault(top, set()).update({rest} - {""})
    return found


def test_a_layer_hides_what_its_whiteouts_name(elsewhere: Command, tmp_path: Path) -> None:
    """Only files of the layers below are hidden, in any order of the members; saved and loaded, it is the same."""
    members = [moved(member, number) for number, (form, _) in enumerate(FORMS.values()) for member in form]
    path = saved(tmp_path / "image.tar", [archive(base(len(FORMS))), archive(members)], "forms")
    done = elsewhere("load", "-i", str(path))
    assert (done.returncode, done.stdout) == (0, "Loaded image: forms:latest\n"), done
    first = shown(elsewhere)
    expected = {f"t{number}": names for number, (_, names) in enumerate(FORMS.values())}
    wrong = [form for number, form in enumerate(FORMS) if first[f"t{number}"] != expected[f"t{number}"]]
    assert wrong == []
    assert first == expected  # and no file of AUFS in the root
    again = tmp_path / "again.tar"
    assert elsewhere("save", "-o", str(again), "forms").returncode == 0
    assert elsewhere("rmi", "forms").returncode == 0
    assert elsewhere("load", "-i", str(again)).returncode == 0
    assert shown(elsewhere) == first


def test_a_hard_link_to_a_file_that_is_only_a_whiteout_is_refused(elsewhere: Command, tmp_path: Path) -> None:
    """One line names the member, and nothing is left; the control is the same link to a file of the layer."""
    lower = archive([directory("t"), regular("t/f")])
    members = [wh("f"), hard_link("t/h", "t/f")]
    done = elsewhere("load", "-i", str(saved(tmp_path / "x.tar", [lower, archive(members)], "forms")))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "t/h" in done.stderr
    assert elsewhere("images", "-q").stdout == ""
    good = archive([regular("t/f"), *members])
    assert elsewhere("load", "-i", str(saved(tmp_path / "y.tar", [lower, good], "forms"))).returncode == 0
