"""The examples of docs/cli.md are run as they are printed, in the state that they describe; each must end with 0."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.slowness import SLOWNESS
from tools.cli_examples import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = [pytest.mark.root, pytest.mark.slow]

# The expected status where it is not 0: the program's own status is the command's.
STATUS = {
    "tinybox run --rm -m 32m busybox sh -c 'head -c 128m /dev/zero | tail | wc -c'": 137,
    "tinybox start -a job": 3,
    "tinybox unshare ls -l ~/.local/share/tinybox/volumes/data/_data": 125,  # root, who runs the tests, has no home
}

COMPOSE = """
services:
  clock:
    image: busybox
    network_mode: none
    command: [sh, -c, "trap exit TERM; while :; do date; sleep 0.2; done"]
"""


@pytest.fixture
def scene(tinybox: Command, tmp_path: Path) -> Iterator[Command]:
    """Prepare: `web` runs, `job` has ended with 3, `data` is a volume, `lab` a network; afterwards remove them all."""
    (tmp_path / "page.html").write_text("hello\n")
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    subprocess.run(["tar", "-czf", "site.tar.gz", "page.html"], cwd=tmp_path, check=True)
    before = set(images(tinybox))
    script = "trap : HUP; trap exit TERM; while :; do sleep 0.2; done"
    try:
        web = tinybox("run", "-d", "--name", "web", "--network", "bridge", "busybox", "sh", "-c", script)
        assert web.returncode == 0, web.stderr
        job = tinybox("run", "--name", "job", "busybox", "sh", "-c", "exit 3")
        assert job.returncode == 3, job.stderr
        assert tinybox("volume", "create", "data").returncode == 0
        assert tinybox("network", "create", "lab").returncode == 0
        yield tinybox
    finally:
        clear(tinybox, before)


def clear(tinybox: Command, kept: set[str]) -> None:
    """Remove all containers, all volumes, and the images that are not *kept*."""
    made = {("rm", "-fv"): tinybox("ps", "-aq").stdout.split(), ("rmi",): set(images(tinybox)) - kept}
    for command, names in made.items():
        if names:
            done = tinybox(*command, *names)
            assert done.returncode == 0, done.stderr
    for words in (("volume", "prune", "--force", "--all"), ("network", "prune", "--force")):
        assert tinybox(*words).returncode == 0


def images(tinybox: Command) -> list[str]:
    """List the names of the images in the store."""
    done = tinybox("images")
    return [":".join(line.split()[:2]) for line in done.stdout.splitlines()[1:]]


def together(name: str) -> str:
    """Return which examples are run in the same scene as those of *name*: those of compose are one long walk."""
    return "compose" if name.startswith("compose ") else name


@pytest.mark.parametrize(
    "group", dict.fromkeys(together(name) for name in EXAMPLES if any(example.alone for example in EXAMPLES[name]))
)
def test_the_examples_of(scene: Command, group: str, tmp_path: Path) -> None:
    """Each example of this command, in the order of the page, succeeds, or ends with the status listed above."""
    path = f"{Path(scene.path).parent}:{os.environ['PATH']}"
    for example in (each for name in EXAMPLES if together(name) == group for each in EXAMPLES[name]):
        if not example.alone:
            continue
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {example.line}"],
            env={**scene.environment, "PATH": path},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300 * SLOWNESS,
        )
        assert done.returncode == STATUS.get(example.line, 0), f"{example.line}\n{done.stdout}\n{done.stderr}"
