"""--user looked up in directories that stand for an image's layers; their files may be malformed."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.slowness import SLOWNESS
from tinybox.container.config.user_option import MOST, add_groups, home, resolve
from tinybox.errors import TinyboxError, UnfitFileError, UsageError
from tinybox.linux.filesystem import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tinybox.container.records.spec_types import User

USERS = f"""bad
::::::
root:x:0:0:root:/root:/bin/sh
large:x:{MOST + 1}:5::/home/large:
endless:x:{"9" * 5000}:5::/home/endless:
group:x:5:{MOST + 1}::/home/group:
negative:x:-1:5::/:
nogroup:x:8::::
fine:x:7:70::/home/fine:
"""
GROUPS = f"""bad
large:x:{MOST + 1}:root
endless:x:{"9" * 5000}:root
none:x::root
word:x:abc:root
short:x:20
fine:x:30:other,root
"""


@pytest.fixture
def layer(tmp_path: Path) -> str:
    """Return a layer with users and groups of all kinds."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(USERS)
    (tmp_path / "etc/group").write_text(GROUPS)
    return str(tmp_path)


def test_malformed_lines_are_skipped(layer: str) -> None:
    """The other lines count; a group's line may end before its members."""
    assert resolve("root", [layer]) == ({"uid": 0, "gid": 0, "additionalGids": [0, 30]}, "/root")
    assert resolve("fine:fine", [layer]) == ({"uid": 7, "gid": 30, "additionalGids": [30]}, "/home/fine")
    assert resolve("0:short", [layer])[0] == {"uid": 0, "gid": 20, "additionalGids": [20]}
    assert resolve("8", [layer]) == ({"uid": 8, "gid": 0, "additionalGids": [0]}, "/")


NOBODY = ["bad", "large", "endless", "group", "negative", "nogroup", "0:large", "0:none", "0:word", "٣", "-1"]


@pytest.mark.parametrize("user", [*NOBODY, str(MOST + 1), "9" * 5000, f"0:{MOST + 1}", "0:" + "9" * 5000])
def test_an_unknown_name_or_invalid_number(layer: str, user: str) -> None:
    """A user without a valid line, or a number that no user can have, is an error that names the option."""
    with pytest.raises(UsageError, match="--user"):
        resolve(user, [layer])


@contextlib.contextmanager
def renaming(folder: Path) -> Iterator[None]:
    """Keep a process that renames a directory in *folder* to and fro, as fast as it can."""
    (folder / "to").mkdir(parents=True)
    pid = os.fork()
    if pid == 0:
        while True:
            os.rename(folder / "to", folder / "fro")
            os.rename(folder / "fro", folder / "to")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def is_refused(layer: Path) -> bool:
    """Tell whether openat2(2) gives up looking for the user list of *layer* within a minute."""
    how, root, deadline = (
        files.OpenHow(os.O_PATH, 0, files.RESOLVE_IN_ROOT),
        os.open(layer, os.O_PATH),
        time.monotonic(),
    )
    try:
        while time.monotonic() < deadline + 60 * SLOWNESS:
            os.close(files._openat2(root, b"/etc/passwd", how, 24))
    except BlockingIOError:
        return True
    finally:
        os.close(root)
    return False


def test_concurrent_renames_do_not_hide_a_file(tmp_path: Path) -> None:
    """None of 10000 look-ups through a `..` misses the file while directories are renamed; see EAGAIN, openat2(2).

    The control is the bare system call, which fails sooner or later.
    """
    layer = tmp_path / "layer"
    (layer / "etc").mkdir(parents=True)
    (layer / "usr/lib").mkdir(parents=True)
    (layer / "usr/lib/passwd").write_text("ana:x:1000:1000::/home/ana:\n")
    (layer / "etc/passwd").symlink_to("../usr/lib/../lib/passwd")
    with renaming(tmp_path / "elsewhere"):
        assert is_refused(layer), "the control: without another try the kernel's answer is an error"
        found = {(user["gid"], folder) for user, folder in (resolve("1000", [str(layer)]) for _ in range(10000))}
    assert found == {(1000, "/home/ana")}


def test_an_endless_rename_is_an_error(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of tries is bounded, and then the error is raised; it never means a missing file."""
    calls = 0

    def refuse(*_: object) -> int:
        nonlocal calls
        calls += 1
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(files, "_openat2", refuse)
    with pytest.raises(TinyboxError, match="/etc/passwd: cannot be looked up"):
        resolve("root", [layer])
    assert calls == 128


@pytest.mark.parametrize("user", ["root", "1000", "5:root"])
def test_an_error_is_not_absence(layer: str, tmp_path: Path, user: str) -> None:
    """Links in a circle (ELOOP) are an error, although the layer below has a good file."""
    upper = tmp_path / "upper"
    (upper / "etc").mkdir(parents=True)
    (upper / "etc/passwd").symlink_to("passwd")
    with pytest.raises(TinyboxError, match="/etc/passwd: cannot be looked up in the box: Too many levels"):
        resolve(user, [layer, str(upper)])


def test_a_huge_file_is_not_read(layer: str, tmp_path: Path) -> None:
    """Tinybox reads 1 MiB of a sparse file of 3 GiB and refuses it; numbers for user and group need no file."""
    os.truncate(tmp_path / "etc/passwd", 3 << 30)
    os.truncate(tmp_path / "etc/group", 3 << 30)
    for user in ("root", "5", "5:root"):
        with pytest.raises(UnfitFileError, match="/etc/passwd: is larger than 1048576 bytes"):
            resolve(user, [layer])
    assert resolve("5:6", [layer]) == ({"uid": 5, "gid": 6, "additionalGids": [6]}, "/")
    assert home(0, [layer]) == "/"
    grouped: User = {"uid": 0, "gid": 0}
    add_groups(grouped, ["7"], [layer])
    assert grouped["additionalGids"] == [7]
    with pytest.raises(UnfitFileError, match="/etc/group"):
        add_groups(grouped, ["fine"], [layer])


@pytest.mark.parametrize("kind", ["fifo", "directory", "device"])
def test_only_a_regular_file_is_read(layer: str, tmp_path: Path, kind: str) -> None:
    """A pipe, a directory or a device in its place contains no users, and opening it does not wait."""
    place = tmp_path / "etc/passwd"
    place.unlink()
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    else:
        place.symlink_to("null")
        if os.geteuid() != 0:
            pytest.skip("mknod(2) needs root")
        os.mknod(tmp_path / "etc/null", 0o20666, os.makedev(1, 3))
    assert resolve("7", [layer]) == ({"uid": 7, "gid": 0, "additionalGids": [0]}, "/")
    with pytest.raises(UsageError, match="no user fine"):
        resolve("fine", [layer])
