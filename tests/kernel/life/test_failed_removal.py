"""A removal that fails in a program that goes on, such as one that uses tinybox as a library."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.support.boxes import new_name
from tests.support.detached_boxes import Life, stdout_of
from tinybox.container import control, lifecycle
from tinybox.container.records import host
from tinybox.container.records.paths import Paths

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root


def refuse(*_: object, **__: object) -> NoReturn:
    """Fail as a disk does."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("step", ["delete", "end_group"])
def test_a_failed_removal_does_not_keep_the_container(
    tinybox: Command, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """This process lives on, and another command removes the container."""
    name, paths = new_name(), Paths(tinybox.root)
    stdout_of(tinybox, "create", "--name", name, "busybox", "true")
    container = Life(tinybox, name).id
    if step == "end_group":  # it is for a container of which nothing is known
        os.unlink(os.path.join(paths.bundle(container), "state.json"))
    monkeypatch.setattr(lifecycle, step, refuse)
    with pytest.raises(OSError, match="Input/output error"):
        control.remove(paths, host.read(paths.cache), name, force=False, volumes=False)
    monkeypatch.undo()
    tinybox("rm", "-f", name)  # its sweep may have removed a container of which nothing is known
    assert not os.path.exists(paths.bundle(container))
