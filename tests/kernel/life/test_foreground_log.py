"""A container in the foreground has a log and can be attached to, as under docker; `run --rm` pays nothing for it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, named, new_name, one_line
from tests.support.detached_boxes import Life, stdout_of
from tests.support.screens import screen
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root
BOTH = "echo out; sleep 0.1; echo err >&2; printf unfinished"


def test_a_foreground_run_writes_a_log(tinybox: Command) -> None:
    """stdout, stderr and a last unfinished line are in the log when `run` returns; a second start adds to it."""
    with named(tinybox) as name:
        done = tinybox("run", "--name", name, "busybox", "sh", "-c", BOTH)
        assert (done.returncode, done.stdout, done.stderr) == (0, "out\nunfinished", "err\n")
        logs = tinybox("logs", name)
        assert (logs.stdout, logs.stderr) == ("out\nunfinished", "err\n")
        tinybox("start", "-a", name)
        assert tinybox("logs", name).stdout == "out\nunfinished" * 2


def test_the_limits_of_the_log_hold(tinybox: Command) -> None:
    """--log-opt has an effect in the foreground, too."""
    with named(tinybox) as name:
        tinybox("run", "--log-opt", "max-size=2k", "--name", name, "busybox", "seq", "1000")
        folder = Life(tinybox, name).root / "containers" / Life(tinybox, name).id
        assert 0 < (folder / "container.log").stat().st_size <= 2048


@pytest.mark.parametrize("options", ["-it", "-i --tty=false", "--tty=false --interactive=false"])
def test_a_run_on_a_terminal_writes_a_log(tinybox: Command, options: str) -> None:
    """The same on a terminal, with a terminal inside and without one."""
    with named(tinybox) as name:
        with screen(tinybox, "run", *options.split(), "--name", name, "busybox", "sh", "-c", "echo x; exit 3") as it:
            assert it.status() == 3
            assert it.shown == "x\r\n"
        assert tinybox("logs", name).stdout.strip() == "x"


def test_python_and_explain_write_a_log(tinybox: Command) -> None:
    """The same for tinybox.run() and for `run --explain`."""
    with named(tinybox) as name:
        code = f"import tinybox; tinybox.run('busybox', 'echo', 'x', name='{name}')"
        done = subprocess.run(
            [sys.executable, "-c", code], env=tinybox.environment, capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == ("x\n", "")
        assert stdout_of(tinybox, "logs", name) == "x\n"
    with named(tinybox) as name:
        assert tinybox("run", "--explain", "-o", "/dev/null", "--name", name, "busybox", "echo", "x").returncode == 0
        assert stdout_of(tinybox, "logs", name) == "x\n"


def test_attach_to_a_foreground_container(tinybox: Command) -> None:
    """A second client sees the output, its input reaches the program, and it ends with the program's status."""
    with named(tinybox) as name:
        words = ("run", "-i", "--name", name, "busybox", "sh", "-c", "echo READY; read x; echo got $x; exit 4")
        with tinybox.start(*words, stdin=subprocess.PIPE) as owner:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "READY\n"
            done = tinybox("attach", name, text="word\n")
            assert (done.returncode, done.stdout) == (4, "got word\n")
            assert owner.stdout.read() == "got word\n"
            assert owner.wait(PATIENCE) == 4


def test_a_megabyte_passes_through_unchanged(tinybox: Command) -> None:
    """A megabyte of random bytes goes in and comes out, through the pipes of tinybox; a slow reader loses nothing."""
    data = os.urandom(1 << 20)
    with named(tinybox) as name:
        with tinybox.start("run", "-i", "--name", name, "busybox", "cat", stdin=subprocess.PIPE, text=False) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            child = os.fork()
            if child == 0:
                process.stdin.write(data)  # type: ignore[arg-type]
                process.stdin.close()
                os._exit(0)
            process.stdin.close()
            time.sleep(3)  # longer than an attached client may read nothing
            seen = hashlib.sha256(process.stdout.read()).digest()  # type: ignore[arg-type]
            os.waitpid(child, 0)
            assert process.wait(PATIENCE) == 0
        assert seen == hashlib.sha256(data).digest()


def test_a_closed_pipe_ends_the_program(tinybox: Command) -> None:
    """`run yes | head -1` ends by SIGPIPE, as with --rm; the container is kept."""
    with named(tinybox) as name, tinybox.start("run", "--name", name, "busybox", "yes") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "y\n"
        process.stdout.close()
        assert process.wait(60 * SLOWNESS) == 128 + 13
        assert Life(tinybox, name).state["exitCode"] == 128 + 13


def test_a_passing_container_has_none(tinybox: Command) -> None:
    """The control: with --rm and without a terminal, the program has tinybox's own streams, and `attach` is refused."""
    name = new_name()
    reading, writing = os.pipe()
    words = ("run", "--rm", "--name", name, "busybox", "sh", "-c", "readlink /proc/self/fd/1; exec sleep 1000")
    with tinybox.start(*words, stdout=writing) as process, os.fdopen(reading) as output:
        pipe = os.readlink(f"/proc/self/fd/{writing}")
        os.close(writing)
        assert output.readline().strip() == pipe
        one_line(tinybox("attach", name), 1, "foreground")
        process.terminate()
        assert process.wait(PATIENCE) == 143
