"""A box on a terminal: job control, keys, the window's size; and the terminal's settings are always restored."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, lives, new_name, one_line, pid_of, until
from tests.support.screens import PROMPT, screen

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

SHELL = ("run", "--rm", "-e", f"PS1={PROMPT}", "busybox", "sh")
SLEEPER = "sh -c \"echo a''sleep; exec sleep 50\"\n"  # after its output the settings are its own: a key is a signal


def test_a_shell_on_a_terminal_is_an_interactive_shell(tinybox: Command) -> None:
    """Without any option: a terminal of the box's own devpts, job control, the window's size, the status of `exit`."""
    with screen(tinybox, *SHELL, rows=31, columns=97) as it:
        assert "job control" not in it.wait_for(PROMPT)
        assert it.ask("tty") == "/dev/pts/0"
        assert it.ask("stty size") == "31 97"
        assert it.ask("echo $TERM; ls /dev/pts; test -c /dev/console && echo console").split() == [
            "xterm", "0", "ptmx", "console",
        ]  # fmt: skip
        assert it.ask("sleep 50 & jobs; kill %1").count("sleep 50") == 1
        it.type("exit 42\n")
        assert it.status() == 42


def test_keys_reach_the_program(tinybox: Command) -> None:
    """Ctrl-C ends the foreground process and not the shell, Ctrl-Z stops it, Ctrl-D ends the shell."""
    with screen(tinybox, *SHELL) as it:
        it.wait_for(PROMPT)
        it.type(SLEEPER)
        it.wait_for("asleep")
        it.type("\x03")
        it.wait_for(PROMPT)
        assert it.ask("echo $?") == "130"
        it.type(SLEEPER)
        it.wait_for("asleep")
        it.type("\x1a")
        it.wait_for("Stopped")
        it.wait_for(PROMPT)
        assert "sleep 50" in it.ask("jobs")
        it.ask("kill -9 %1")
        until(lambda: "sleep 50" not in it.ask("jobs"))  # a shell with a stopped job warns and does not exit
        it.type("\x04")
        it.status()


def test_the_size_follows_the_window(tinybox: Command) -> None:
    """A new size outside is the size inside, and the foreground program gets SIGWINCH."""
    script = "trap 'echo winch $(stty size)' WINCH; echo READY; while :; do sleep 0.02; done"
    with screen(tinybox, "run", "--rm", "busybox", "sh", "-c", script) as it:
        it.wait_for("READY")
        it.resize(51, 133)
        it.wait_for("winch 51 133")
    with screen(tinybox, *SHELL) as it:
        it.wait_for(PROMPT)
        it.resize(50, 132)
        until(lambda: it.ask("stty size").endswith("50 132"))
        it.type("exit\n")
        assert it.status() == 0


@pytest.mark.parametrize(
    ("how", "expected"),
    [("exit", 3), ("the box is killed", 137), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)],
)
def test_the_terminal_is_restored(tinybox: Command, how: str | int, expected: int) -> None:
    """Raw while the box runs and as before at the end, after exit, after kill -9 of its PID 1, and after a signal."""
    name, script = new_name(), "echo READY; exec sleep 100" if how != "exit" else "echo READY; read x; exit 3"
    with screen(tinybox, "run", "--rm", "--name", name, "busybox", "sh", "-c", script) as it:
        it.wait_for("READY")
        assert it.is_raw()
        assert it.mode() != it.former
        if how == "exit":
            it.type("\n")
        elif isinstance(how, str):
            os.kill(pid_of(tinybox, name), signal.SIGKILL)
        else:
            it.process.send_signal(how)
        assert it.status() == expected
        assert it.mode() == it.former


def test_a_failure_leaves_the_terminal_alone(tinybox: Command) -> None:
    """A program that cannot be started is one line on a terminal whose settings did not change."""
    with screen(tinybox, "run", "--rm", "busybox", "nothing-of-this-name") as it:
        assert it.status() == 127
        assert it.mode() == it.former
        assert "not found" in it.shown
        assert it.shown.count("\n") == 1


def close_the_window(tinybox: Command) -> int:
    """Run a shell on a terminal, close both ends of the terminal as its window does, return tinybox's exit status.

    The shell's SIGHUP trap must run, and nothing of the container may be left before the next command sweeps.
    """
    name, script = new_name(), "trap 'echo hup > /notes/seen; exit 9' HUP; echo READY; while :; do sleep 0.02; done"
    with tempfile.TemporaryDirectory() as notes:
        volume = ("-v", f"{notes}:/notes")
        with screen(tinybox, "run", "--rm", "--name", name, *volume, "busybox", "sh", "-c", script) as it:
            it.wait_for("READY")
            pid = pid_of(tinybox, name)
            os.close(it.slave)
            os.close(it.master)
            until(lambda: it.process.poll() is not None)
            assert Path(notes, "seen").read_text() == "hup\n"
        assert not lives(pid)
        assert [os.listdir(Path(tinybox.root, folder)) for folder in ("run", "containers")] == [[], []]
        return int(it.process.returncode)


def test_a_terminal_that_goes_away_ends_the_box(tinybox: Command) -> None:
    """The window is closed: SIGHUP reaches the program, which ends; tinybox ends too, and nothing is left."""
    close_the_window(tinybox)


def test_the_status_is_the_program_s_without_a_terminal(tinybox: Command) -> None:
    """The terminal has gone, and the exit status is still the program's."""
    assert close_the_window(tinybox) == 9


