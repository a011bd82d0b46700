"""COPY puts files where docker puts them, with their modes, links, times and attributes, and nowhere else."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import struct
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.build_copies import Copies, copies
from tests.support.deep_trees import dig, removed
from tinybox.build.files import copying
from tinybox.errors import TinyboxError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["copies"]

pytestmark = pytest.mark.root  # owners are set

CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service=ep; see vfs_cap_data


def write(path: Path, content: str | bytes = "x", **fields: Any) -> None:
    """Write a file with its directories; *fields* are mode, owner and time (seconds)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    if "owner" in fields:
        os.chown(path, *fields["owner"])
    if "mode" in fields:
        path.chmod(fields["mode"])
    if "time" in fields:
        os.utime(path, (fields["time"], fields["time"]))


# Where files go.


def test_a_file_is_named_by_the_target_or_put_into_a_directory(copies: Copies) -> None:
    """Missing directories are made, root's and 755; a slash at the end, or a directory that is there, means into it."""
    write(copies.context / "f", mode=0o640, owner=(5, 6))
    (copies.root / "there").mkdir(mode=0o700)
    for target in ("/a/b/new", "/c/d/", "there", "."):
        copies(f"COPY f {target}")
    file, folder = "-rw-r----- 0:0", "drwxr-xr-x 0:0"
    assert copies.tree() == {
        "a": folder,
        "a/b": folder,
        "a/b/new": file,
        "c": folder,
        "c/d": folder,
        "c/d/f": file,
        "there": "drwx------ 0:0",
        "there/f": file,
        "f": file,
    }


def test_the_content_of_a_directory_is_merged(copies: Copies) -> None:
    """The directory itself is not copied: a new target is 755, an existing one stays; those below get their modes."""
    write(copies.context / "d/sub/f", "new")
    write(copies.context / "d/g")
    (copies.context / "d").chmod(0o700)
    (copies.context / "d/sub").chmod(0o711)
    write(copies.root / "old/sub/f", "old")
    write(copies.root / "old/sub/kept")
    (copies.root / "old").chmod(0o750)
    copies("COPY d /old")
    copies("COPY d/ /new")
    assert copies.tree()["old"] == "drwxr-x--- 0:0"
    assert copies.tree()["old/sub"] == "drwx--x--x 0:0"
    assert sorted(copies.tree("old")) == ["g", "sub", "sub/f", "sub/kept"]
    assert (copies.root / "old/sub/f").read_text() == "new"
    assert copies.tree()["new"] == "drwxr-xr-x 0:0"
    assert sorted(copies.tree("new")) == ["g", "sub", "sub/f"]


def test_several_sources_need_a_directory(copies: Copies) -> None:
    """Files, directories' contents, and all that a wildcard fits; without a directory nothing is copied."""
    for name in ("a.c", "b.c", "d/x", "e/y"):
        write(copies.context / name)
    copies("COPY a.c d *.c e /into/")
    assert sorted(copies.tree("into")) == ["a.c", "b.c", "x", "y"]
    for text in ("COPY a.c b.c /new", "COPY *.c /new"):
        with pytest.raises(UsageError, match=r"Containerfile:1: COPY: /new: 2 sources need a directory"):
            copies(text)
    assert not (copies.root / "new").exists()
    copies("COPY a.c b.c /into")
    copies("COPY a.* /one")
    assert (copies.root / "one").is_file()


def test_a_wildcard_may_fit_nothing_if_another_source_is_there(copies: Copies) -> None:
    """The known way to copy a file that may be missing; alone it is an error that names it."""
    write(copies.context / "a")
    copies("COPY a b* /d/")
    assert list(copies.tree("d")) == ["a"]
    with pytest.raises(UsageError, match=r"COPY: b\* c\?: no file of the build context fits"):
        copies("COPY b* c? /d/")


def test_the_target_is_relative_to_the_working_directory(copies: Copies) -> None:
    """As after WORKDIR."""
    write(copies.context / "f")
    copies.workdir = "/work"
    copies("COPY f sub/")
    copies("COPY f ../up")
    assert sorted(copies.tree()) == ["up", "work", "work/sub", "work/sub/f"]


# What a file keeps.


