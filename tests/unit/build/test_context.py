"""A build context has its own files and no others: .dockerignore leaves files out, and no link leads out of it."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING, cast

import pytest

from tests.support.image_archives import Member, archive, regular, symlink
from tinybox.build.files import context as contexts
from tinybox.build.files.context import Context
from tinybox.build.files.selection import Choice, walk
from tinybox.errors import ImageError, TinyboxError, UsageError

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a directory for a context, beside a file that is not in it."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "context").mkdir()
    return tmp_path / "context"


def packed(data: bytes) -> BufferedReader:
    """Give bytes as standard input has them."""
    return cast("BufferedReader", io.BufferedReader(cast("io.RawIOBase", io.BytesIO(data))))


def fill(place: Path, *names: str) -> None:
    """Make files, and directories for names that end with a slash."""
    for name in names:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_text(name)


def seen(source: Context, name: str = ".") -> list[str]:
    """Return the paths below the directory *name* that COPY would copy."""
    paths = []
    for found in source.find(name):
        fd = os.open(".", os.O_RDONLY, dir_fd=found.fd)
        where = f"{found.path}/" if found.path else ""
        paths += [entry.path for entry in walk(fd, Choice(source.ignored, where)) if entry.kind != "leave"]
        os.close(fd)
    return paths


def names(source: Context, pattern: str) -> list[str]:
    """Return the paths of the files that a source means."""
    return [found.path for found in source.find(pattern)]


def test_dockerignore_leaves_files_out(place: Path) -> None:
    """Its patterns, comments and exceptions; a directory above an exception is there, and nothing else of it."""
    fill(place, "a.o", "a.c", "docs/x", "docs/deep/keep", "docs/deep/x", "node/m/x", "empty/", "b/a.o")
    (place / ".dockerignore").write_text("# comment\n**/*.o\ndocs\n!docs/deep/keep\nnode\n.dockerignore\n")
    with Context.of_directory(str(place)) as source:
        assert seen(source) == ["a.c", "b", "docs", "docs/deep", "docs/deep/keep", "empty"]
        assert seen(source, "docs") == ["deep", "deep/keep"]
        assert names(source, "a.*") == ["a.c"]
        with pytest.raises(UsageError, match=r"a.o: .dockerignore leaves it out of the build context"):
            names(source, "a.o")
        with pytest.raises(UsageError, match=r"node/m/x: \.dockerignore leaves it out"):
            names(source, "node/m/x")


def test_a_file_of_patterns_for_one_containerfile_counts_before_dockerignore(place: Path, tmp_path: Path) -> None:
    """NAME.dockerignore beside the Containerfile; without it .containerignore, then .dockerignore."""
    fill(place, "a", "b", "c")
    (place / ".dockerignore").write_text("a\n.*\n")
    with Context.of_directory(str(place)) as source:
        assert seen(source) == ["b", "c"]
    (place / ".containerignore").write_text("b\n.*\n")
    with Context.of_directory(str(place)) as source:
        assert seen(source) == ["a", "c"]
    own = tmp_path / "My.Containerfile"
    assert contexts.ignore_file_of(str(own)) is None
    (tmp_path / "My.Containerfile.dockerignore").write_text("c\n.*\n")
    with Context.of_directory(str(place), contexts.ignore_file_of(str(own))) as source:
        assert seen(source) == ["a", "b"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.txt", ["a.txt", "b.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[^a].txt", ["b.txt"]),
        ("d*/x", ["d1/x", "d2/x"]),
        ("*/*", ["d1/x", "d2/x", "d2/y"]),
        ("/a.txt", ["a.txt"]),
        ("../../a.txt", ["a.txt"]),
        ("d1/../a.txt", ["a.txt"]),
        ("d1/", ["d1"]),
        ("*none*", []),
        ("arr[[]0].c", ["arr[0].c"]),
        ("arr\\[0].?", ["arr[0].c"]),
        ("a.txt/*", []),
        ("new\nline", ["new\nline"]),
        (".", [""]),
        ("*", ["a.txt", "arr[0].c", "b.txt", "d1", "d2", "new\nline"]),
    ],
)
def test_wildcards_fit_names(place: Path, pattern: str, found: list[str]) -> None:
    """A source is cleaned as docker does it; each part of a pattern fits the names of one directory, sorted."""
    fill(place, "a.txt", "b.txt", "d1/x", "d2/x", "d2/y", "arr[0].c", "new\nline")
    with Context.of_directory(str(place)) as source:
        assert names(source, pattern) == found


@pytest.mark.parametrize(
    "target",
    ["../secret", "/secret", "../../../../../../../../../etc/passwd", "/etc/passwd", "/proc/self/root/etc/passwd"],
)
def test_no_link_leads_out(place: Path, target: str) -> None:
    """A link is followed below the context as its root, as a source, in the path of one, and behind a wildcard."""
    fill(place, "d/x")
    (place / "link").symlink_to(target)
    (place / "up").symlink_to(os.path.dirname(target) or "/")
    with Context.of_directory(str(place)) as source:
        for name in ("link", f"up/{os.path.basename(target)}", "lin?"):
            with pytest.raises(UsageError, match=r"in the build context"):
                names(source, name)
        assert names(source, f"*/{os.path.basename(target)}") == []


def test_a_link_inside_is_followed_and_its_target_may_be_left_out(place: Path) -> None:
    """The name is the link's, the path its target's: .dockerignore leaves out both."""
    fill(place, "d/x", "out/x")
    (place / "link").symlink_to("/d/x")
    (place / "other").symlink_to("out")
    (place / ".dockerignore").write_text("out\n")
    with Context.of_directory(str(place)) as source:
        assert [(found.name, found.path) for found in source.find("link")] == [("link", "d/x")]
        with pytest.raises(UsageError, match="leaves it out"):
            names(source, "other/x")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("missing", "no such file or directory"),
        ("f/x", "not a directory"),
        ("loop", "leads to no file"),
        ("dead", "leads to no file"),
    ],
)
def test_a_missing_source_is_one_line(place: Path, name: str, cause: str) -> None:
    """It names the source and the context."""
    fill(place, "f")
    (place / "loop").symlink_to("loop")
    (place / "dead").symlink_to("nowhere")
    with Context.of_directory(str(place)) as source, pytest.raises(UsageError, match=cause) as caught:
        names(source, name)
    assert "\n" not in str(caught.value)
    assert "build context" in str(caught.value)


def test_without_a_context_there_is_no_source() -> None:
    """For a Containerfile from standard input."""
    with Context.nothing() as source, pytest.raises(UsageError, match="there is no build context"):
        names(source, "a")


def test_an_archive_is_a_context(tmp_path: Path) -> None:
    """It is unpacked; names like those of whiteouts have no meaning, and devices are left out."""
    members = [
        regular("d/.wh.x", b"1"),
        regular(".dockerignore", b"b\n"),
        regular("b", b"2"),
        Member("null", tarfile.CHRTYPE),
        regular("ci/My.dockerignore", b"d\n.d*\nci"),
    ]
    stream = packed(archive(members))
    with Context.of_archive(stream, str(tmp_path)) as source:
        assert seen(source) == [".dockerignore", "ci", "ci/My.dockerignore", "d", "d/.wh.x"]
        assert source.read("b", 100) == b"2"
        assert source.read("missing", 100) is None
    (tmp_path / "second").mkdir()
    stream = packed(archive(members))
    with Context.of_archive(stream, str(tmp_path / "second"), "ci/My.dockerignore") as source:
        assert seen(source) == ["b"]


@pytest.mark.parametrize(
    "members",
    [
        [regular("../escape", b"x")],
        [regular("/absolute", b"x")],
        [symlink("l", ".."), regular("l/../../x", b"x")],
        [Member("h", b"1", link="../../secret")],
    ],
)
def test_a_hostile_archive_is_one_line_and_leaves_nothing(tmp_path: Path, members: list[Member]) -> None:
    """Nothing is written outside, and the directory is gone."""
    (tmp_path / "work").mkdir()
    stream = packed(archive(members))
    with pytest.raises(ImageError) as caught:
        Context.of_archive(stream, str(tmp_path / "work"))
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["work"]
    assert os.listdir(tmp_path / "work") == []


def test_a_link_in_an_archive_is_no_way_to_a_file_of_patterns(tmp_path: Path) -> None:
    """The .dockerignore of an archive is read inside it: a link to a file of the host leads to nothing."""
    (tmp_path / "secret").write_text("[")
    stream = packed(archive([symlink(".dockerignore", str(tmp_path / "secret"))]))
    with Context.of_archive(stream, str(tmp_path)) as source:
        assert not source.ignored


def test_a_damaged_archive_and_a_huge_file_of_patterns_are_one_line(tmp_path: Path, place: Path) -> None:
    """Neither ends in a traceback, and neither is read whole."""
    (tmp_path / "work").mkdir()
    with pytest.raises(TinyboxError, match="archive"):
        Context.of_archive(packed(b"\x1f\x8bdamaged"), str(tmp_path / "work"))
    with (place / ".dockerignore").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(TinyboxError, match=r".dockerignore: is larger than"):
        Context.of_directory(str(place))


def test_a_directory_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """The path, and why it cannot be the context."""
    with pytest.raises(UsageError, match="cannot be the build context: no such file or directory"):
        Context.of_directory(str(tmp_path / "missing"))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be the build context: not a directory"):
        Context.of_directory(str(tmp_path / "file"))
