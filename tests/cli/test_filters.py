"""--filter of prune and of lists has docker's keys: each chooses what docker's chooses, or is an error."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from tests.support import forked_commands
from tests.support import image_archives as tar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def says(tmp_path: Path) -> Callable[[str], list[str]]:
    """Give a function that carries out a command line on an empty store, and returns the words that it prints."""

    def carry_out(line: str) -> list[str]:
        done = forked_commands.run(str(tmp_path / "store"), *shlex.split(line))
        assert done.complaint() == ""
        return (done.stdout or done.stderr).split()

    return carry_out


@pytest.mark.root
def test_filters_of_volumes(says: Callable[[str], list[str]]) -> None:
    """`volume prune` has label, label! and all; without all=true, or --all, it keeps volumes that have a name."""
    for line in ("one --label kind=a", "two --label kind=b", "three"):
        says(f"volume create {line}")
    assert says("volume ls -q --filter label=kind") == ["one", "two"]
    assert says("volume ls -q --filter name=o") == ["one", "two"]
    assert "one" not in says("volume prune -f --filter label=kind=a")
    assert says("volume prune -f --filter all=1 --filter label=kind=a")[2] == "one"
    assert says("volume prune -fa --filter label!=kind")[2] == "three"
    assert says("volume ls -q") == ["two"]
    for line in ("volume prune -f --filter until=1h", "volume ls --filter until=1h", "volume prune -f --filter all=x"):
        assert "--filter" in says(line)


@pytest.mark.root
def test_filters_of_networks(says: Callable[[str], list[str]]) -> None:
    """`network prune` has label, label! and until; a network that was made later than until= stays."""
    for line in ("one --label kind=a", "two --label kind=b"):
        says(f"network create {line}")
    assert says("network prune -f --filter until=1h") == []
    assert says("network prune -f --filter label!=kind=b --filter until=0s") == ["Deleted", "Networks:", "one"]
    assert says("network ls --filter type=custom --format {{.Name}}") == ["two"]
    assert says("network prune -f --filter dangling=true")[1:3] == ["--filter", "dangling=true:"]
    assert says("network prune -f")[2] == "two"


@pytest.mark.root
def test_filters_of_images(says: Callable[[str], list[str]], tmp_path: Path) -> None:
    """`image prune --filter dangling=false` removes named images, too, as --all; dangling=true does not."""
    (tmp_path / "x.tar").write_bytes(tar.archive([tar.regular("file", b"x")]))
    says(f"import -c 'LABEL kind=a' {tmp_path}/x.tar named:1")
    assert says("image prune -f --filter dangling=true")[-1] == "0B"
    assert says("image prune -f --filter dangling=false --filter label=kind=b")[-1] == "0B"
    assert "named:1" in says("image prune -f --filter dangling=false --filter label=kind=a")
    assert says("images -q") == []
    assert "--filter" in says("image prune -f --filter reference=x")