def test_times_modes_attributes_and_capabilities_are_kept(copies: Copies) -> None:
    """Also the set-id bits and a directory's time; owners become root's."""
    write(copies.context / "d/sub/f", mode=0o4751, owner=(7, 8), time=1000)
    os.setxattr(copies.context / "d/sub/f", "user.note", b"\0\xff")
    os.setxattr(copies.context / "d/sub/f", "security.capability", CAPABILITY)
    os.setxattr(copies.context / "d/sub", "user.note", b"sub")
    (copies.context / "d/sub/l").symlink_to("f")
    os.utime(copies.context / "d/sub/l", (2000, 2000), follow_symlinks=False)
    os.utime(copies.context / "d/sub", (3000, 3000))
    copies("COPY d /t")
    file, folder = copies.root / "t/sub/f", copies.root / "t/sub"
    assert copies.tree()["t/sub/f"] == "-rwsr-x--x 0:0"
    assert os.getxattr(file, "user.note") == b"\0\xff"
    assert os.getxattr(file, "security.capability") == CAPABILITY
    assert os.getxattr(folder, "user.note") == b"sub"
    assert [int(os.lstat(path).st_mtime) for path in (file, folder / "l", folder)] == [1000, 2000, 3000]


def test_a_stage_keeps_owners(copies: Copies) -> None:
    """With --from owners are kept, of files, directories and links, unless --chown gives others."""
    write(copies.context / "d/sub/f", owner=(7, 8))
    os.chown(copies.context / "d/sub", 9, 10)
    (copies.context / "d/l").symlink_to("f")
    os.chown(copies.context / "d/l", 11, 12, follow_symlinks=False)
    copies.from_stage = True
    copies("COPY --from=build d /t")
    assert {path: word.split()[1] for path, word in copies.tree().items()} == {
        "t": "0:0",
        "t/sub": "9:10",
        "t/sub/f": "7:8",
        "t/l": "11:12",
    }
    copies("COPY --from=build --chown=1:2 d /u")
    assert {word.split()[1] for word in copies.tree("u").values()} == {"1:2"}


def test_links_are_copied_as_links_and_hard_links_stay_one_file(copies: Copies) -> None:
    """A link of the source itself is followed; a link below it keeps its target, wherever that is."""
    write(copies.context / "d/a/f", "content")
    os.link(copies.context / "d/a/f", copies.context / "d/z")
    (copies.context / "d/out").symlink_to("/etc/../../nowhere")
    (copies.context / "to-dir").symlink_to("d/a")
    (copies.context / "to-file").symlink_to("/d/a/f")
    copies("COPY d /t")
    assert (copies.root / "t/a/f").samefile(copies.root / "t/z")
    assert os.readlink(copies.root / "t/out") == "/etc/../../nowhere"
    copies("COPY to-dir /dir")
    copies("COPY to-file /into/")
    assert list(copies.tree("dir")) == ["f"]
    assert copies.tree("into") == {"to-file": "-rw-r--r-- 0:0"}


def test_holes_stay_holes(copies: Copies) -> None:
    """A file of one TiB with two bytes of data takes as much space as its data."""
    with (copies.context / "sparse").open("wb") as file:
        file.write(b"a")
        file.seek((1 << 40) - 1)
        file.write(b"z")
    copies("COPY sparse /")
    info = (copies.root / "sparse").stat()
    assert (info.st_size, info.st_blocks * 512 < 1 << 20) == (1 << 40, True)


def test_fifos_are_copied_sockets_and_devices_are_left_out(copies: Copies) -> None:
    """The names of the latter are returned."""
    os.mkfifo(copies.context / "fifo", 0o640)
    os.mknod(copies.context / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(copies.context / "whiteout", stat.S_IFCHR, os.makedev(0, 0))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(copies.context / "socket"))
    assert copies("COPY . /t") == ["null", "socket", "whiteout"]
    assert copies.tree("t") == {"fifo": "prw-r----- 0:0"}
    assert copies("COPY socket /s") == ["socket"]


# Flags.


def test_chown_and_chmod(copies: Copies) -> None:
    """They count for all that is copied, --chown also for directories that are made for it, --chmod not for links."""
    write(copies.context / "d/sub/f", mode=0o644)
    write(copies.context / "d/run", mode=0o711)
    (copies.context / "d/l").symlink_to("f")
    copies("COPY --chown=3 --chmod=u=rwX,go=rX d /a/b")
    assert copies.tree() == {
        "a": "drwxr-xr-x 3:3",
        "a/b": "drwxr-xr-x 3:3",
        "a/b/sub": "drwxr-xr-x 3:3",
        "a/b/l": "lrwxrwxrwx 3:3",
        "a/b/sub/f": "-rw-r--r-- 3:3",
        "a/b/run": "-rwxr-xr-x 3:3",
    }
    copies("COPY --chmod=0750 d /c")
    assert copies.tree("c") == {
        "sub": "drwxr-x--- 0:0",
        "sub/f": "-rwxr-x--- 0:0",
        "run": "-rwxr-x--- 0:0",
        "l": "lrwxrwxrwx 0:0",
    }


