"""Files that a box can change are opened without waiting for the box, and its links lead nowhere outside."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.slowness import SLOWNESS
from tinybox.container.files import mount_placeholders
from tinybox.container.storage import etc
from tinybox.errors import UnfitFileError
from tinybox.images.archives import members as of_tree
from tinybox.isolation import copy_up, overlay
from tinybox.linux.filesystem import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARK = overlay.opaque_mark(userns=False)
SOON = 10 * SLOWNESS  # seconds; a lease would delay tinybox for 45


@contextlib.contextmanager
def leased(path: Path, kind: int = fcntl.F_WRLCK) -> Iterator[None]:
    """Make another process hold a lease on the file *path*, and never release it; see fcntl(2)."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGIO, signal.SIG_IGN)
            fcntl.fcntl(os.open(path, os.O_RDONLY), fcntl.F_SETLEASE, kind)
            os.write(tell, b"x")
            time.sleep(600)
        finally:
            os._exit(1)
    os.close(tell)
    try:
        assert os.read(ready, 1), "the control: the kernel grants a lease on this file system"
        yield
    finally:
        os.close(ready)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Make a file with some text in it."""
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1\tlocalhost\n")
    return path


def test_a_lease_delays_neither_readers_nor_writers(file: Path) -> None:
    """A write lease makes readers and writers wait, a read lease writers: each is refused at once and by name."""
    begun = time.monotonic()
    with leased(file):
        with pytest.raises(UnfitFileError, match=f"{file}: a process holds a lease on it"):
            etc.read(str(file))
        with pytest.raises(UnfitFileError, match="lease"):
            etc.change(str(file), lambda _: "new\n", 1 << 20)
    with leased(file, fcntl.F_RDLCK):
        assert etc.read(str(file)) == "127.0.0.1\tlocalhost\n"
        with pytest.raises(UnfitFileError, match="lease"):
            etc.change(str(file), lambda _: "new\n", 1 << 20)
    assert time.monotonic() - begun < SOON
    etc.change(str(file), lambda _: "new\n", 1 << 20)
    assert etc.read(str(file)) == "new\n"


def test_a_start_makes_new_files(file: Path) -> None:
    """The former file may be mounted in another box, with a lease on it: it stays that box's, and causes no wait."""
    begun = time.monotonic()
    with open(file, encoding="utf-8") as former, leased(file, fcntl.F_RDLCK):
        etc.write(str(file.parent), {"mounts": [{"destination": "/etc/hosts", "type": "bind", "source": "hosts"}]})
        assert former.read() == "127.0.0.1\tlocalhost\n"
        assert file.stat().st_ino != os.fstat(former.fileno()).st_ino
    assert "localhost" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644
    assert time.monotonic() - begun < SOON


def test_a_lease_delays_a_copy_only_for_a_moment(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy waits for a holder that releases its lease in time; otherwise it fails, with the file's name."""
    monkeypatch.setattr(of_tree, "PATIENCE", 0.5)
    top, begun = os.open(tmp_path, os.O_PATH), time.monotonic()
    try:
        with (
            leased(file),
            open(os.devnull, "wb") as nowhere,
            pytest.raises(UnfitFileError, match="hosts: a process holds a lease"),
        ):
            of_tree.write(of_tree.members(top, "."), nowhere)
    finally:
        os.close(top)
    assert 0.5 <= time.monotonic() - begun < SOON


def test_a_file_that_became_a_pipe_is_not_copied(tmp_path: Path) -> None:
    """Another box can replace a file of a shared volume by a pipe: the copy does not wait for its writer."""
    os.mkfifo(tmp_path / "was-a-file")
    (tmp_path / "target").mkdir()
    source, target = (os.open(folder, os.O_PATH) for folder in (tmp_path, tmp_path / "target"))
    try:
        copy_up._copy_content(b"was-a-file", source, target)
    finally:
        os.close(source)
        os.close(target)
    assert (tmp_path / "target/was-a-file").read_bytes() == b""


@pytest.mark.parametrize("path", ["/proc/version", "/sys/kernel/notes"])
def test_the_kernel_s_own_files_are_not_read(path: str) -> None:
    """A regular file of procfs or sysfs may have no end, or make its reader wait, as /proc/kmsg does."""
    fd = os.open(path, os.O_PATH)
    try:
        with pytest.raises(UnfitFileError, match=f"{path}: is a file of the kernel"):
            files.read_regular(fd, path, 100)
    finally:
        os.close(fd)


def test_only_absence_means_a_missing_file(tmp_path: Path) -> None:
    """Links in a circle and names that are too long are errors; os.path.exists would return False."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    assert [files.exists(f"{tmp_path}/{name}") for name in ("file", "none", "file/none")] == [True, False, False]
    assert files.exists(f"{tmp_path}/loop", follow_symlinks=False)
    for name in ("loop", "x" * 300):
        with pytest.raises(OSError, match=r"loop|xxx"):
            files.exists(f"{tmp_path}/{name}")


def test_mount_points_are_not_searched_through_links(tmp_path: Path) -> None:
    """If a box has made /etc a link to a directory of the host, tinybox does not search there."""
    upper, layer, host = (tmp_path / name for name in ("upper", "layer", "host"))
    for folder in (upper, layer, host):
        folder.mkdir()
    (host / "hosts").touch()
    (upper / "etc").symlink_to(host)
    assert mount_placeholders.made(str(upper), [str(layer)], MARK) == set()
    (upper / "etc").unlink()
    (upper / "etc").mkdir()
    (upper / "etc/hosts").touch()
    assert mount_placeholders.made(str(upper), [str(layer)], MARK) == {"/etc/hosts", "/etc"}
    (layer / "etc").symlink_to(host)  # so the box has replaced the link by a directory, which is a change
    assert mount_placeholders.made(str(upper), [str(layer)], MARK) == {"/etc/hosts"}
    (layer / "etc").unlink()
    (layer / "etc").mkdir()
    (layer / "etc/hosts").symlink_to("/none")
    assert mount_placeholders.made(str(upper), [str(layer)], MARK) == set()
