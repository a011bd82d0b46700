"""Layers compared: which files each one adds, changes and hides, and which bytes of lower layers it covers."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from tinybox.errors import ImageError
from tinybox.images.layer_changes import CONTENT, METADATA, NOTHING, OPAQUE, WHITEOUT, Change, Stack
from tinybox.images.layer_report import Source, layers_of, steps_of
from tinybox.images.layer_versions import versions

if TYPE_CHECKING:
    from pathlib import Path

MARK = "user.overlay.opaque"  # any user may set it


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a directory where whiteouts and marks can be made; skip where the file system has none."""
    try:
        os.mknod(tmp_path / "try", stat.S_IFCHR, os.makedev(0, 0))
        os.setxattr(tmp_path, MARK, b"n")
    except OSError as error:
        pytest.skip(f"no whiteouts in {tmp_path}: {error.strerror}")
    os.unlink(tmp_path / "try")
    return tmp_path


def layer(place: Path, name: str, **files: bytes | None) -> str:
    """Make a layer with *files*: their content, or None for a whiteout; two underscores in a name are a slash."""
    for path, content in files.items():
        file = place / name / path.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            os.mknod(file, stat.S_IFCHR, os.makedev(0, 0))
        else:
            file.write_bytes(content)
            os.utime(file, (0, 0))  # as in images that are built with one time on all files
    (place / name).mkdir(exist_ok=True)
    return str(place / name)


def compared(*trees: str) -> tuple[Stack, list[list[Change]]]:
    """Put the layers on one another, the first one at the bottom."""
    stack = Stack()
    return stack, [stack.add(tree, number, MARK) for number, tree in enumerate(trees, 1)]


def short(changes: list[Change]) -> list[tuple[str, str]]:
    """Return the kinds and paths."""
    return [(change.kind, change.path) for change in changes]


def test_files_are_added_changed_and_hidden(folder: Path) -> None:
    """A new file is added, another content is a change, a whiteout hides; the bytes below are counted."""
    lower = layer(folder, "1", a=b"12345", d__b=b"123", d__c=b"1", e=b"12")
    upper = layer(folder, "2", a=b"54321", d=None, new=b"1")
    stack, (first, second) = compared(lower, upper)
    assert short(first) == [("A", "/a"), ("A", "/d"), ("A", "/d/b"), ("A", "/d/c"), ("A", "/e")]
    assert short(second) == [("C", "/a"), ("D", "/d"), ("A", "/new")]
    assert (second[0].size, second[0].former, second[0].below, second[0].how) == (5, 5, 1, CONTENT)
    assert (second[1].former, second[1].files, second[1].how) == (4, 3, WHITEOUT)
    assert stack.covered == {1: {2: 9}}
    assert compared(lower)[0].covered == {}  # the control: alone, nothing is covered


def test_the_same_bytes_are_recognized_whatever_the_times(folder: Path) -> None:
    """A later layer that only changes the mode stores the bytes once more; equal times and sizes prove nothing."""
    lower = layer(folder, "1", mode=b"same", again=b"same", other=b"same")
    upper = layer(folder, "2", mode=b"same", again=b"same", other=b"emas")
    os.chmod(f"{upper}/mode", 0o700)
    stack, (_, changes) = compared(lower, upper)
    assert {change.path: change.how for change in changes} == {
        "/mode": METADATA, "/again": NOTHING, "/other": CONTENT}  # fmt: skip
    assert stack.covered == {1: {2: 12}}


def test_an_opaque_directory_hides_the_rest(folder: Path) -> None:
    """What the layer itself has in an opaque directory is a change or new; all else of lower layers is hidden."""
    lower = layer(folder, "1", d__a=b"1", d__b=b"12", d__s__c=b"123", d__s__d=b"1234")
    upper = layer(folder, "2", d__a=b"2", d__s__c=b"456")
    plain = compared(lower, upper)[1][1]
    assert short(plain) == [("C", "/d/a"), ("C", "/d/s/c")]  # the control: without the mark
    os.setxattr(f"{upper}/d", MARK, b"y")
    stack, (_, changes) = compared(lower, upper)
    assert short(changes) == [("D", "/d"), ("C", "/d/a"), ("D", "/d/s"), ("C", "/d/s/c")]
    assert [change.how for change in changes if change.kind == "D"] == [OPAQUE, OPAQUE]
    assert [change.former for change in changes if change.kind == "D"] == [2, 4]
    assert stack.covered == {1: {2: 10}}


