"""docs/docker-walk.md, line by line: a first hour with docker, in which `docker` is tinybox."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.conftest import TIMEOUT, Command
from tests.support.registries import DockerRegistry, free_port
from tests.support.slowness import SLOWNESS
from tinybox.linux.filesystem.files import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

PAGE = Path(__file__).parents[2] / "docs/docker-walk.md"
FEWEST = 40  # lines; a page that loses its lines must not pass
REGISTRY, PUBLISHED = "localhost:5000", "8080"  # as on the page; the test uses free ports


class Typed(NamedTuple):
    """A line of the page, and what the page says that it prints."""

    line: str
    printed: str


def typed(page: str) -> list[Typed]:
    """Return the lines of the *page* that begin with ``$``, in order, each with the text up to the next one."""
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return [
        Typed(*part.split("\n", 1)) for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    ]


def differs(wanted: str, got: str) -> bool:
    """Return if *got* is not what the page says; ``...`` on the page is any text, and runs of blanks are one."""
    loose = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return not doctest.OutputChecker().check_output(wanted, got, loose)


@pytest.fixture
def walker(store_root: Path, tmp_path: Path) -> Iterator[Command]:
    """Give the command with a store of its own that has busybox, and a `docker` on the PATH that is tinybox."""
    root = tempfile.mkdtemp(prefix="tinybox-walk-", dir="/var/tmp")
    command = Command(root)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/docker").symlink_to(command.path)
    command.environment |= {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "TINYBOX_NETWORK": "",
        "HOME": str(tmp_path),
    }
    archive = str(tmp_path / "busybox.tar")
    assert Command(store_root)("save", "-o", archive, "busybox").returncode == 0
    assert command("load", "-i", archive).returncode == 0
    yield command
    for words in (("compose", "-p", "walk", "down", "-v"), ("prune", "-f", "--volumes")):
        command(*words)
    command("rm", "-f", *command("ps", "-aq").stdout.split())
    remove_tree(root)


def test_each_line_does_what_the_page_says(walker: Command, tmp_path: Path) -> None:
    """Each line of the walk prints what the page says, on either stream, and ends with status 0."""
    lines = typed(PAGE.read_text())
    assert len([line for line in lines if line.line.startswith("docker ")]) >= FEWEST
    folder = tmp_path / "walk"
    folder.mkdir()
    with DockerRegistry(tmp_path / "registry") as registry:
        ports = {REGISTRY: f"localhost:{registry.port}", PUBLISHED: str(free_port())}
        for line, printed in lines:
            for there, here in ports.items():
                line, printed = line.replace(there, here), printed.replace(there, here)  # noqa: PLW2901
            done = subprocess.run(["bash", "-c", line], cwd=folder, env=walker.environment, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=TIMEOUT * SLOWNESS, check=False)  # fmt: skip
            assert done.returncode == 0, f"$ {line}\n{done.stdout}"
            assert not differs(printed, done.stdout), f"$ {line}\n{done.stdout}\nthe page says:\n{printed}"


def test_a_line_that_prints_something_else_is_noticed() -> None:
    """The comparison of the walk finds a missing line, a wrong word and a wrong number; ``...`` hides no other line."""
    (only,) = typed("text\n```console\n$ docker ps\na ... b\nc\n```\n$ not a line of the walk\n")
    assert only == Typed("docker ps", "a ... b\nc\n")
    assert not differs(only.printed, "a 1 2  b\nc\n")
    assert all(differs(only.printed, text) for text in ("a 1 b\n", "a 1 b\nd\n", "x 1 b\nc\n", ""))
