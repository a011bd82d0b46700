"""A directory that becomes a layer as it is gives the archive and the diff id that packing it gives."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from tinybox.images import adopting, intake
from tinybox.images.archives import layers
from tinybox.images.original import Original
from tinybox.images.store import Store, layer_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tinybox.images.intake import Workspace

pytestmark = pytest.mark.root  # whiteouts are devices, and overlayfs's attributes are root's

OPAQUE = "trusted.overlay.opaque"
WITHOUT = ("/etc/hosts", "/mnt", "/mnt/point")


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Workspace]:
    """Give the workspace of a new store."""
    with intake.workspace(Store(str(tmp_path / "store"))) as found:
        yield found


def fill(upper: Path) -> None:
    """Make an upper directory with one file of each kind."""
    for folder in ("etc", "mnt", "opaque", "sub/deep"):
        (upper / folder).mkdir(parents=True)
    (upper / "sub/file").write_bytes(b"content" * 1000)
    os.chown(upper / "sub/file", 5, 6)
    (upper / "sub/file").chmod(0o4750)
    os.link(upper / "sub/file", upper / "hard")
    (upper / "link").symlink_to("/nowhere")
    os.mkfifo(upper / "fifo")
    (upper / "empty").touch()
    with (upper / "sparse").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"middle")
    os.mknod(upper / "sub/gone", stat.S_IFCHR, os.makedev(0, 0))
    os.setxattr(upper / "opaque", OPAQUE, b"y")
    os.setxattr(upper / "sub/file", "user.note", b"kept")
    (upper / "new\nline\udcff").write_text("x")
    (upper / "etc/hosts").touch()
    (upper / "mnt/point").touch()
    for path in sorted(upper.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            os.utime(path, (1000, 1000))


def adopted(work: Workspace, upper: Path) -> tuple[str, list[str]]:
    """Return the diff id of an upper directory, and the names that were left out."""
    left_out: list[str] = []
    return adopting.adopt(work, str(upper), 7, layers.mark_of_layers(), left_out.append, WITHOUT), left_out


def test_the_archive_is_the_one_that_pack_writes(work: Workspace, tmp_path: Path) -> None:
    """Also with hard links, holes, whiteouts, opaque directories and strange names; `save` gives its bytes again."""
    fill(tmp_path / "upper")
    layers.pack(str(tmp_path / "upper"), str(tmp_path / "packed.tar"), layers.mark_of_layers(), print, WITHOUT)
    packed = (tmp_path / "packed.tar").read_bytes()
    diff_id, left_out = adopted(work, tmp_path / "upper")
    assert (diff_id, left_out) == (f"sha256:{hashlib.sha256(packed).hexdigest()}", [])
    original = Original(f"{work.path}/layer-7/fs")
    assert b"".join(original.pieces()) == packed
    unpacked = intake.add_layer(work, str(tmp_path / "packed.tar"), 8)
    assert layer_record(f"{work.path}/layer-7") == layer_record(f"{work.path}/layer-8")
    assert unpacked.diff_id == diff_id
    assert not (tmp_path / "upper").exists()


def test_the_directory_has_the_files_that_unpacking_gives(work: Workspace, tmp_path: Path) -> None:
    """Types, modes, owners, links, whiteouts and times; no mount points, and no notes of overlayfs to itself."""
    fill(tmp_path / "upper")
    os.setxattr(tmp_path / "upper/sub/file", "trusted.overlay.origin", b"\0")
    os.setxattr(tmp_path / "upper/sub", "trusted.overlay.impure", b"y")
    layers.pack(str(tmp_path / "upper"), str(tmp_path / "packed.tar"), layers.mark_of_layers(), print, WITHOUT)
    adopted(work, tmp_path / "upper")
    intake.add_layer(work, str(tmp_path / "packed.tar"), 8)
    assert seen(f"{work.path}/layer-7/fs") == seen(f"{work.path}/layer-8/fs")


def seen(top: str) -> dict[str, tuple[object, ...]]:
    """Return all about each file below *top*."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, names in os.walk(top):
        for path in [os.path.join(folder, name) for name in folders + names]:
            info = os.lstat(path)
            known = {
                name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False)
            }
            words = (info.st_mode, info.st_uid, info.st_gid, info.st_rdev, info.st_size * stat.S_ISREG(info.st_mode))
            target = os.readlink(path) if stat.S_ISLNK(info.st_mode) else ""
            time = 0 if stat.S_ISCHR(info.st_mode) else round(info.st_mtime, 3)
            found[os.path.relpath(path, top)] = (*words, time, target, known)
    return found


def test_files_that_no_layer_has_are_removed(work: Workspace, tmp_path: Path) -> None:
    """Sockets, devices and names of whiteouts are told, and not left in the layer; a directory keeps its time."""
    upper = tmp_path / "upper"
    (upper / "d").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(upper / "d/socket"))
    os.mknod(upper / "d/null", stat.S_IFCHR, os.makedev(1, 3))
    (upper / ".wh.x").touch()
    os.utime(upper / "d", (1000, 1000))
    diff_id, left_out = adopted(work, upper)
    assert diff_id
    assert sorted(left_out) == [".wh.x", "d/null", "d/socket"]
    assert sorted(seen(f"{work.path}/layer-7/fs")) == ["d"]
    assert os.stat(f"{work.path}/layer-7/fs/d").st_mtime == 1000
    Original(f"{work.path}/layer-7/fs")


def test_a_directory_without_files_is_no_layer(work: Workspace, tmp_path: Path) -> None:
    """It may have mount points, which do not count."""
    (tmp_path / "upper/mnt").mkdir(parents=True)
    (tmp_path / "upper/mnt/point").touch()
    assert adopted(work, tmp_path / "upper")[0] == ""