@pytest.mark.parametrize(
    ("chown", "owner"),
    [("1:2", "1:2"), ("5", "5:5"), ("app", "100:101"), ("app:5", "100:5"), ("7:web", "7:33"), ("app:web", "100:33")],
)
def test_names_of_owners_are_the_images(copies: Copies, chown: str, owner: str) -> None:
    """A name is looked up in the image's own files, to which a link may lead; a number needs none."""
    write(copies.root / "real/passwd", "root:x:0:0::/root:/bin/sh\napp:x:100:101::/:/bin/sh\n")
    write(copies.root / "etc/group", "root:x:0:\nweb:x:33:\n")
    (copies.root / "etc/passwd").symlink_to("/real/passwd")
    write(copies.context / "f")
    copies(f"COPY --chown={chown} f /")
    assert copies.tree()["f"].split()[1] == owner


@pytest.mark.parametrize(
    ("chown", "cause"),
    [
        ("root", "no user root in the image's /etc/passwd"),
        ("0:root", "no group root in the image's /etc/group"),
        (":0", "it has no user"),
        ("99999999999", "user and group numbers go from"),
    ],
)
def test_an_owner_that_the_image_does_not_have_is_one_line(copies: Copies, chown: str, cause: str) -> None:
    """The names of the host's users do not count, also behind a link that leads out."""
    write(copies.context / "f")
    (copies.root / "etc").mkdir()
    write(copies.outside / "passwd", "root:x:0:0::/:/bin/sh\n")
    (copies.root / "etc/passwd").symlink_to("../../outside/passwd")
    with pytest.raises(UsageError, match=cause) as caught:
        copies(f"COPY --chown={chown} f /new/")
    assert str(caught.value).startswith("Containerfile:1: COPY: --chown")
    assert not (copies.root / "new").exists()


def test_exclude(copies: Copies) -> None:
    """Patterns of --exclude are relative to the source, fit single files, too, and know exceptions."""
    for name in ("d/a.o", "d/sub/b.o", "d/sub/keep.o", "d/c", "x.o", "x.c"):
        write(copies.context / name)
    copies("COPY --exclude=**/*.o --exclude=!sub/keep.o d /t")
    assert sorted(copies.tree("t")) == ["c", "sub", "sub/keep.o"]
    copies("COPY --exclude=*.o x.* /u/")
    assert list(copies.tree("u")) == ["x.c"]


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ("./x/a.txt ./y/a.txt", ["x", "x/a.txt", "y", "y/a.txt"]),
        ("./x/./y/*.txt", ["y", "y/a.txt"]),
        ("./src/**/*.txt", ["src", "src/a.txt", "src/p", "src/p/b.txt", "src/p/q", "src/p/q/c.txt"]),
        ("x/y", ["x", "x/y", "x/y/a.txt", "x/y/b"]),
        ("x/./y", ["y", "y/a.txt", "y/b"]),
        ("/x/y/./b", ["b"]),
        ("*/./a.txt", ["a.txt"]),
        ("x/y/*none* y/a.txt", ["y", "y/a.txt"]),
    ],
)
def test_parents(copies: Copies, sources: str, found: list[str]) -> None:
    """--parents makes the directories of a source below the target, behind ``/./`` only those after it."""
    for name in ("x/a.txt", "y/a.txt", "x/y/a.txt", "x/y/b", "src/a.txt", "src/p/b.txt", "src/p/q/c.txt", "src/z/none"):
        write(copies.context / name)
    (copies.context / "x").chmod(0o711)
    copies(f"COPY --parents {sources} /t/")
    assert sorted(copies.tree("t")) == found
    if "x" in found:
        assert copies.tree("t")["x"] == "drwx--x--x 0:0"


def test_parents_of_a_missing_source_are_an_error(copies: Copies) -> None:
    """Unless it is a wildcard."""
    write(copies.context / "x/a")
    for sources in ("x/b", "x/./b", "z/./a"):
        with pytest.raises(UsageError, match="no such file or directory in the build context"):
            copies(f"COPY --parents {sources} /t/")
    with pytest.raises(UsageError, match="no file of the build context fits"):
        copies("COPY --parents x/b* /t/")


