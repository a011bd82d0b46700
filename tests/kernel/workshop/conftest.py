"""A student's directory for the tests of the workshop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tinybox.images.store import Store
from tinybox.workshop import student_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def rootfs(store_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Lay out one student's directory for all tests, and return the files of the image in it."""
    path = tmp_path_factory.mktemp("course")
    student_folder.lay_out(str(path), Store(str(store_root)).image("busybox"))
    yield str(path / "rootfs")
    assert not list((path / "rootfs/proc").iterdir()), "a check has left something in the image"
