"""What a program has written is kept, whatever happens to the terminal or the streams of the client that began it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, lives, new_name, until
from tests.support.detached_boxes import Life, life
from tests.support.screens import Screen, screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

DEAF = "trap '' HUP; echo before > /kept; echo READY; until test -e /go; do echo tick; sleep 0.05; done"
FORM = "{{.State.Status}} {{.State.ExitCode}}"


@contextlib.contextmanager
def removed(tinybox: Command, name: str) -> Iterator[None]:
    """Remove the container *name* at the end."""
    try:
        yield
    finally:
        tinybox("rm", "-f", name)


def close(it: Screen) -> None:
    """Close the terminal, as its window does, or sshd when the connection is cut."""
    os.close(it.slave)
    os.close(it.master)


@pytest.mark.parametrize("options", [("-it",), ("-i", "--tty=false"), ("-it", "--init=none")])
def test_a_terminal_that_goes_loses_nothing(tinybox: Command, options: tuple[str, ...]) -> None:
    """The terminal of `run` is closed while the program prints: it goes on to its end, and its files are kept."""
    name = new_name()
    script = f"{DEAF}; echo after >> /kept; exit 3"
    with removed(tinybox, name), screen(tinybox, "run", *options, "--name", name, "busybox", "sh", "-c", script) as it:
        it.wait_for("READY")
        close(it)
        assert tinybox("exec", name, "touch", "/go").returncode == 0
        assert it.process.wait(PATIENCE) == 3
        assert Life(tinybox, name).shown(FORM) == "exited 3"
        assert tinybox("cp", f"{name}:/kept", "-").stdout.count("before\nafter\n") == 1
        assert tinybox("start", "-a", name).returncode == 3  # the program finds /go


def test_a_terminal_that_goes_ends_a_program_that_does_not_expect_it(tinybox: Command) -> None:
    """SIGHUP is passed on, as by docker: the program ends with 129, and the container stays with its files."""
    name = new_name()
    with removed(tinybox, name):
        with screen(tinybox, "run", "-it", "--name", name, "busybox", "sh", "-c", "echo 1 > /k; cat; sleep 60") as it:
            until(it.is_raw)
            close(it)
            assert it.process.wait(PATIENCE) == 129
        assert Life(tinybox, name).shown(FORM) == "exited 129"
        assert tinybox("cp", f"{name}:/k", "-").stdout.count("1\n")


@pytest.mark.parametrize("options", [("-it",), ("-i",), ()])
@pytest.mark.parametrize("verb", [("attach",), ("start", "-ai")])
def test_a_client_s_terminal_never_ends_a_background_container(
    tinybox: Command, verb: tuple[str, ...], options: tuple[str, ...]
) -> None:
    """The terminal of `attach` and of `start -ai` goes: the client ends, the program gets neither SIGHUP nor an end."""
    script = "(while :; do echo READY; sleep 0.1; done) & while :; do cat; echo END; sleep 9; done"
    with life(tinybox, *options, "--init=forward", "busybox", "sh", "-c", script, verb="create") as it:
        if verb == ("attach",):
            assert tinybox("start", it.name).returncode == 0
        with screen(tinybox, *verb, it.name) as client:
            client.wait_for("READY")
            pid = it.pid
            close(client)
            assert client.process.wait(PATIENCE) == 129
        assert tinybox("exec", it.name, "true").returncode == 0
        assert lives(pid)
        assert "END" not in it.log() or not options


def test_exec_goes_on_without_its_terminal(tinybox: Command) -> None:
    """A program of `exec -it` whose terminal is closed goes on, unless SIGHUP ends it."""
    with life(tinybox, "busybox", "sleep", "60") as it:
        with screen(tinybox, "exec", "-it", it.name, "sh", "-c", f"{DEAF}; echo after >> /kept; exit 4") as client:
            client.wait_for("READY")
            close(client)
            it.inside("touch /go")
            assert client.process.wait(PATIENCE) == 4
        assert it.inside("cat /kept") == "before\nafter"


@pytest.mark.parametrize("options", [(), ("-t",)])
@pytest.mark.parametrize("sink", ["/dev/full", "a closed pipe"])
def test_output_that_cannot_be_written_loses_no_file(tinybox: Command, options: tuple[str, ...], sink: str) -> None:
    """Stdout is a full disk, or a pipe whose reader has ended: the program is told so, its files are kept."""
    name, script = new_name(), "echo before > /kept; for i in 1 2 3; do echo $i; sleep 0.05; done"
    if sink.startswith("/"):
        target = os.open(sink, os.O_WRONLY)
    else:
        reading, target = os.pipe()
        os.close(reading)
    with removed(tinybox, name):
        with tinybox.start("run", *options, "--name", name, "busybox", "sh", "-c", script, stdout=target) as process:
            os.close(target)
            err = process.communicate(timeout=PATIENCE)[1]
        assert "Traceback" not in err
        assert len(err.splitlines()) <= 3, err
        assert Life(tinybox, name).shown("{{.State.Status}}") == "exited"
        assert tinybox("cp", f"{name}:/kept", "-").stdout.count("before\n") == 1


@pytest.mark.parametrize("place", ["wait_loop.watch", "lifecycle.stop", "events.emit_start"])
def test_an_error_of_tinybox_s_own_loses_no_file(tinybox: Command, place: str) -> None:
    """An exception of any kind after the program has begun: one box that is stopped, with all its files."""
    name, (module, function) = new_name(), place.split(".")
    code = f"""
import sys
from tinybox.container import lifecycle
from tinybox.container.process import wait_loop
from tinybox.container.records import events
import tinybox, time
def fail(*given, **more):
    time.sleep(0.5)
    raise ValueError('a mistake')
{module}.{function} = fail
tinybox.run('busybox', 'sh', '-c', 'echo before > /kept; sleep 0.2; exit 0', name='{name}')
"""
    with removed(tinybox, name):
        done = subprocess.run(
            [sys.executable, "-c", code], env=tinybox.environment, capture_output=True, text=True, check=False
        )
        assert "ValueError: a mistake" in done.stderr
        assert Life(tinybox, name).shown("{{.State.Status}}") == "exited"
        assert tinybox("cp", f"{name}:/kept", "-").stdout.count("before\n") == 1