def test_heredocs(copies: Copies) -> None:
    """A file of mode 644 with the text, by the target's name or its own; beside other sources, too."""
    write(copies.context / "f")
    copies("COPY <<EOF /etc/motd\nHello $NAME\n\tand \\$NAME\nEOF\n", NAME="you")
    copies("COPY --chmod=700 --chown=1 <<one <<-'two' f /d/\n1\none\n\t$2\n\ttwo\n")
    assert (copies.root / "etc/motd").read_text() == "Hello you\n\tand $NAME\n"
    assert copies.tree()["etc/motd"] == "-rw-r--r-- 0:0"
    assert (copies.root / "d/two").read_text() == "$2\n"
    assert copies.tree("d") == dict.fromkeys(["one", "two", "f"], "-rwx------ 1:1")


@pytest.mark.parametrize("name", ["../../outside/victim", "..", ".", "sub/x", "/outside/victim"])
def test_the_name_of_a_heredoc_never_leads_out(copies: Copies, name: str) -> None:
    """In a directory the end marker is the file's name; with a slash it is an error of one line."""
    (copies.outside / "victim").write_text("old")
    with pytest.raises(UsageError, match="is no name of a file") as caught:
        copies(f"COPY <<{name} /t/\nnew\n{name}\n")
    assert str(caught.value).startswith("Containerfile:1: COPY: /t: ")
    assert (copies.outside / "victim").read_text() == "old"
    copies(f"COPY <<{name} /named\nnew\n{name}\n")
    assert (copies.root / "named").read_text() == "new\n"


def test_link_gives_the_same_files(copies: Copies) -> None:
    """--link is accepted."""
    write(copies.context / "f")
    copies("COPY --link f /a/")
    assert sorted(copies.tree()) == ["a", "a/f"]


# Files that the target has already.


def test_a_file_replaces_a_file_or_a_link_but_not_what_the_link_leads_to(copies: Copies) -> None:
    """Below the target; the target itself is followed, as docker does it."""
    write(copies.context / "d/f", "new")
    write(copies.context / "d/g", "new")
    write(copies.root / "real", "old")
    write(copies.root / "t/f", "old")
    (copies.root / "t/g").symlink_to("../real")
    (copies.root / "named").symlink_to("real")
    copies("COPY d /t")
    assert (copies.root / "t/f").read_text() == (copies.root / "t/g").read_text() == "new"
    assert not (copies.root / "t/g").is_symlink()
    assert (copies.root / "real").read_text() == "old"
    copies("COPY d/f /named")
    assert (copies.root / "named").is_symlink()
    assert (copies.root / "real").read_text() == "new"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("COPY d /t", "/t/sub: is no directory there: a directory cannot replace it"),
        ("COPY d /u", "/u/sub: is no directory there"),
        ("COPY e /t", "/t: dir is a directory there: a file cannot replace it"),
        ("COPY d /file", "/file: a file is in its path there"),
        ("COPY f /file/", "/file: a file is in its path there"),
        ("COPY f /file/x", "/file/x: a file is in its path there"),
        ("COPY f /t/", "/t: f is a directory there"),
        ("COPY f /loop", "/loop: the links in its path form a loop"),
    ],
)
def test_a_directory_and_a_file_never_replace_one_another(copies: Copies, text: str, cause: str) -> None:
    """Each way is one line with the instruction and the path; below the target a link is no directory."""
    for name in ("d/sub/x", "e/dir", "f"):
        write(copies.context / name)
    for name in ("t/sub", "t/dir/x", "t/f/x", "file"):
        write(copies.root / name)
    (copies.root / "u").mkdir()
    (copies.root / "u/sub").symlink_to("../t/dir")
    (copies.root / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match=cause) as caught:
        copies(text)
    assert str(caught.value).startswith("Containerfile:1: COPY: ")
    assert (copies.root / "file").read_text() == (copies.root / "t/f/x").read_text() == "x"


@pytest.mark.parametrize("target", ["link/f", "link/", "link/new/", "up/f", "chain/f", "file-link"])
def test_a_link_in_the_target_never_leads_out(copies: Copies, target: str) -> None:
    """Links of the image lead to where they lead inside its root; nothing outside is made or changed."""
    write(copies.context / "f", "new")
    (copies.outside / "victim").write_text("old")
    (copies.root / "link").symlink_to(copies.outside)
    (copies.root / "up").symlink_to("../outside")
    (copies.root / "chain").symlink_to("up/../link")
    (copies.root / "file-link").symlink_to(copies.outside / "victim")
    with suppress(UsageError):
        copies(f"COPY f /{target}")
    assert os.listdir(copies.outside) == ["victim"]
    assert (copies.outside / "victim").read_text() == "old"
    assert "new" in [path.read_text() for path in copies.root.rglob("*") if path.is_file() and not path.is_symlink()]


