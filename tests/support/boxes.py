"""Boxes for the tests: a box that runs to its end and prints facts, or one that stays while the test examines it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from tests.conftest import Command

PATIENCE = 60.0 * SLOWNESS  # seconds
READY = "READY\n"
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")  # the names in /proc/PID/ns

_numbers = itertools.count()


def new_name() -> str:
    """Return a name that no other box has."""
    return f"box-{os.getpid()}-{next(_numbers)}"


@contextlib.contextmanager
def named(tinybox: Command) -> Iterator[str]:
    """Give a name for a container, and remove the container at the end."""
    name = new_name()
    try:
        yield name
    finally:
        tinybox("rm", "-fv", name)


def output(tinybox: Command, *words: str, text: str = "") -> str:
    """Return what ``tinybox run --rm WORDS`` prints; it must succeed and print nothing on stderr."""
    done = tinybox("run", "--rm", *words, text=text)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def facts(tinybox: Command, *options: str, image: str = "busybox", **commands: str) -> dict[str, str]:
    """Run each of *commands* by sh in one box with *options*; return what each of them printed, with its errors."""
    script = "".join(f"echo; echo '== {name}'; ( {command}\n) 2>&1\n" for name, command in commands.items())
    shown = output(tinybox, *options, image, "sh", "-c", f"{script} true")
    parts = [part.partition("\n") for part in ("\n" + shown).split("\n== ")[1:]]
    found = {name: said.strip() for name, _, said in parts}
    assert found.keys() == commands.keys(), shown  # each command was run: none of them ended the shell
    return found


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Fail the test when the work in this context, such as reading a pipe, takes more than *seconds*; setitimer(2)."""

    def too_late(number: int, frame: object) -> None:
        pytest.fail(f"no input arrived for {seconds} s")

    former = signal.signal(signal.SIGALRM, too_late)
    begun = time.monotonic()
    rest, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, former)
        # The time limit of the whole test, of pytest-timeout, goes on.
        signal.setitimer(signal.ITIMER_REAL, max(rest - (time.monotonic() - begun), 0.001) if rest else 0)


@contextlib.contextmanager
def kept(tinybox: Command, *words: str, **options: object) -> Iterator[subprocess.Popen[str]]:
    """Keep ``tinybox run WORDS``, whose program prints READY first, for as long as the test needs it."""
    with tinybox.start("run", *words, **options) as process:
        try:
            with patience(PATIENCE):
                line = process.stdout.readline() if process.stdout else READY
            if line != READY:
                process.kill()  # only the end of the process closes its stderr, which is read next
                with patience(PATIENCE):
                    pytest.fail(f"{line!r} {process.stderr.read() if process.stderr else ''}")
            if "--name" in words:  # other commands find the box by its name only from now on
                name = words[words.index("--name") + 1]
                until(lambda: state_of(tinybox, name).get("status") == "running" or process.poll() is not None)
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(PATIENCE)
            if process.returncode == -signal.SIGKILL:
                tinybox("images")  # any next command removes what the killed one has left


def state_of(tinybox: Command, name: str) -> dict[str, Any]:
    """Return the state.json of box *name*; empty if the box neither runs nor is about to."""
    for path in Path(tinybox.root, "run").glob("*/state.json"):
        with contextlib.suppress(FileNotFoundError):  # it belongs to another box, which ends just now
            state: dict[str, Any] = json.loads(path.read_text())
            if state["annotations"]["tinybox.name"] == name:
                return state
    return {}


def pid_of(tinybox: Command, name: str) -> int:
    """Return the host's pid of the first process of box *name*, by its state.json."""
    state = state_of(tinybox, name)
    assert state, f"no box {name} runs"
    return int(state["pid"])


def children(pid: int) -> dict[int, str]:
    """Return the children of process *pid*, each with its state: S, R, Z ..."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[int(child)] = Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][0]
    return found


def command_line_of(pid: int) -> str:
    """Return the command line of process *pid*; empty if the process has ended; see proc_pid_cmdline(5)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def lives(pid: int) -> bool:
    """Tell whether process *pid* exists and has not ended."""
    try:
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until *true* returns something true; fail the test after *seconds*."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"still not true after {seconds} s: {getattr(true, '__doc__', '') or true}")
        time.sleep(0.01)


def one_line(done: subprocess.CompletedProcess[str], status: int, *parts: str) -> None:
    """Assert that tinybox ended with *status* and printed one line, on stderr, that contains all *parts*."""
    assert done.returncode == status, done
    assert done.stdout == "", done
    assert done.stderr.startswith("tinybox: "), done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr
