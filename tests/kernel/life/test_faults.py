"""kill -9 at any moment, and a failure of any step: the container ends, and the next command leaves no trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root
RUN = ("run", "--rm", "-m", "64m", "busybox", "sleep", "0.05")


def faulty(tinybox: Command, *words: str) -> subprocess.Popen[str]:
    """Start the command line of the fault program, its output in pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.plan_faults", *words],
        env=tinybox.environment,
        cwd=Path(__file__).parents[3],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def steps(tinybox: Command, who: str) -> list[str]:
    """Return the names of the steps of *who*, host or box, from a dry run of the same command."""
    lines = tinybox("run", "--dry-run", *RUN[1:]).stdout.splitlines()
    return [line.split()[2] for line in lines if line.split()[1] == who]


def assert_nothing_is_left(tinybox: Command) -> None:
    """Let the next command sweep, then assert: no run directory, no container, no name, no control group."""
    root = Path(tinybox.root)
    dead = set(os.listdir(root / "run"))
    tinybox("images")
    for name in ("run", "containers", "container-names"):
        assert os.listdir(root / name) == [], name
    groups = {os.path.basename(path) for path, _, _ in os.walk("/sys/fs/cgroup")}
    assert not groups & dead


def test_kill_after_every_step_of_the_parent(tinybox: Command) -> None:
    """Killed after any of its steps or states, the parent takes the container with it; the next command sweeps."""
    events = [f"step:{name}" for name in steps(tinybox, "host")] + [
        "state:creating",
        "state:created",
        "state:running",
    ]
    assert len(events) > 8
    for event in events:
        with faulty(tinybox, "kill-at", event, *RUN) as process:
            # the pipes are at their end when all processes that held them have ended: the child, too
            process.communicate(timeout=20 * SLOWNESS)
        assert process.returncode == -signal.SIGKILL, event
        assert_nothing_is_left(tinybox)


def test_kill_while_the_child_stands_at_each_of_its_steps(tinybox: Command) -> None:
    """With the child stopped after any of its steps, kill -9 of the parent ends it, or the next command does."""
    names = steps(tinybox, "box")
    assert len(names) > 25
    for name in names[:-1]:  # the last step never returns: execve(2)
        with faulty(tinybox, "stop-child-at", name, *RUN) as process:
            assert process.stderr is not None
            assert process.stderr.readline() == "HERE\n", name
            os.kill(process.pid, signal.SIGKILL)
            process.wait(20 * SLOWNESS)
            assert_nothing_is_left(tinybox)
            assert process.stderr.read() == "", name  # the end of the pipe: the child has ended


def counts() -> Iterator[int]:
    """Yield the numbers of calls to be tried: some, or with TINYBOX_SOAK all."""
    return iter(range(1, 400, 1 if os.environ.get("TINYBOX_SOAK") else 9))


def test_kill_at_any_call_to_the_system(tinybox: Command) -> None:
    """Killed at its n-th call, for n from the first to past the last, tinybox leaves nothing behind."""
    killed = 0
    for count in counts():
        with faulty(tinybox, "kill-at", str(count), *RUN) as process:
            process.communicate(timeout=20 * SLOWNESS)
        assert_nothing_is_left(tinybox)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, count
        killed += 1
    else:
        pytest.fail("the command was killed at every call number that was tried")
    assert killed > 10


def test_a_child_of_exec_is_killed_at_any_call(tinybox: Command) -> None:
    """`exec` makes two processes, one after the other. One is killed: `exec` ends, and no process of it is in the box.

    An OOM killer may do that: the first one is in the box's control group, too, before it has made the second one.
    """
    box = tinybox("run", "-d", "-m", "64m", "busybox", "sleep", "1000").stdout.strip()
    alone = tinybox("top", box, "-o", "pid,args").stdout

    def killed(*fault: str) -> bool:
        with faulty(tinybox, *fault, "exec", box, "true") as process:
            _, told = process.communicate(timeout=20 * SLOWNESS)
        assert tinybox("top", box, "-o", "pid,args").stdout == alone, fault
        if process.returncode == 126:
            assert told.startswith("tinybox: container process: ended before it "), (fault, told)
        else:  # it was killed as it became the program, or the program has run
            assert (process.returncode, told) in ((128 + signal.SIGKILL, ""), (0, "")), fault
        return process.returncode != 0

    assert killed("kill-child-with-child", "clone")
    counts = [next(n for n in range(1, 99) if not killed("kill-child-at", f"{child}:{n}")) for child in (1, 2)]
    assert counts[0] > 5
    assert counts[1] > 1
    tinybox("rm", "-f", box)


def test_a_step_that_fails_is_undone_and_reported(tinybox: Command) -> None:
    """An error in any step of the parent or the child is reported in one line, with status 125, and leaves nothing."""
    for who in ("host", "box"):
        for name in steps(tinybox, who):
            if name in ("program", "close", "name", "ready"):  # after these steps the parent no longer reads the pipe
                continue
            with faulty(tinybox, "fail-at", name, *RUN) as process:
                _, told = process.communicate(timeout=20 * SLOWNESS)
            assert process.returncode == 125, (name, told)
            assert told.startswith("tinybox: "), told
            assert "a fault of the test" in told
            assert len(told.splitlines()) == 1, told
            for path in ("run", "containers", "container-names"):
                assert os.listdir(Path(tinybox.root) / path) == [], name


def test_the_control_runs_through(tinybox: Command) -> None:
    """Without a fault the same command ends with 0: so only the faults above ended it."""
    assert tinybox(*RUN).returncode == 0