def test_a_link_below_the_target_is_never_entered(copies: Copies) -> None:
    """A tree cannot be written through a link that the image has where the source has a directory."""
    write(copies.context / "d/sub/victim", "new")
    (copies.outside / "victim").write_text("old")
    (copies.root / "t").mkdir()
    (copies.root / "t/sub").symlink_to(copies.outside)
    with pytest.raises(UsageError, match="is no directory there"):
        copies("COPY d /t")
    assert (copies.outside / "victim").read_text() == "old"


def test_any_name_is_copied(copies: Copies) -> None:
    """Names with newlines, escapes, quotes, bytes that are no text, and 255 bytes."""
    strange = [b"new\nline", b"\x1b[31m", b"'\"`$(x)", b"\xff\xfe", b"-rf", b" ", b"n" * 255]
    for name in strange:
        with open(os.path.join(os.fsencode(copies.context), name), "wb"):
            pass
    copies("COPY . /t")
    assert sorted(os.listdir(os.fsencode(copies.root / "t"))) == sorted(strange)


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Give a directory that may get a tree of any depth."""
    yield from removed(tmp_path)


def test_a_deep_tree_is_copied_or_one_line(copies: Copies, deep: Path) -> None:
    """Deeper than Python recurses; a path that no archive could have is an error, not a crash."""
    del deep
    (copies.context / "a").mkdir()
    dig(copies.context / "a", 1990)
    copies("COPY a /t")
    assert (copies.root / "t" / "/".join("d" * 1990) / "end").read_bytes() == b"deep"
    (copies.context / "b").mkdir()
    dig(copies.context / "b", 5000)
    with pytest.raises(TinyboxError, match="is longer than 4095 bytes") as caught:
        copies("COPY b /u")
    assert len(str(caught.value)) < 300


# The digest.


def test_the_digest_follows_the_content_alone(copies: Copies) -> None:
    """Other times give the same digest, as do owners that are not kept and the order in which files were made."""
    for name in ("d/b", "d/sub/a", "d/c"):
        write(copies.context / name, name)
    before = copies.digest("COPY d /t")
    for name in ("d/b", "d/sub/a", "d/sub", "d"):
        os.utime(copies.context / name, (1, 1))
        os.chown(copies.context / name, 5, 5)
    os.rename(copies.context / "d/c", copies.context / "c")
    write(copies.context / "d/c", "d/c")
    write(copies.context / "elsewhere")
    assert copies.digest("COPY d /t") == before


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda base: (base / "a").write_text("else"),
    "mode": lambda base: (base / "a").chmod(0o600),
    "name": lambda base: (base / "a").rename(base / "aa"),
    "new": lambda base: (base / "n").touch(),
    "gone": lambda base: (base / "a").unlink(),
    "directory": lambda base: (base / "empty").mkdir(),
    "moved": lambda base: (base / "sub/c").rename(base / "c"),
    "attribute": lambda base: os.setxattr(base / "a", "user.x", b"1"),
    "capability": lambda base: os.setxattr(base / "a", "security.capability", CAPABILITY),
    "target": lambda base: (base / "other").rename(base / "l"),
    "kind": lambda base: (base / "text").rename(base / "l"),
    "hard link": lambda base: (base / "linked").rename(base / "b"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_digest_follows_each_change(copies: Copies, change: str) -> None:
    """Content, mode, names, targets, types, attributes: each is another digest."""
    base = copies.context / "d"
    for name in ("a", "b", "sub/c"):
        write(base / name, "same")
    (base / "l").symlink_to("a")
    write(copies.context / ".dockerignore", "d/other\nd/text\nd/linked\n")
    (base / "other").symlink_to("b")
    (base / "text").write_text("a")
    before = copies.digest("COPY d /t")
    os.link(base / "a", base / "linked")
    assert copies.digest("COPY d /t") == before, "a second name that is left out does not count"
    CHANGES[change](base)
    assert copies.digest("COPY d /t") != before


def test_the_digest_follows_owners_only_where_they_are_kept(copies: Copies) -> None:
    """A stage's owners count, unless --chown replaces them."""
    write(copies.context / "d/a")
    copies.from_stage = True
    kept, replaced = copies.digest("COPY --from=x d /t"), copies.digest("COPY --from=x --chown=1 d /t")
    os.chown(copies.context / "d/a", 5, 5)
    assert copies.digest("COPY --from=x d /t") != kept
    assert copies.digest("COPY --from=x --chown=1 d /t") == replaced


