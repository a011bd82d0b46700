"""Signals, and what PID 1 does about them: forward them, or only reap, or be no init at all."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.kernel.boxes import PATIENCE, children, kept, lives, new_name, patience, pid_of, until

if TYPE_CHECKING:
    import subprocess

    from tests.conftest import Command

pytestmark = pytest.mark.root

SLEEP = "echo READY; exec sleep 100"
TRAPS = 'for s in INT HUP USR1 USR2 QUIT; do trap "echo got $s" $s; done; echo READY; while :; do sleep 0.02; done'


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line that the box prints."""
    assert process.stdout is not None
    with patience(PATIENCE):
        return process.stdout.readline()


def test_term_ends_a_sleeping_box_with_143(tinybox: Command) -> None:
    """TERM to tinybox reaches the program, which ends in milliseconds; the status is 128 + 15."""
    with kept(tinybox, "--rm", "busybox", "sh", "-c", SLEEP) as process:
        begin = time.monotonic()
        process.terminate()
        assert process.wait(PATIENCE) == 143
        assert time.monotonic() - begin < 2


def test_signals_are_forwarded(tinybox: Command) -> None:
    """INT, HUP, USR1, USR2 and QUIT each reach the program, which has a trap for them and lives on."""
    with kept(tinybox, "--rm", "busybox", "sh", "-c", TRAPS) as process:
        for name in ("INT", "HUP", "USR1", "USR2", "QUIT", "INT"):
            process.send_signal(signal.Signals[f"SIG{name}"])
            assert line(process) == f"got {name}\n"
        process.terminate()
        assert process.wait(PATIENCE) == 143


def test_reap_forwards_nothing(tinybox: Command) -> None:
    """With --init reap the same signals and TERM change nothing; kill -9 of tinybox ends the box."""
    name = new_name()
    with kept(tinybox, "--rm", "--init", "reap", "--name", name, "busybox", "sh", "-c", TRAPS) as process:
        first = pid_of(tinybox, name)
        assert os.path.basename(os.readlink(f"/proc/{first}/exe")).startswith("python")
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)
        time.sleep(0.3)
        assert process.poll() is None
        assert lives(first)
        process.kill()
        until(lambda: not lives(first))
        assert process.stdout is not None
        assert process.stdout.read() == ""


def test_without_an_init_the_program_is_pid_1_and_the_kernel_shields_it(tinybox: Command) -> None:
    """With --init none TERM is ignored by the kernel, since PID 1 has no handler for it; with a handler it arrives."""
    name = new_name()
    with kept(tinybox, "--rm", "--init", "none", "--name", name, "busybox", "sh", "-c", SLEEP) as process:
        first = pid_of(tinybox, name)
        assert os.path.basename(os.readlink(f"/proc/{first}/exe")) == "busybox"
        process.terminate()
        time.sleep(0.3)
        assert process.poll() is None
        process.kill()
        until(lambda: not lives(first))
    trap = "trap 'exit 7' TERM; echo READY; while :; do sleep 0.02; done"
    with kept(tinybox, "--rm", "--init", "none", "busybox", "sh", "-c", trap) as process:
        process.terminate()
        assert process.wait(PATIENCE) == 7


@pytest.mark.parametrize(("mode", "zombies"), [("forward", 0), ("reap", 0), ("none", 1)])
def test_orphans_are_reaped_by_an_init(tinybox: Command, mode: str, zombies: int) -> None:
    """An orphan that ends is reaped by our init; under a program that waits for nobody it stays as a zombie."""
    name, script = new_name(), "(sleep 0.05 &); echo READY; exec sleep 100"
    with kept(tinybox, "--rm", "--init", mode, "--name", name, "busybox", "sh", "-c", script):
        first = pid_of(tinybox, name)
        sleeping = 0 if mode == "none" else 1  # under an init the program itself is a child of PID 1

        def settled() -> bool:
            """Tell whether the orphan has ended: only the program sleeps, and as many zombies are there as expected."""
            states = sorted(children(first).values())
            return states == ["S"] * sleeping + ["Z"] * zombies

        until(settled)
        time.sleep(0.1)
        assert settled()


def test_what_the_program_leaves_running_ends_with_it(tinybox: Command) -> None:
    """With the end of PID 1 the kernel kills all others of the box, also those that ignore every signal they can."""
    script = "(trap '' TERM HUP INT; exec sleep 100) & (setsid sleep 100 &) ; sleep 0.1; exit 3"
    begin = time.monotonic()
    assert tinybox("run", "--rm", "busybox", "sh", "-c", script).returncode == 3
    assert time.monotonic() - begin < PATIENCE


def test_what_a_box_in_the_host_s_pid_namespace_leaves_running_ends_with_it(tinybox: Command) -> None:
    """--pid host has no PID 1 of its own: there the control group tells who belongs to the box."""
    script = "(setsid sleep 98.7 &) ; sleep 0.1; exit 3"
    assert tinybox("run", "--rm", "--pid", "host", "busybox", "sh", "-c", script).returncode == 3
    words = [os.path.join("/proc", pid, "cmdline") for pid in os.listdir("/proc") if pid.isdecimal()]
    assert not [path for path in words if os.path.exists(path) and b"98.7" in _read(path)]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_a_stopped_program_can_be_continued(tinybox: Command) -> None:
    """TSTP stops the program and CONT lets it go on; then TERM ends it."""
    with kept(tinybox, "--rm", "busybox", "sh", "-c", TRAPS) as process:
        process.send_signal(signal.SIGTSTP)
        time.sleep(0.1)
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGUSR1)
        assert line(process) == "got USR1\n"
        process.terminate()
        assert process.wait(PATIENCE) == 143
