"""Disks for tests: a block device for limits, and a directory in which the kernel refuses an overlay."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20


def disk_of(path: Path) -> str:
    """Return the whole disk on which *path* lies; skip the test if there is none."""
    device = os.stat(path).st_dev
    entry = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not entry.exists() or (entry / "partition").exists():
        pytest.skip("there are no loop devices here, and the store does not have a disk for itself")
    return f"/dev/{entry.resolve().name}"


@pytest.fixture
def block_device(store_root: Path) -> Iterator[str]:
    """Make a block device of 4 MiB from a file; without loop devices take the store's disk, for reading."""
    (store_root / "tmp").mkdir(exist_ok=True)
    file = store_root / "tmp" / "disk"
    file.write_bytes(os.urandom(4 * MIB))
    done = subprocess.run(["losetup", "--find", "--show", file], capture_output=True, text=True, check=False)
    if done.returncode:
        file.unlink()
        yield disk_of(store_root)
        return
    yield done.stdout.strip()
    subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)
    file.unlink()


@contextmanager
def on_overlay(home: Path) -> Iterator[None]:
    """Mount an overlay on the directory *home*, with all its directories on a tmpfs; see mount(8)."""
    beside = home.with_suffix(".disk")
    beside.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", beside], check=True)
    try:
        for name in ("lower", "upper", "work"):
            (beside / name).mkdir()
        options = f"lowerdir={beside}/lower,upperdir={beside}/upper,workdir={beside}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, home], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", home], check=True)
    finally:
        subprocess.run(["umount", beside], check=True)
        beside.rmdir()
