"""The three streams of a box: closed or passed on, apart from each other, and unchanged byte for byte."""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root


def test_stdin_is_empty_without_i(tinybox: Command) -> None:
    """`cat` ends at once and prints nothing, whatever input tinybox gets; with -i the input is passed on."""
    assert tinybox("run", "--rm", "busybox", "cat", text="hello").stdout == ""
    assert tinybox("run", "--rm", "-i", "busybox", "cat", text="hello").stdout == "hello"


def test_a_megabyte_passes_through_unchanged(tinybox: Command) -> None:
    """-i is binary safe: cat returns a megabyte of random bytes unchanged."""
    data = os.urandom(1 << 20)
    done = subprocess.run(
        [tinybox.path, "run", "--rm", "-i", "busybox", "cat"],
        input=data, capture_output=True, env=tinybox.environment, check=True, timeout=60 * SLOWNESS,
    )  # fmt: skip
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_stdout_and_stderr_stay_apart(tinybox: Command) -> None:
    """Output on each of them comes out on that stream alone."""
    done = tinybox("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_a_closed_pipe_ends_the_program(tinybox: Command) -> None:
    """In `tinybox run busybox yes | head -1` SIGPIPE ends yes with 128 + 13, as on the host; PID 1 sees EPIPE."""
    for mode, status in (("forward", 128 + 13), ("none", 1)):
        with tinybox.start("run", "--rm", f"--init={mode}", "busybox", "yes") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "y\n"
            process.stdout.close()
            assert process.wait(PATIENCE) == status, mode
            assert "tinybox" not in process.stderr.read(), mode


@pytest.mark.parametrize("closed", ["", "0", "1", "2", "01", "12", "012"])
def test_closed_streams_are_not_mistaken_for_others(tinybox: Command, tmp_path: Path, closed: str) -> None:
    """If tinybox is started with 0, 1 or 2 closed, the program has /dev/null there, and never a pipe of tinybox's."""
    look = "seen=$(for n in 0 1 2; do readlink /proc/$$/fd/$n; done); echo $seen > /out/seen; exit 5"
    script = 'exec "$@"' + "".join(f" {fd}>&-" for fd in closed)
    words = [tinybox.path, "run", "--rm", "-i", "-v", f"{tmp_path}:/out", "busybox", "sh", "-c", look]
    with open(tmp_path / "stream", "w+") as stream:
        done = subprocess.run(
            ["sh", "-c", script, "sh", *words],
            env=tinybox.environment, check=False, stdin=stream, stdout=stream, stderr=stream,
        )  # fmt: skip
    assert (done.returncode, (tmp_path / "stream").read_text()) == (5, "")
    expected = ["/dev/null" if fd in closed else f"{tmp_path}/stream" for fd in "012"]
    assert (tmp_path / "seen").read_text().split() == expected
