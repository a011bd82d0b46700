"""Help for the tests of checkpoints: criu where it works, and programs that stand in for a criu that does not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinybox.container.checkpoints import criu

if TYPE_CHECKING:
    from tests.conftest import Command

# A box's program: it counts up in a variable, so only a process that goes on prints numbers without a gap.
COUNTER = ("sh", "-c", "n=0; while :; do n=$((n+1)); echo $n; sleep 0.2; done")
# The answer of criu 3.1 to the request for its version, as rpc.proto encodes it.
OLD = b"\x08\x0a\x10\x01\x52\x04\x08\x03\x10\x01"


@pytest.fixture(scope="session")
def working_criu() -> None:
    """Skip the test where criu does not work: the reason is criu's own. The machine of tests/vm has a kernel for it."""
    trouble = criu.trouble()
    if trouble:
        pytest.skip(trouble)


def stand_in(folder: Path, *lines: str) -> str:
    """Write a program called criu into *folder* that does *lines* of Python, and return a PATH that begins there.

    ``line`` is the number of its socket to tinybox.
    """
    folder.mkdir(exist_ok=True)
    program = folder / "criu"
    text = "\n".join([f"#!{sys.executable}", "import os, sys", "line = int(sys.argv[2])", *lines, ""])
    program.write_text(text)
    program.chmod(0o755)
    return f"{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def numbers(log: str) -> list[int]:
    """Return the numbers that COUNTER has printed."""
    return [int(line) for line in log.split()]


def checkpoints_of(tinybox: Command, name: str) -> list[str]:
    """Return the names that `checkpoint ls` prints below its heading."""
    done = tinybox("checkpoint", "ls", name)
    assert done.returncode == 0, done
    heading, *names = done.stdout.splitlines()
    assert heading == "CHECKPOINT NAME"
    return names
