"""`tinybox prune`: unused objects are removed, used ones stay, and it prints the space that this frees."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.boxes import kept, new_name

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root


@pytest.fixture
def tinybox() -> Iterator[Command]:
    """Give the command with a store of its own, with busybox: other tests do not need its objects."""
    with tempfile.TemporaryDirectory(prefix="tinybox-test-", dir="/var/tmp") as folder:
        command = Command(folder)
        assert command("pull", "busybox").returncode == 0
        yield command


def boxes(tinybox: Command) -> set[str]:
    """Return the ids of the boxes in the store."""
    return {path.name for path in Path(tinybox.root, "containers").iterdir()}


def test_boxes_at_rest_and_nameless_images_are_removed(tinybox: Command) -> None:
    """A box at rest, half a box of a killed command, and an image without a name are removed; a running box stays."""
    resting, running, volume = new_name(), new_name(), new_name()
    assert tinybox("run", "--name", resting, "busybox", "sh", "-c", "head -c 5000000 /dev/zero > /big").returncode == 0
    nameless = tinybox("commit", resting).stdout.strip()
    half = Path(tinybox.root, "containers", "f" * 64)
    half.mkdir()
    (half / "config.json.new").write_text("{")
    with kept(tinybox, "--rm", "--name", running, "-v", f"{volume}:/v", "busybox", "sh", "-c", "echo READY; sleep 900"):
        asked = tinybox("prune", text="\n")
        kinds = ("stopped containers", "networks not used by at least one container", "dangling images")
        listed = "".join(f"  - all {kind}\n" for kind in kinds)
        assert asked.stdout.startswith(f"WARNING! This will remove:\n{listed}")
        assert len(boxes(tinybox)) == 3  # it asks, and without a yes does nothing
        done = tinybox("prune", text="y\n")
        assert done.returncode == 0, done
        assert len(boxes(tinybox)) == 1
        assert "Deleted Containers:\n" in done.stdout
        assert f"Deleted Images:\ndeleted: {nameless}\n" in done.stdout
        assert done.stdout.splitlines()[-1] == "Total reclaimed space: 10MB"  # the box's 5 MB, and its layer's
        assert tinybox("prune", "-f").stdout == "Total reclaimed space: 0B\n"
        assert tinybox("prune", "-f", "--volumes", "-a").returncode == 0
        assert "busybox" in tinybox("images").stdout  # a box uses it
        assert tinybox("volume", "ls", "-q").stdout.split() == [volume]
    assert tinybox("prune", "-f", "--volumes").returncode == 0
    assert tinybox("volume", "ls", "-q").stdout.split() == [volume]  # it has a name
    assert "busybox" in tinybox("images").stdout  # this one has a name, too
    assert volume in tinybox("prune", "-f", "--volumes", "-a").stdout
    assert "busybox" not in tinybox("images").stdout
