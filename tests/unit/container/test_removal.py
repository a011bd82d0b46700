"""Trees of others are walked at any depth, with one descriptor, and never left: removed, measured, compared."""

from __future__ import annotations

import errno
import os
import resource
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support import image_archives as tar
from tests.support.deep_trees import DEEP, depth, dig, removed
from tinybox.errors import ImageError, Reported, TinyboxError
from tinybox.images.archives import tree as trees
from tinybox.images.archives.members import members
from tinybox.isolation import overlay, overlay_changes
from tinybox.isolation.copy_up import copy_directory
from tinybox.linux.filesystem import files
from tinybox.linux.filesystem.trees import tree_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARK = overlay.opaque_mark(userns=False)
BEYOND_PYTHON = 1500  # directories: a recursion so deep is a RecursionError; the kernel still accepts the path
BEYOND_PATHS = 2500  # and it refuses this one


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a directory, and remove it afterwards, whatever the test has left in it."""
    yield from removed(tmp_path)


@contextmanager
def few_descriptors(spare: int = 3) -> Iterator[None]:
    """Allow only so many more open files than there are now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def opened(path: Path) -> int:
    """Open a directory; the end of the test process closes it."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def test_the_depth_exceeds_python_s() -> None:
    """The control: the trees of these tests are deeper than Python's stack."""
    assert sys.getrecursionlimit() < BEYOND_PYTHON < os.pathconf("/", "PC_PATH_MAX") / 2 < BEYOND_PATHS < DEEP


@pytest.mark.slow
def test_a_deep_tree_is_removed_with_few_descriptors(folder: Path) -> None:
    """6,000 nested directories are removed, with a handful of descriptors."""
    (folder / "top").mkdir()
    dig(folder / "top")
    with few_descriptors():
        files.remove_tree(str(folder / "top"))
    assert list(folder.iterdir()) == []


def test_a_wide_tree_is_removed_and_links_are_not_followed(folder: Path) -> None:
    """All kinds of files are removed, links as links; their targets stay, and so does all beside the tree."""
    outside = folder / "outside"
    (outside / "kept").mkdir(parents=True)
    for name in ("top/a/b", "top/a/c", "top/d"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text("x")
        (folder / name / "link").symlink_to(outside)
        os.mkfifo(folder / name / "fifo")
    (folder / "top/dangling").symlink_to("nowhere")
    files.remove_tree("top", opened(folder))
    assert [path.name for path in folder.iterdir()] == ["outside"]
    assert [path.name for path in outside.iterdir()] == ["kept"]


def test_a_missing_tree_is_fine_and_a_file_is_not(folder: Path) -> None:
    """A missing path is no error; a file or a link is refused and stays."""
    files.remove_tree(str(folder / "nothing"))
    (folder / "file").write_text("")
    (folder / "link").symlink_to(folder)
    for name in ("file", "link"):
        with pytest.raises(NotADirectoryError):
            files.remove_tree(str(folder / name))
    assert {path.name for path in folder.iterdir()} == {"file", "link"}


def test_a_moved_directory_does_not_lead_the_walk_out(folder: Path) -> None:
    """A directory that is moved while the walk is in it has another ``..``: the walk ends, and removes nothing else."""
    (folder / "top/a/b").mkdir(parents=True)
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/precious").mkdir()
    walking = files.walk(opened(folder / "top"), leaves_first=True)
    assert next(walking)[1:] == ([], [])  # b, which is empty
    (folder / "top/a/b").rename(folder / "elsewhere/b")
    with pytest.raises(OSError, match="moved away") as caught:
        next(walking)
    assert caught.value.errno == errno.ESTALE


def test_each_directory_is_seen_once_in_either_order(folder: Path) -> None:
    """Parents before children, or children before parents: each once, with its directories and its other names."""
    for name in ("a/b", "a/c", "d"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text("")
    (folder / "link").symlink_to("a")

    def seen(*, leaves_first: bool) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        return [
            (os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), folder), tuple(sorted(folders)), tuple(sorted(others)))
            for fd, folders, others in files.walk(opened(folder), leaves_first=leaves_first)
        ]

    down, up = seen(leaves_first=False), seen(leaves_first=True)
    assert sorted(down) == sorted(up) == [
        (".", ("a", "d"), ("link",)), ("a", ("b", "c"), ()),
        ("a/b", (), ("file",)), ("a/c", (), ("file",)), ("d", (), ("file",)),
    ]  # fmt: skip
    assert (down[0][0], up[-1][0]) == (".", ".")
    names = [name for name, _, _ in up]
    assert names.index("a/b") < names.index("a") > names.index("a/c")


@pytest.mark.slow
def test_a_deep_tree_is_measured(folder: Path) -> None:
    """The size of a volume includes the last file of 6,000 directories, and a file with two names once."""
    dig(folder, content=b"x" * 1000)
    (folder / "first").write_text("x" * 50)
    os.link(folder / "first", folder / "second")
    with few_descriptors():
        assert tree_size(str(folder)) == 1050
    assert tree_size(str(folder / "nothing")) == 0


def test_an_archive_may_leave_out_the_directories_of_a_deep_file(folder: Path) -> None:
    """The 2,000 directories above the only member are made, with few descriptors."""
    place = tar.Place(folder)
    with few_descriptors(6):
        place.unpack(tar.archive([tar.regular("d/" * 2000 + "end")]))
    assert depth(place.inside) == 2000


