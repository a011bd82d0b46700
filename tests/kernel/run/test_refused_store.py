"""The store of root on an overlay, where the kernel refuses another one: fuse-overlayfs serves it, as without root."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.boxes import one_line
from tests.support.disks import on_overlay

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def refused() -> Iterator[Command]:
    """Give the command with a store on an overlay that has the image busybox."""
    if shutil.which("fuse-overlayfs") is None or not os.access("/dev/fuse", os.W_OK):
        pytest.fail("fuse-overlayfs and /dev/fuse are needed: make test-packages installs the program")
    home = Path(tempfile.mkdtemp(prefix="tinybox-store-", dir="/var/tmp"))
    with on_overlay(home):
        tinybox = Command(home / "store")
        done = tinybox("pull", "busybox")
        assert done.returncode == 0, done.stderr
        assert "refuses an overlay (EINVAL): fuse-overlayfs is used" in done.stderr
        yield tinybox
        shutil.rmtree(home / "store")
    home.rmdir()


def test_root_gets_the_same(refused: Command, tinybox: Command) -> None:
    """A box changes files, diff shows it, its limit holds, a new image hides the file; a plain store is the control."""
    words = "rm /bin/false; echo 1 > /new; grep -c fuse-overlayfs /proc/self/mountinfo"
    for command, served in ((refused, "1"), (tinybox, "0")):
        done = command("run", "--name", "changed", "-m", "64m", "busybox", "sh", "-c", words)
        assert (done.stdout.strip(), done.stderr) == (served, "")
        assert command("diff", "changed").stdout.split("\n")[:-1] == ["C /bin", "D /bin/false", "A /new"]
        assert command("commit", "changed", "fewer").returncode == 0
        assert "No such file" in command("run", "--rm", "fewer", "ls", "/bin/false").stderr
        assert command("rm", "changed").returncode == 0
        assert command("rmi", "fewer").returncode == 0


def test_what_cannot_hold_is_an_error(refused: Command) -> None:
    """A user namespace of the box's own is refused before anything is made, and so is a checkpoint."""
    one_line(refused("run", "--rm", "--userns", "private", "busybox", "true"), 125, "the store refuses overlays")
    assert refused("run", "-d", "--name", "box", "busybox", "sleep", "1000").returncode == 0
    one_line(refused("checkpoint", "create", "box", "one"), 1, "criu knows no root that fuse-overlayfs serves")
    assert refused("rm", "-f", "box").returncode == 0
    assert refused("ps", "-a", "-q").stdout == ""