def test_the_last_output_is_shown(tinybox: Command) -> None:
    """All that the program wrote before its end is on the screen, also a hundred kilobytes at once."""
    with screen(tinybox, "run", "--rm", "busybox", "sh", "-c", "seq 20000; echo last") as it:
        assert it.status() == 0
        assert it.shown.endswith("20000\r\nlast\r\n")
        assert it.shown.count("\n") == 20001


def test_much_input_and_much_output_do_not_wait_for_each_other(tinybox: Command) -> None:
    """A program that answers each of 100000 pasted lines with 20 kB goes on answering: no buffer fills up for ever."""
    script = "stty raw -echo; echo READY; while read -r x; do seq 4000; done"
    with screen(tinybox, "run", "--rm", "busybox", "sh", "-c", script) as it:
        it.wait_for("READY")
        os.set_blocking(it.master, False)
        left, seen = b"x\n" * 100000, 0
        while seen < 10 << 20:
            ready = select.select([it.master], [it.master] * bool(left), [], PATIENCE)
            assert any(ready), f"{len(left)} bytes are not taken, {seen} came back"
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(it.master, left[:4096]) :]
            with contextlib.suppress(BlockingIOError):
                seen += len(os.read(it.master, 65536))
        os.set_blocking(it.master, True)


def test_a_terminal_is_possible_without_a_terminal_outside(tinybox: Command) -> None:
    """-t with pipes outside is a terminal inside, with its output passed on; -it is refused there, as by docker."""
    done = tinybox("run", "--rm", "-t", "busybox", "tty")
    assert (done.returncode, done.stdout) == (0, "/dev/pts/0\n")
    one_line(tinybox("run", "--rm", "-it", "busybox", "cat", text="x"), 1, "the input device is not a terminal")
    with screen(tinybox, "run", "--rm", "--tty=false", "--interactive=false", "busybox", "tty") as it:
        assert it.status() == 1
        assert "not a tty" in it.shown


def test_the_terminal_belongs_to_the_user(tinybox: Command) -> None:
    """With -u the terminal belongs to that user and to group tty, so that /dev/stderr can be opened."""
    words = ("run", "--rm", "-u", "1000", "-t", "busybox", "sh", "-c", "stat -c %u:%g:%a $(tty); echo ok > /dev/stderr")
    assert tinybox(*words).stdout == "1000:5:620\nok\n"


def test_a_terminal_in_a_user_namespace(tinybox: Command) -> None:
    """The same with --userns private: a terminal, its size, and job control."""
    with screen(tinybox, "run", "--userns", "private", *SHELL[1:], rows=33, columns=77) as it:
        assert "job control" not in it.wait_for(PROMPT)
        assert it.ask("stty size; tty").split() == ["33", "77", "/dev/pts/0"]
        it.type("exit 5\n")
        assert it.status() == 5


def test_pid_1_without_an_init_has_the_terminal_too(tinybox: Command) -> None:
    """--init=none on a terminal: the shell is PID 1 and has job control."""
    with screen(tinybox, "run", "--init=none", *SHELL[1:]) as it:
        assert "job control" not in it.wait_for(PROMPT)
        assert it.ask("echo $$") == "1"
        it.type("exit 6\n")
        assert it.status() == 6
