"""Between clone3(2) and execve(2) the child imports nothing: the files it would read are the container's by then."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from tests.conftest import Command

# Python tells an audit hook of each module that is not loaded yet. Children inherit the hook, and write to our stderr.
WATCH = """
import os, sys
parent = os.getpid()
def tell(event, arguments):
    if event == "import" and os.getpid() != parent:
        os.write(2, f"the child imports {arguments[0]}\\n".encode())
sys.addaudithook(tell)
"""

BOX = 'import tinybox; sys.exit(tinybox.run("busybox", {program}, network="none", rm=True, init={init!r}).status)'
FORK = "if os.fork() == 0:\n    {statement}\n    os._exit(0)\nos.wait()"


def watched(script: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run *script* in an interpreter that tells what its children import."""
    command = [sys.executable, "-c", WATCH + script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120 * SLOWNESS)


@pytest.mark.root
@pytest.mark.parametrize("init", ["forward", "reap", "none"])
@pytest.mark.parametrize(("program", "status"), [('"true"', 0), ('"sh", "-c", "exit 42"', 42), ('"/no/such"', 127)])
def test_the_child_imports_nothing(tinybox: Command, init: str, program: str, status: int) -> None:
    """Neither on its way into the container, nor as its init, nor when it has to report an error."""
    done = watched(BOX.format(program=program, init=init), tinybox.environment)
    assert "the child imports" not in done.stderr
    if status == 127:  # run() raises: the child reported that there is no such program
        assert "/no/such" in done.stderr
        assert done.returncode != 0
    else:
        assert done.returncode == status, done.stderr


def test_an_import_in_a_child_is_found() -> None:
    """The guard bites: a module that a child loads is told."""
    assert "the child imports colorsys" in watched(FORK.format(statement="import colorsys")).stderr


def test_an_import_before_the_child_is_let_be() -> None:
    """The control: what was loaded before may be imported again, in the child, too."""
    done = watched("import colorsys\n" + FORK.format(statement="import colorsys"))
    assert done.stderr == ""
