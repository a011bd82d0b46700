"""Holes of a file stay holes: in cp, commit, import, save, load and new volumes; the content is the same."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.boxes import new_name, output
from tests.support.tar_contents import stream
from tinybox.isolation.copy_up import copy_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

SIZE = 192 << 20  # bytes, most of them in holes: at the beginning, in the middle and at the end of the file
DATA = {1 << 20: b"first", (64 << 20) + 1: b"x" * 70_000, 100 << 20: bytes(8192) + b"zeros before"}
MOST = 2 << 20  # bytes on disk that a copy may have: zeros of the data may become a hole, or not


def make(path: Path) -> Path:
    """Make a file with holes, and return its path."""
    with path.open("wb") as file:
        for offset, data in DATA.items():
            file.seek(offset)
            file.write(data)
        file.truncate(SIZE)
    assert used(path) < MOST
    return path


def used(*paths: Path) -> int:
    """Return the bytes that files, and the trees of directories, use on the disk."""
    return sum(
        found.lstat().st_blocks * 512 for path in paths for found in ([*path.rglob("*")] if path.is_dir() else [path])
    )


def check(path: Path) -> None:
    """Assert that a file has the content that `make` gives it, and its holes."""
    assert used(path) < MOST
    assert path.stat().st_size == SIZE
    with path.open("rb") as file:
        at = 0
        for offset, data in [*DATA.items(), (SIZE, b"")]:
            while at < offset:
                piece = file.read(min(offset - at, 1 << 20))
                assert piece == bytes(len(piece))
                at += len(piece)
            assert file.read(len(data)) == data
            at += len(data)


@pytest.fixture
def box(tinybox: Command) -> Iterator[str]:
    """Give the name of a box at rest."""
    name = new_name()
    assert tinybox("create", "--name", name, "busybox", "true").returncode == 0
    yield name
    assert tinybox("rm", "-f", name).returncode == 0


@pytest.fixture
def elsewhere(tinybox: Command) -> Iterator[Command]:
    """Give the command with an empty store beside the session's."""
    root = f"{tinybox.root}-holes"
    yield Command(root)
    shutil.rmtree(root, ignore_errors=True)


def store_of(tinybox: Command) -> int:
    """Return the bytes that a store uses on the disk."""
    return used(Path(tinybox.root))


def test_cp_keeps_holes(tinybox: Command, box: str, tmp_path: Path) -> None:
    """Into a box, out of it, and by archives on stdin and stdout, which GNU tar reads and writes."""
    make(tmp_path / "f")
    before = store_of(tinybox)
    assert tinybox("cp", str(tmp_path / "f"), f"{box}:/root/").returncode == 0
    (tmp_path / "out").mkdir()
    assert tinybox("cp", f"{box}:/root/f", str(tmp_path / "out")).returncode == 0
    check(tmp_path / "out/f")
    archive = tmp_path / "f.tar"
    archive.write_bytes(stream(tinybox, "cp", f"{box}:/root/f", "-"))
    assert archive.stat().st_size < MOST
    (tmp_path / "gnu").mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path / "gnu"], check=True)
    check(tmp_path / "gnu/f")
    for form in ("gnu", "posix"):
        subprocess.run(["tar", "-cSf", archive, "-H", form, "-C", tmp_path, "f"], check=True)
        with archive.open("rb") as file:
            done = subprocess.run(
                [tinybox.path, "cp", "-", f"{box}:/tmp"], env=tinybox.environment, stdin=file, check=False
            )
        assert done.returncode == 0
        assert tinybox("cp", f"{box}:/tmp/f", str(tmp_path / form)).returncode == 0
        check(tmp_path / form if form == "posix" else tmp_path / "gnu/f")
    assert store_of(tinybox) - before < 3 * MOST


def test_images_keep_holes(tinybox: Command, elsewhere: Command, box: str, tmp_path: Path) -> None:
    """Committed, saved, loaded, and in a new volume: neither a store nor the saved file grows by the size of the hole.

    The layer itself is a plain archive with zeros, as the OCI image-spec wants it, so every engine can load it.
    """
    assert tinybox("cp", str(make(tmp_path / "f")), f"{box}:/root/").returncode == 0
    before = store_of(tinybox)
    assert tinybox("commit", box, "test-holes").returncode == 0
    try:
        assert store_of(tinybox) - before < MOST
        saved = tmp_path / "saved.tar"
        assert tinybox("save", "-o", str(saved), "test-holes").returncode == 0
        assert saved.stat().st_size > SIZE
        assert used(saved) < used(Path(tinybox.root, "layers")) + MOST
        look = (
            "-v",
            "holes:/root",
            "test-holes",
            "sh",
            "-c",
            "stat -c %b /root/f; tail -c +104865793 /root/f | head -c 12",
        )
        blocks, text = output(tinybox, "--network", "none", *look).split("\n")
        assert (int(blocks) * 512 < MOST, text) == (True, "zeros before")
        check(Path(tinybox.root, "volumes/holes/_data/f"))
    finally:
        assert tinybox("rmi", "test-holes").returncode == 0
        tinybox("volume", "rm", "holes")
    assert elsewhere("load", "-i", str(saved)).returncode == 0
    (file,) = Path(elsewhere.root, "layers").glob("*/fs/root/f")
    check(file)
    assert store_of(elsewhere) < used(saved) + MOST


@pytest.mark.parametrize("form", ["gnu", "posix", "plain"])
def test_an_import_keeps_holes(elsewhere: Command, tmp_path: Path, form: str) -> None:
    """From GNU tar's sparse archives of both kinds, and from a plain one, in which they are zeros."""
    make(tmp_path / "f")
    (tmp_path / "g").write_text("next")
    how = ("-H", "gnu") if form == "plain" else ("-S", "-H", form)
    with subprocess.Popen(["tar", *how, "-cf", "-", "-C", tmp_path, "f", "g"], stdout=subprocess.PIPE) as packing:
        done = subprocess.run(
            [elsewhere.path, "import", "-", "holes"], env=elsewhere.environment, stdin=packing.stdout, check=False
        )
    assert done.returncode == 0
    (file,) = Path(elsewhere.root, "layers").glob("*/fs/f")
    check(file)
    assert (file.parent / "g").read_text() == "next"
    assert store_of(elsewhere) < 2 * MOST


def test_an_export_to_a_file_has_holes(tinybox: Command, box: str, tmp_path: Path) -> None:
    """The archive is a plain one; only the file on the host has holes. A pipe gets every byte."""
    assert tinybox("cp", str(make(tmp_path / "f")), f"{box}:/root/").returncode == 0
    exported = tmp_path / "out.tar"
    assert tinybox("export", "-o", str(exported), box).returncode == 0
    assert exported.stat().st_size > SIZE
    assert used(exported) < 32 << 20
    content = stream(tinybox, "export", box)
    assert content == exported.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getmember("root/f").sparse is None


def test_a_directory_that_is_copied_up_keeps_holes(tmp_path: Path) -> None:
    """The copy of a directory into a tmpfs (tmpcopyup) does not fill holes, which would take memory."""
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
    make(tmp_path / "from/f")
    fds = [os.open(tmp_path / name, os.O_RDONLY | os.O_DIRECTORY) for name in ("from", "to")]
    try:
        copy_directory(*fds)
    finally:
        for fd in fds:
            os.close(fd)
    check(tmp_path / "to/f")
