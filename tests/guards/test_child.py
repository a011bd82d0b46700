"""Between clone3(2) and execve(2) the child imports nothing: by then it would read the container's files."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.guards.sources import sources
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from tests.conftest import Command

# Python reports each module that it loads to an audit hook. Children inherit the hook, and write to this stderr.
WATCH = """
import os, sys
parent = os.getpid()
def tell(event, arguments):
    if event == "import" and os.getpid() != parent:
        os.write(2, f"the child imports {arguments[0]}\\n".encode())
sys.addaudithook(tell)
"""

BOX = 'import tinybox; sys.exit(tinybox.run("busybox", {program}, network="none", rm=True, init={init!r}).status)'
ENCODING = re.compile(r'encoding="([^"]*)"')
ENV_FILE = "tinybox/container/config/line_files.py: utf-8-sig"  # read by the command, long before there is a child
FORK = "if os.fork() == 0:\n    {statement}\n    os._exit(0)\nos.wait()"


def watched(script: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run *script* in an interpreter that reports the imports of its children."""
    command = [sys.executable, "-c", WATCH + script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120 * SLOWNESS)


@pytest.mark.root
@pytest.mark.parametrize("init", ["forward", "reap", "none"])
@pytest.mark.parametrize(("program", "status"), [('"true"', 0), ('"sh", "-c", "exit 42"', 42), ('"/no/such"', 127)])
def test_the_child_imports_nothing(tinybox: Command, init: str, program: str, status: int) -> None:
    """Neither while it enters the container, nor as its init, nor when it has to report an error."""
    done = watched(BOX.format(program=program, init=init), tinybox.environment)
    assert "the child imports" not in done.stderr
    if status == 127:  # run() raises: the child reported that there is no such program
        assert "/no/such" in done.stderr
        assert done.returncode != 0
    else:
        assert done.returncode == status, done.stderr


def test_the_engine_opens_files_in_utf_8_only() -> None:
    """Each other encoding is a module that open() imports, and a child may be the first to need it; see encodings."""
    found = [
        f"{name}: {each}"
        for name, text, *_ in sources("tinybox/container", "tinybox/isolation", "tinybox/linux")
        for each in ENCODING.findall(text)
    ]
    assert len(found) > 20  # the control: there are such files
    assert [each for each in found if not each.endswith(": utf-8")] == [ENV_FILE]


def test_an_import_in_a_child_is_found() -> None:
    """The guard works: a module that a child loads is reported."""
    assert "the child imports colorsys" in watched(FORK.format(statement="import colorsys")).stderr


def test_an_import_before_the_child_is_accepted() -> None:
    """The control: a module that is already loaded may be imported again, also in the child."""
    done = watched("import colorsys\n" + FORK.format(statement="import colorsys"))
    assert done.stderr == ""