def test_a_file_and_a_directory_take_each_others_place(folder: Path) -> None:
    """A file in place of a directory hides the files in it, and a third layer finds nothing of them below."""
    trees = (layer(folder, "1", x__a=b"12", x__b=b"3", y=b"1"), layer(folder, "2", x=b"f", y__new=b"n"),
             layer(folder, "3", x__a=b"again"))  # fmt: skip
    stack, (_, second, third) = compared(*trees)
    assert short(second) == [("C", "/x"), ("C", "/y"), ("A", "/y/new")]
    assert (second[0].files, second[0].former) == (2, 3)
    assert short(third) == [("C", "/x"), ("A", "/x/a")]
    assert stack.covered == {1: {2: 4}, 2: {3: 1}}


def test_a_file_with_two_names_is_covered_with_the_last_one(folder: Path) -> None:
    """The bytes of a hard-linked file are counted once, and are covered when no name of it is seen."""
    lower = layer(folder, "1", a=b"12345")
    os.link(f"{lower}/a", f"{lower}/b")
    stack, _ = compared(lower, layer(folder, "2", a=None))
    assert (stack.sizes[1], stack.covered) == (5, {})
    stack, _ = compared(lower, str(folder / "2"), layer(folder, "3", b=b""))
    assert stack.covered == {1: {3: 5}}


def test_a_whiteout_of_nothing_hides_nothing(folder: Path) -> None:
    """A whiteout without a file below is no change; nor is a directory that is only listed again."""
    _, (_, second) = compared(layer(folder, "1", d__a=b"1"), layer(folder, "2", d__z=None, zz=None))
    assert second == []


def test_a_layer_that_is_there_twice_is_read_once(folder: Path) -> None:
    """Of two equal layers the upper one counts, as in the overlay; the lower one names it."""
    base, other = layer(folder, "1", a=b"12"), layer(folder, "2", a=b"345")
    found = layers_of([Source(tree, "sha256:x", {}, mark=MARK) for tree in (base, other, base)])
    assert [one.again for one in found] == [3, 0, 0]
    assert [one.lost for one in found] == [0, 3, 0]


def test_a_path_that_is_too_long_is_one_error(folder: Path) -> None:
    """A tree deeper than PATH_MAX is refused by name, not listed in part."""
    here = os.open(layer(folder, "1"), os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with pytest.raises(ImageError, match="longer than"):
        compared(str(folder / "1"))


def test_versions_of_a_file_are_found_from_the_top(folder: Path) -> None:
    """The top version is seen; lower ones are covered; a whiteout, an opaque directory and a file in the way hide."""
    trees = [layer(folder, "1", d__a=b"1"), layer(folder, "2", d__a=b"22"), layer(folder, "3", d__a=None)]
    trees += [layer(folder, "4", d__a=b"4444"), layer(folder, "5", d__b=b""), layer(folder, "6", d=b"")]

    def states(count: int, path: str = "d/a") -> list[tuple[int, str]]:
        sources = [Source(tree, "", {}, mark=MARK) for tree in trees[:count]]
        return [(version.number, version.state) for version in versions(sources, path.encode())]

    assert states(2) == [(2, "seen"), (1, "covered")]
    assert states(3) == [(3, "deleted"), (2, "covered"), (1, "covered")]
    assert states(4) == [(4, "seen"), (3, "deleted"), (2, "covered"), (1, "covered")]
    assert states(6)[:2] == [(6, "hides"), (4, "covered")]
    assert states(2, "d") == [(2, "seen"), (1, "merged")]
    assert states(2, "nothing") == []
    os.setxattr(f"{trees[4]}/d", MARK, b"y")
    assert states(5)[:2] == [(5, "hides"), (4, "covered")]
    assert states(5, "d") == [(5, "seen"), (5, "hides"), *((number, "covered") for number in (4, 3, 2, 1))]


def test_the_history_belongs_to_the_top_layers() -> None:
    """An imported image has no history: later entries belong to the layers on top; empty layers have none."""
    steps = [{"created_by": "one"}, {"created_by": "env", "empty_layer": True}, {"created_by": "two"}]
    record = {"rootfs": {"diff_ids": ["a", "b", "c"]}, "history": steps}
    assert [step.get("created_by") for step in steps_of(record)] == [None, "one", "two"]
    assert steps_of({**record, "history": steps * 2}) == [{}, {}, {}]
