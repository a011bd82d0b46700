"""Signals and PID 1, by --init: `forward` passes them on, `reap` only reaps, `none` has no init at all."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, children, command_line_of, kept, lives, new_name, patience, pid_of, until

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

    def at_once() -> bool:
        """Tell whether it took less than two seconds: a busy machine may need more, but not each time."""
        with kept(tinybox, "--rm", "busybox", "sh", "-c", SLEEP) as process:
            begin = time.monotonic()
            process.terminate()
            assert process.wait(PATIENCE) == 143
            return time.monotonic() - begin < 2

    until(at_once)


def test_signals_are_forwarded(tinybox: Command) -> None:
    """INT, HUP, USR1, USR2 and QUIT each reach the program, which traps them and goes on."""
    with kept(tinybox, "--rm", "busybox", "sh", "-c", TRAPS) as process:
        for name in ("INT", "HUP", "USR1", "USR2", "QUIT", "INT"):
            process.send_signal(signal.Signals[f"SIG{name}"])
            assert line(process) == f"got {name}\n"
        process.terminate()
        assert process.wait(PATIENCE) == 143


def test_reap_forwards_nothing(tinybox: Command) -> None:
    """With --init=reap the same signals and TERM change nothing; kill -9 of tinybox ends the box."""
    name = new_name()
    with kept(tinybox, "--rm", "--init=reap", "--name", name, "busybox", "sh", "-c", TRAPS) as process:
        first = pid_of(tinybox, name)
        assert os.readlink(f"/proc/{first}/exe").startswith("/memfd:tinybox:init")
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)
        time.sleep(0.3)
        assert process.poll() is None
        assert lives(first)
        process.kill()
        until(lambda: not lives(first))
        assert line(process) == ""


def test_without_an_init_the_program_is_pid_1_and_the_kernel_shields_it(tinybox: Command) -> None:
    """With --init=none the kernel ignores TERM, because PID 1 has no handler for it; with a handler it arrives."""
    name = new_name()
    with kept(tinybox, "--rm", "--init=none", "--name", name, "busybox", "sh", "-c", SLEEP) as process:
        first = pid_of(tinybox, name)
        assert os.path.basename(os.readlink(f"/proc/{first}/exe")) == "busybox"
        process.terminate()
        time.sleep(0.3)
        assert process.poll() is None
        process.kill()
        until(lambda: not lives(first))
    trap = "trap 'exit 7' TERM; echo READY; while :; do sleep 0.02; done"
    with kept(tinybox, "--rm", "--init=none", "busybox", "sh", "-c", trap) as process:
        process.terminate()
        assert process.wait(PATIENCE) == 7


@pytest.mark.parametrize(("mode", "zombies"), [("forward", 0), ("reap", 0), ("none", 1)])
def test_orphans_are_reaped_by_an_init(tinybox: Command, mode: str, zombies: int) -> None:
    """An orphan that ends is reaped by tinybox's init; under a program that does not wait it stays a zombie."""
    name, script = new_name(), "(sleep 1000 &); echo READY; exec sleep 2000"
    with kept(tinybox, "--rm", f"--init={mode}", "--name", name, "busybox", "sh", "-c", script):
        first = pid_of(tinybox, name)

        def family() -> dict[str, int]:
            """Return PID 1 and its children by their command lines."""
            return {command_line_of(pid): pid for pid in (first, *children(first))}

        until(lambda: {"sleep 1000", "sleep 2000"} <= family().keys())  # the shell, which would reap, has ended
        os.kill(family()["sleep 1000"], signal.SIGKILL)

        def settled() -> bool:
            """Tell whether the orphan has ended: only the program sleeps, and there are as many zombies as expected."""
            return sorted(children(first).values()) == ["S"] * (mode != "none") + ["Z"] * zombies

        until(settled)
        time.sleep(0.1)
        assert settled()


def test_processes_left_by_the_program_end_with_it(tinybox: Command) -> None:
    """When PID 1 ends the kernel kills all others of the box, also those that ignore every signal they can."""
    script = "(trap '' TERM HUP INT; exec sleep 100) & (setsid sleep 100 &) ; sleep 0.1; exit 3"
    begin = time.monotonic()
    assert tinybox("run", "--rm", "busybox", "sh", "-c", script).returncode == 3
    assert time.monotonic() - begin < PATIENCE


def test_processes_left_in_the_host_s_pid_namespace_end_too(tinybox: Command) -> None:
    """--pid host has no PID 1 of its own: there the control group lists the processes of the box."""
    sleep = f"sleep 98.{os.getpid()}"  # other tests may run on this machine
    script = f"(setsid {sleep} &) ; sleep 0.1; exit 3"
    assert tinybox("run", "--rm", "--pid", "host", "busybox", "sh", "-c", script).returncode == 3
    assert not [pid for pid in os.listdir("/proc") if pid.isdecimal() and sleep in command_line_of(int(pid))]


def test_a_stopped_program_can_be_continued(tinybox: Command) -> None:
    """TSTP reaches the program, which then stops itself; CONT continues it; then TERM ends it.

    TSTP alone would not stop it, because no process in its session could continue it; see setpgid(2).
    """
    name, stops = new_name(), "trap 'echo got TSTP; kill -STOP $$; echo going on' TSTP; echo READY; "
    words = ("--rm", "--name", name, "busybox", "sh", "-c", f"{stops} while :; do sleep 0.02; done")
    with kept(tinybox, *words) as process:
        first = pid_of(tinybox, name)
        process.send_signal(signal.SIGTSTP)
        assert line(process) == "got TSTP\n"
        until(lambda: list(children(first).values()) == ["T"])
        process.send_signal(signal.SIGCONT)
        assert line(process) == "going on\n"
        process.terminate()
        assert process.wait(PATIENCE) == 143
