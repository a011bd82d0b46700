"""What a network needs on disk, on a full one: a record is there whole or not at all, and links are removed anyhow."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from tinybox.container.network import link_remover, published_ports
from tinybox.linux.filesystem import own_files

if TYPE_CHECKING:
    from pathlib import Path


def full(*_: object) -> NoReturn:
    """Fail as a write(2) on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def none_left() -> NoReturn:
    """Fail as a fork(2) at the limit of processes."""
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_published_ports_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no file, so no later reader calls it damaged."""
    monkeypatch.setattr(own_files, "write_all", full)
    port: published_ports.Port = {"hostIp": "", "hostPort": 8080, "containerPort": 80, "protocol": "tcp"}
    with pytest.raises(OSError, match="No space"):
        published_ports.save(str(tmp_path), [port])
    assert (published_ports.load(str(tmp_path)), capsys.readouterr().err) == (None, "")
    monkeypatch.undo()
    published_ports.save(str(tmp_path), [port])
    assert published_ports.load(str(tmp_path)) == [port]


@pytest.mark.parametrize(("module", "name", "fault"), [(own_files, "write_all", full), (os, "fork", none_left)])
def test_links_that_no_child_can_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str, fault: object
) -> None:
    """Without room for the note, or without a child, the process removes them itself, and leaves no note."""
    removed = list[object]()
    monkeypatch.setattr(link_remover, "remove", lambda *these: removed.append(these))
    monkeypatch.setattr(module, name, fault)
    link_remover.begin(str(tmp_path), {"tb-1"}, ["veth1"], ())
    assert removed == [(["tb-1"], ["veth1"])]
    assert list(tmp_path.iterdir()) == []
