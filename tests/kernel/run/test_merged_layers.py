"""Files of an image are looked up in what its layers come to, with links resolved in there, never layer by layer."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import new_name, one_line, output
from tests.support.image_archives import Member, archive, directory, regular, saved, symlink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

NAME = "test-merged"
ANN = b"root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n"
GROUPS = b"root:x:0:\nplay:x:60:ann\n"


def bottom(*more: Member) -> bytes:
    """Return the bottom layer of every image here: busybox, and the members *more*."""
    with open("/bin/busybox", "rb") as file:
        busybox = file.read()
    applets = [symlink(f"bin/{name}", "busybox") for name in ("sh", "id", "cat", "ls", "touch", "mkdir")]
    folders = [directory(name) for name in ("bin", "dev", "proc", "sys")]
    return archive([*folders, regular("bin/busybox", busybox, mode=0o755), *applets, *more])


@contextlib.contextmanager
def image(tinybox: Command, folder: Path, *layers: bytes) -> Iterator[str]:
    """Load an image of these *layers*, bottom first, and remove it at the end."""
    done = tinybox("load", "-i", str(saved(folder / "image.tar", layers, NAME)))
    assert done.returncode == 0, done
    try:
        yield NAME
    finally:
        assert tinybox("rmi", NAME).returncode == 0


@contextlib.contextmanager
def box(tinybox: Command, *words: str) -> Iterator[str]:
    """Run a box to its end, give its name, and remove it."""
    name = new_name()
    done = tinybox("run", "--name", name, "--network", "none", *words)
    try:
        assert done.returncode == 0, done
        yield name
    finally:
        tinybox("rm", name)


def test_users_are_found_behind_a_link_of_another_layer(tinybox: Command, tmp_path: Path) -> None:
    """/etc is a link in one layer, and a later layer adds the user behind it. Control: the lower layer alone."""
    old = [
        directory("usr"),
        directory("usr/etc"),
        regular("usr/etc/passwd", b"root:x:0:0::/:\n"),
        symlink("etc", "usr/etc"),
    ]
    new = archive([directory("usr/etc"), regular("usr/etc/passwd", ANN), regular("usr/etc/group", GROUPS)])
    with image(tinybox, tmp_path, bottom(*old)) as name:
        one_line(tinybox("run", "--rm", "-u", "ann", name, "id"), 125, "no user ann")
    with image(tinybox, tmp_path, bottom(*old), new) as name:
        words = ("--network", "none", "-u", "ann", "--group-add", "60", name)
        assert output(tinybox, *words, "sh", "-c", "id -u; echo $HOME").split() == ["1000", "/home/ann"]
        assert output(tinybox, "-u", "0", "--group-add", "play", name, "id", "-G").split() == ["0", "60"]


@pytest.mark.parametrize("how", ["whiteout", "opaque", "file", "root"])
def test_hidden_users_are_not_found(tinybox: Command, tmp_path: Path, how: str) -> None:
    """A later layer hides /etc in one of the ways of layers: there is no such user. Control: without it, there is."""
    hidden = {
        "whiteout": [regular(".wh.etc", b"")],
        "opaque": [directory("etc"), regular("etc/.wh..wh..opq", b""), regular("etc/new", b"")],
        "file": [regular("etc", b"no directory")],
        "root": [regular(".wh..wh..opq", b""), directory("etc")],
    }
    etc = bottom(directory("etc"), regular("etc/passwd", ANN))
    top = bottom(*hidden[how]) if how == "root" else archive(hidden[how])
    with image(tinybox, tmp_path, etc, archive([directory("etc")])) as name:
        assert output(tinybox, "--network", "none", "-u", "ann", name, "id", "-u") == "1000\n"
    with image(tinybox, tmp_path, etc, top) as name:
        one_line(tinybox("run", "--rm", "-u", "ann", name, "id"), 125, "no user ann")
        if how == "root":  # overlayfs itself does not look at the mark of a layer's root
            assert output(tinybox, "--network", "none", name, "ls", "/etc").split() == [
                "hostname",
                "hosts",
                "resolv.conf",
            ]


def test_diff_compares_with_what_the_layers_come_to(tinybox: Command, tmp_path: Path) -> None:
    """A file in a directory that a layer in between has hidden is added, not changed; hidden files are not listed."""
    lower = bottom(directory("a"), regular("a/f"), directory("b"), regular("b/f"), directory("c"), regular("c/f"))
    middle = archive([regular(".wh.a", b""), directory("b"), regular("b/.wh..wh..opq", b""), regular("c", b"x")])
    top = archive([directory("a"), regular("a/g"), regular(".wh.c", b""), directory("c"), directory("etc")])
    with image(tinybox, tmp_path, lower, middle, top) as name:
        with box(tinybox, name, "sh", "-c", "touch /a/f /b/f /c/f") as changed:
            assert set(tinybox("diff", changed).stdout.split("\n")) - {""} == {
                *("C /a", "A /a/f", "C /b", "A /b/f", "C /c", "A /c/f")
            }
        with box(tinybox, name, "sh", "-c", "true") as unchanged:
            assert tinybox("diff", unchanged).stdout == ""


def test_mount_points_behind_a_link_are_no_change(tinybox: Command, tmp_path: Path) -> None:
    """If /etc is a link, the empty files for /etc/hosts and its like are behind it; diff and commit skip them."""
    etc = bottom(directory("usr"), directory("usr/etc"), symlink("etc", "usr/etc"))
    hosts = regular("usr/etc/hosts", b"old\n")
    with image(tinybox, tmp_path, bottom(directory("usr"), directory("usr/etc"), symlink("etc", "usr/etc"), hosts), etc,
               archive([directory("usr/etc"), regular("usr/etc/.wh.hosts", b"")])) as name:  # fmt: skip
        with box(tinybox, name, "cat", "/etc/hosts") as unchanged:
            assert tinybox("diff", unchanged).stdout == ""
            assert tinybox("commit", unchanged, "test-same").returncode == 0
            try:
                layers = "{{len .RootFS.Layers}}"
                assert tinybox("inspect", "-f", layers, "test-same").stdout == "3\n"
            finally:
                assert tinybox("rmi", "test-same").returncode == 0
        with box(tinybox, name, "touch", "/etc/new") as changed:  # the control
            assert tinybox("diff", changed).stdout.split("\n")[:-1] == ["C /usr", "C /usr/etc", "A /usr/etc/new"]


def test_volumes_and_bundles_are_made_of_what_the_layers_come_to(tinybox: Command, tmp_path: Path) -> None:
    """The place of a volume is behind a link of another layer; an image of two equal layers has a view, too."""
    lower = bottom(directory("real"), regular("real/old", b""), regular("real/gone", b""), symlink("data", "real"))
    top = archive([directory("real"), regular("real/new", b""), regular("real/.wh.gone", b"")])
    with image(tinybox, tmp_path, lower, top) as name:
        assert output(tinybox, "--network", "none", "-v", "/data", name, "ls", "/data").split() == ["new", "old"]
    with image(tinybox, tmp_path, lower, lower) as name:
        assert output(tinybox, "--network", "none", "-v", "/real", name, "ls", "/real").split() == ["gone", "old"]
        assert tinybox("run", "--bundle", str(tmp_path / "b"), "--network", "none", name, "ls").returncode == 0
        assert sorted(path.name for path in (tmp_path / "b/rootfs/real").iterdir()) == ["gone", "old"]