def test_the_digest_follows_what_is_left_out(copies: Copies) -> None:
    """A file that .dockerignore leaves out does not count; a heredoc's text and the target do."""
    write(copies.context / "a")
    write(copies.context / ".dockerignore", "ignored\n.dockerignore\n")
    before = copies.digest("COPY . /t")
    write(copies.context / "ignored")
    assert copies.digest("COPY . /t") == before
    assert copies.digest("COPY . /u") != before
    assert copies.digest("COPY <<E /x\n1\nE\n") != copies.digest("COPY <<E /x\n2\nE\n")
    with pytest.raises(UsageError, match=r"Containerfile:1: COPY: missing: no such file"):
        copies.digest("COPY missing /t")


@pytest.mark.parametrize("change", ["content", "time", "new", "gone", "same size", "nothing", "ignored"])
def test_a_file_that_changes_after_the_digest_is_noticed(copies: Copies, change: str) -> None:
    """So that the cache never has the new content under the key of the old one; each change counts, also of a time."""
    write(copies.context / "d/a", "1")
    write(copies.context / "d/b", "1")
    write(copies.context / ".dockerignore", "d/ignored\n")
    request = copies.request("COPY d /t")
    with copies.source() as source:
        copying.digest(request, source)
        {
            "content": lambda: write(copies.context / "d/a", "22"),
            "time": lambda: os.utime(copies.context / "d/a", (1, 1)),
            "new": lambda: write(copies.context / "d/c"),
            "gone": lambda: os.unlink(copies.context / "d/a"),
            "same size": lambda: write(copies.context / "d/a", "2", time=1),
            "nothing": lambda: None,
            "ignored": lambda: write(copies.context / "d/ignored"),
        }[change]()
        assert copying.is_unchanged(request, source) is (change in {"nothing", "ignored"})


PARTS = st.sampled_from(["a", "b", "c\n", "é"])
NODES = st.one_of(
    st.tuples(st.just("file"), st.sampled_from(["", "x", "y" * 5000]), st.sampled_from([0o644, 0o755])),
    st.tuples(st.just("link"), st.sampled_from(["none", "../none"]), st.just(0)),
    st.tuples(st.just("directory"), st.just(""), st.sampled_from([0o755, 0o700])),
)
TREES = st.dictionaries(st.lists(PARTS, min_size=1, max_size=3).map("/".join), NODES, max_size=5)


def plant(top: Path, nodes: dict[str, tuple[str, str, int]]) -> None:
    """Make the files of a tree; a file that is in the way of another one is left out."""
    top.mkdir()
    for path, (kind, text, mode) in sorted(nodes.items()):
        place = top / path
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            if kind == "link":
                place.symlink_to(text)
            elif kind == "file":
                write(place, text, mode=mode)
            else:
                place.mkdir(mode=mode, exist_ok=True)


def listed(top: Path) -> list[tuple[str, int, str | bytes]]:
    """Return path, mode and content of all files below *top*."""
    found: list[tuple[str, int, str | bytes]] = []
    for path in sorted(top.rglob("*")):
        mode = path.lstat().st_mode
        text = os.readlink(path) if stat.S_ISLNK(mode) else path.read_bytes() if stat.S_ISREG(mode) else ""
        found.append((str(path.relative_to(top)), mode, text))
    return found


@given(TREES, TREES)
def test_any_tree_is_copied_whole_and_has_its_own_digest(
    one: dict[str, tuple[str, str, int]], two: dict[str, tuple[str, str, int]]
) -> None:
    """The copy is the tree, and two trees have the same digest if and only if they are the same."""
    with tempfile.TemporaryDirectory() as folder:
        copies = Copies(Path(folder))
        seen, digests = [], []
        for nodes in (one, two):
            plant(copies.context / "d", nodes)
            digests.append(copies.digest("COPY d /t"))
            seen.append(listed(copies.context / "d"))
            copies("COPY d /t")
            assert listed(copies.root / "t") == seen[-1]
            shutil.rmtree(copies.context / "d")
            shutil.rmtree(copies.root / "t")
        assert (digests[0] == digests[1]) is (seen[0] == seen[1])
