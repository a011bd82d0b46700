"""The file of --cidfile: it exists while a container is made, and is kept only if the id was written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from tinybox.container.records.id_file import IdFile
from tinybox.errors import HostError, StateError

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_taken_at_once_and_kept_with_an_id(tmp_path: Path) -> None:
    """Of two commands with the same file the second one fails, even before the first one has written."""
    path = tmp_path / "id"
    with IdFile(str(path)) as file:
        with pytest.raises(StateError, match="container ID file found"), IdFile(str(path)):
            pass
        assert path.read_text() == ""
        file.write("abc")
    assert path.read_text() == "abc"


def test_without_an_id_it_goes(tmp_path: Path) -> None:
    """After any exception the empty file is removed."""
    path = tmp_path / "id"
    with pytest.raises(KeyError), IdFile(str(path)):
        raise KeyError
    assert not path.exists()


def test_a_disk_that_is_full_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the cause, and the file is removed."""

    def full(fd: int, data: bytes) -> NoReturn:
        raise OSError(28, "No space left on device")

    path = tmp_path / "id"
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(HostError, match="cannot be written: No space left"), IdFile(str(path)) as file:
        file.write("abc")
    assert not path.exists()