@pytest.mark.slow
def test_an_archive_may_contain_a_tree_deeper_than_a_path(folder: Path) -> None:
    """Links in the archive put a member deeper than its name is long; the resulting tree can be removed."""
    place = tar.Place(folder)
    chain = "d/" * 1900
    found = [tar.regular(f"{chain}end")]
    for number in range(1, 9):
        found.append(tar.symlink(f"way{number}", (f"way{number - 1}/" if number > 1 else "") + chain))
        found.append(tar.regular(f"way{number}/{chain}end"))
    place.unpack(tar.archive(found))
    assert depth(place.inside) == 9 * 1900
    files.remove_tree(str(place.inside))
    assert not place.inside.exists()


def test_an_archive_with_too_long_a_path_is_refused(folder: Path) -> None:
    """A name of 6,000 directories is refused in one line, and nothing is left; the control: one that just fits."""
    place = tar.Place(folder)
    for name in ("d/" * DEEP + "end", "d/" * 2048 + "end", "x" * 256):
        with pytest.raises(ImageError, match=r"its path is longer than 4095 bytes|a name than 255"):
            place.unpack(tar.archive([tar.regular(name)]))
        assert not place.inside.exists()
    place.unpack(tar.archive([tar.regular("./" + "d/" * 2047 + "e")]))


def test_names_of_directories_take_a_bounded_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories are kept in memory until the end: an archive of long names, or attributes, is refused."""
    monkeypatch.setattr(trees, "KEPT_MAX", 100_000)
    many = {
        "names": [tar.directory("d/" * 1000 + f"{number}") for number in range(60)],
        "attributes": [
            tar.directory(str(number), pax_headers={"SCHILY.xattr.user.a": "x" * 2000}) for number in range(60)
        ],
    }
    for kind, found in many.items():
        (folder / kind).mkdir()
        place = tar.Place(folder / kind)
        with pytest.raises(ImageError, match="names and attributes of the archive's directories take more than"):
            place.unpack(tar.archive(found))
        assert not place.inside.exists()


def test_the_longest_path_is_packed_and_a_longer_one_is_an_error(folder: Path) -> None:
    """An archive of a tree has every path that a program can name; at a longer one it stops with an error."""
    dig(folder, 2045)  # with "end" the last path has 4093 bytes
    assert [found.header.name for found in members(opened(folder), ".")][-1] == "d/" * 2045 + "end"
    (folder / "deep").mkdir()
    dig(folder / "deep", BEYOND_PATHS)
    with pytest.raises(TinyboxError, match=r"deep/d/d/.* is longer than 4095 bytes, which no program could unpack"):
        list(members(opened(folder), "."))


@pytest.mark.slow
def test_changes_are_reported_at_any_depth_with_a_name(folder: Path) -> None:
    """A change 1,500 directories down is reported with those above it; deeper than a path can name, it is an error."""
    lower, upper = folder / "lower", folder / "upper"
    for path in (lower, upper):
        path.mkdir()
        dig(path, BEYOND_PYTHON, content=path.name.encode() * 7)
    found = list(overlay_changes.changes(str(upper), ["", str(lower)], MARK))
    assert found == [
        *(("C", "/d" * number) for number in range(1, BEYOND_PYTHON + 1)),
        ("C", "/d" * BEYOND_PYTHON + "/end"),
    ]
    (upper / "e").mkdir()
    dig(upper / "e", BEYOND_PATHS)
    seen: list[tuple[str, str]] = []
    with pytest.raises(TinyboxError, match="a path in it is longer than 4095 bytes"):
        seen.extend(overlay_changes.changes(str(upper), [str(lower)], MARK))
    telling = overlay_changes.changes(str(upper), [str(lower)], MARK)
    assert [next(telling) for _ in found] == found  # the changes before it are reported


def test_a_layer_with_a_link_on_the_way_shows_nothing_behind_it(folder: Path) -> None:
    """Files below are compared inside the layer: a layer's link does not lead to files of the host."""
    for name in ("top/a", "middle/a", "bottom", "host"):
        (folder / name).mkdir(parents=True)
    (folder / "host/passwd").write_text("root")
    (folder / "top/a/passwd").write_text("new")
    (folder / "bottom/a").symlink_to(folder / "host")
    found = overlay_changes.changes(str(folder / "top"), [str(folder / "bottom"), str(folder / "middle")], MARK)
    assert list(found) == [("C", "/a"), ("A", "/a/passwd")]


@pytest.mark.slow
def test_copy_up_of_a_deep_directory(folder: Path) -> None:
    """A directory of an image 1,500 deep is copied up with few descriptors; one beyond a path's length is refused."""
    source, target = folder / "source", folder / "target"
    source.mkdir()
    target.mkdir()
    dig(source, BEYOND_PYTHON)
    ends = opened(source), opened(target)
    with few_descriptors(5):
        copy_directory(*ends)
    assert depth(target) == BEYOND_PYTHON
    (source / "e").mkdir()
    (target / "f").mkdir()
    dig(source / "e", BEYOND_PATHS)
    with pytest.raises(OSError, match="File name too long"):
        copy_directory(opened(source / "e"), opened(target / "f"))


def test_one_failure_is_named_once_and_the_rest_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    """An error in a sweep is one line with the name of the object; escape sequences in the name are not printed."""
    done = []
    for thing in ("one", "bad", "bad", "two"):
        with Reported(thing) as outcome:
            if thing == "bad":
                raise PermissionError(errno.EPERM, "Operation not permitted", "\033[2J\nx")
            done.append(thing)
        assert outcome.failed == (thing == "bad")
    assert done == ["one", "two"]
    assert capfd.readouterr().err == "tinybox: bad: \\x1b[2J\\nx: Operation not permitted\n"
    with pytest.raises(KeyboardInterrupt), Reported("me"):
        raise KeyboardInterrupt
