"""Files and links that take the place of former ones: whole or not at all, and nothing but them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from tinybox.linux.filesystem import files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THEIRS = "what lies elsewhere"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a file is to be, in a directory in which nothing else is."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder" / "file"


def at_the_draft(path: Path, make: Callable[[str, str], None]) -> Path:
    """Have something of a stranger's where the draft of *path* will be, and return the file that it leads to."""
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.write_text(THEIRS)
    make(str(elsewhere), f"{path}.new")
    return elsewhere


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_has_its_mode(path: Path, umask: int, mode: int) -> None:
    """Whatever the umask is, and whatever mode the former file had."""
    former = os.umask(umask)
    try:
        for _ in range(2):
            files.replace(str(path), b"text", mode)
            assert stat.S_IMODE(path.stat().st_mode) == mode
            path.chmod(0o666)
    finally:
        os.umask(former)


@pytest.mark.parametrize("make", [os.symlink, os.link, lambda _, draft: os.mkfifo(draft)])
def test_what_was_left_is_not_written_to(path: Path, make: Callable[[str, str], None]) -> None:
    """A link, a second name of a file, or a pipe, where a killed command may have left its draft: removed, not used."""
    elsewhere = at_the_draft(path, make)
    files.replace(str(path), b"text")
    assert path.read_text() == "text"
    assert not path.is_symlink()
    assert elsewhere.read_text() == THEIRS
    assert os.listdir(path.parent) == ["file"]


def test_a_former_file_stays_that_of_who_has_it_open(path: Path) -> None:
    """The former file is not changed: a process that has it open reads all of it."""
    files.replace(str(path), b"former")
    with open(path, encoding="ascii") as file:
        files.replace(str(path), b"later")
        assert (file.read(), path.read_text()) == ("former", "later")


def test_a_link_is_replaced_and_not_followed(path: Path) -> None:
    """The name itself gets the new file, or the new link."""
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.write_text(THEIRS)
    path.symlink_to(elsewhere)
    files.replace_link(str(path), "nowhere")
    assert (os.readlink(path), elsewhere.read_text()) == ("nowhere", THEIRS)
    files.replace(str(path), b"text")
    assert (path.read_text(), path.is_symlink(), elsewhere.read_text()) == ("text", False, THEIRS)


@pytest.mark.parametrize(
    "act", [lambda path: files.replace(path, b"text"), lambda path: files.replace_link(path, "target")]
)
def test_an_error_leaves_nothing(path: Path, act: Callable[[str], None]) -> None:
    """A file that cannot be replaced, here a directory, is an error, and the draft is removed."""
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        act(str(path))
    assert os.listdir(path.parent) == ["file"]


def test_an_interruption_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before the last step: the former file is there, and no draft."""
    files.replace(str(path), b"former")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.replace(str(path), b"later")
    with pytest.raises(KeyboardInterrupt):
        files.replace_link(str(path), "target")
    assert (path.read_text(), os.listdir(path.parent)) == ("former", ["file"])


def test_a_draft_may_have_a_name_of_its_own(path: Path) -> None:
    """So that nobody takes it for one of the links of its directory; a former one is replaced."""
    draft = path.parent.parent / "draft"
    draft.symlink_to("left-behind")
    files.replace_link(str(path), "target", draft=str(draft))
    assert (os.readlink(path), draft.is_symlink()) == ("target", False)


def test_one_write_is_one_command(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel takes as one command is given in one call, and the file is closed, also where that is refused."""
    calls: list[bytes] = []

    def refusing(_: int, data: bytes) -> int:
        calls.append(data)
        raise PermissionError

    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    files.write_once(fd, b"+memory +pids")
    assert path.read_text() == "+memory +pids"
    monkeypatch.setattr(os, "write", refusing)
    other = os.open(path, os.O_WRONLY)
    assert other == fd  # the first one is closed
    with pytest.raises(PermissionError):
        files.write_once(other, b"x" * 100_000)
    assert calls == [b"x" * 100_000]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(other)
