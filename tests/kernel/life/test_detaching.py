"""The detach keys: the user leaves a program on a terminal, and it goes on; its terminal can be reached again."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, lives, named, one_line, until
from tests.support.detached_boxes import FOREVER, Life, life
from tests.support.screens import PROMPT, screen

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

SHELL = ("-e", f"PS1={PROMPT}", "busybox", "sh")


@pytest.mark.parametrize(
    ("options", "typed"),
    [
        ((), "\x10\x11"),
        (("--rm",), "\x10\x11"),
        (("--detach-keys", "ctrl-a,d"), "\x01d"),
        (("--init=none",), "\x10\x11"),
    ],
)
def test_run_is_left_and_goes_on(tinybox: Command, options: tuple[str, ...], typed: str) -> None:
    """After the keys `run -it` ends with 0, the terminal is as before, the shell runs on; `attach` finds it again."""
    with named(tinybox) as name:
        with screen(tinybox, "run", "-it", "--name", name, *options, *SHELL) as it:
            it.wait_for(PROMPT)
            assert it.ask("word=kept; echo first") == "first"
            it.type(typed)
            assert it.status() == 0
            assert it.mode() == it.former
        box = Life(tinybox, name)
        assert lives(box.monitor)
        assert box.shown("{{.State.Status}}") == "running"
        with screen(tinybox, "attach", name) as again:
            again.type("\n")
            again.wait_for(PROMPT)
            assert again.ask("echo $word") == "kept"
            again.type("exit 5\n")
            assert again.status() == 5
        until(box.rests)
        if "--rm" in options:
            one_line(tinybox("logs", name), 1, "no such")
        else:
            assert box.log().count("\nfirst\n") == 1
            assert box.state["exitCode"] == 5


def test_half_of_the_keys_is_input(tinybox: Command) -> None:
    """Ctrl-P and another key are both typed; with other keys, Ctrl-P Ctrl-Q is input as well."""
    with named(tinybox) as name:
        script = "stty raw -echo; echo READY; head -c 4 | od -An -tx1"
        words = ("run", "-it", "--detach-keys", "ctrl-x", "--name", name, "busybox", "sh", "-c", script)
        with screen(tinybox, *words) as it:
            it.wait_for("READY")
            it.type("a\x10\x11b")
            it.wait_for("61 10 11 62")
            assert it.status() == 0


def test_start_is_left_and_goes_on(tinybox: Command) -> None:
    """`start -ai` has the keys of --detach-keys, and Ctrl-P Ctrl-Q without it."""
    with life(tinybox, "-it", *SHELL, verb="create") as it:
        for options, typed in ((("--detach-keys", "ctrl-e,e"), "\x05e"), ((), "\x10\x11")):
            with screen(tinybox, "start", "-ai", *options, it.name) as here:
                here.type("\n")
                here.wait_for(PROMPT)
                here.type(typed)
                assert here.status() == 0
            assert lives(it.pid)


@pytest.mark.parametrize(("options", "typed"), [((), "\x10\x11"), (("--detach-keys", "DEL,q"), "\x7fq")])
def test_exec_is_left_and_goes_on(tinybox: Command, options: tuple[str, ...], typed: str) -> None:
    """After the keys `exec -it` ends with 0, and its program goes on, whatever it prints to its terminal then."""
    script = "echo READY; until test -e /go; do echo tick; sleep 0.02; done; seq 100000; echo end > /end"
    with life(tinybox, "busybox", *FOREVER) as it:
        with screen(tinybox, "exec", "-it", *options, it.name, "sh", "-c", script) as here:
            here.wait_for("READY")
            here.type(typed)
            assert here.status() == 0
            assert here.mode() == here.former
        it.inside("touch /go")
        until(lambda: it.inside("cat /end 2>/dev/null; true") == "end")


def test_without_the_keys_nobody_is_left_behind(tinybox: Command) -> None:
    """The control: kill -9 of `run -it` before the keys ends the box; after them it reaches nothing any more."""
    with named(tinybox) as name, screen(tinybox, "run", "-it", "--name", name, *SHELL) as it:
        it.wait_for(PROMPT)
        pid = Life(tinybox, name).pid
        it.process.send_signal(signal.SIGKILL)
        until(lambda: not lives(pid))
    with named(tinybox) as name, screen(tinybox, "run", "-it", "--name", name, *SHELL) as it:
        it.wait_for(PROMPT)
        it.type("\x10\x11")
        assert it.process.wait(PATIENCE) == 0
        os.close(it.slave)
        os.close(it.master)
        assert tinybox("exec", name, "true").returncode == 0


def test_signals_reach_the_program(tinybox: Command) -> None:
    """Signals to the process that waits reach the program once, and its status is the program's."""
    script = "trap 'echo usr1' USR1; echo READY; while :; do sleep 0.05; done"
    with named(tinybox) as name, screen(tinybox, "run", "-it", "--name", name, "busybox", "sh", "-c", script) as it:
        it.wait_for("READY")
        it.process.send_signal(signal.SIGUSR1)
        it.wait_for("usr1")
        it.process.send_signal(signal.SIGTERM)
        assert it.status() == 143


@pytest.mark.parametrize("words", [("run", "-it", "busybox"), ("exec", "-it", "box"), ("start", "-ai"), ("attach",)])
def test_wrong_keys_are_one_line(tinybox: Command, words: tuple[str, ...]) -> None:
    """Keys that are none are refused before anything is made or started."""
    with (
        life(tinybox, "-it", "busybox", "sleep", "50", verb="create") as it,
        screen(
            tinybox, words[0], "--detach-keys", "alt-x", *words[1:], *([it.name] if len(words) < 3 else ["true"])
        ) as here,
    ):
        assert here.status() in (1, 125)
        assert "alt-x" in here.shown or "not running" in here.shown
        assert here.shown.count("\n") == 1


def test_the_box_s_own_term(tinybox: Command) -> None:
    """`exec -t` has the TERM of the box (-e), else xterm; -e of exec is stronger than both."""
    look = ("sh", "-c", "echo $TERM")
    for options, expected in ((("-e", "TERM=abc"), "abc"), ((), "xterm")):
        with life(tinybox, *options, "busybox", *FOREVER) as it:
            assert tinybox("exec", "-t", it.name, *look).stdout.strip() == expected
            assert tinybox("exec", "-t", "-e", "TERM=own", it.name, *look).stdout.strip() == "own"
            assert tinybox("exec", it.name, *look).stdout.strip() == expected * bool(options)
