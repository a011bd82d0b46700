"""A monitor that cannot be forked: the command reports it in its own process, and no container is left."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, new_name
from tests.support.detached_boxes import stdout_of

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

PROGRAM = """
import errno, os, sys, tinybox
forks, fork = [], os.fork

def refused():
    forks.append(1)
    if len(forks) == int(sys.argv[1]):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()

os.fork = refused
try:
    tinybox.Container.run("busybox", "true", name=sys.argv[2], network="none")
except Exception as error:
    print(os.getpid(), error, flush=True)
"""


@pytest.mark.parametrize("number", ["1", "2"])
def test_a_fork_of_the_monitor_that_fails(tinybox: Command, number: str) -> None:
    """EAGAIN of the first or the second fork(2): one process goes on, the caller's, and knows the cause."""
    name = new_name()
    words = [sys.executable, "-c", PROGRAM, number, name]
    try:
        with subprocess.Popen(words, env=tinybox.environment, stdout=subprocess.PIPE, text=True) as process:
            out = process.communicate(timeout=PATIENCE)[0]
        assert [line.split()[0] for line in out.splitlines()] == [str(process.pid)]
        assert "Resource temporarily unavailable" in out
        assert name not in stdout_of(tinybox, "ps", "-a", "--format", "{{.Names}}").split()
        assert stdout_of(tinybox, "run", "--name", name, "busybox", "echo", "free") == "free\n"
    finally:
        tinybox("rm", "-f", name)
