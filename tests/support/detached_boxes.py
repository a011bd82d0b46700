"""Detached containers for the tests: kept as long as the test needs them, examined from the host, removed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import no_trace
from tests.support.boxes import PATIENCE, children, lives, new_name, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

FOREVER = ("sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done")  # it ends with status 7 when it gets SIGTERM
TRAP = re.compile(r"trap (?:'[^']*'|\S+) ([A-Z]\w+); ")


class Life:
    """One container by its name, with its state on disk and in the kernel."""

    def __init__(self, tinybox: Command, name: str, script: str = "") -> None:
        self.tinybox, self.name, self.script = tinybox, name, script
        self.root = Path(tinybox.root)
        self.id = os.readlink(self.root / "container-names" / name)

    @property
    def state(self) -> dict[str, Any]:
        """Return its state.json: from the run directory while it runs, otherwise from the store."""
        for folder in ("run", "containers"):
            with contextlib.suppress(FileNotFoundError):
                found: dict[str, Any] = json.loads((self.root / folder / self.id / "state.json").read_text())
                return found
        return {}

    @property
    def pid(self) -> int:
        """Return the host's pid of its PID 1."""
        return int(self.state["pid"])

    @property
    def monitor(self) -> int:
        """Return the pid of its monitor: the process named tinybox:monitor that has the container's lock open."""
        lock = str(self.root / "run" / self.id / "lock")
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{name}/comm").read_text() == "tinybox:monitor\n" and lock in open_files_of(int(name)):
                    return int(name)
        raise AssertionError(f"{self.name} has no monitor")

    def shown(self, template: str) -> str:
        """Return what `inspect` prints for *template*."""
        return stdout_of(self.tinybox, "inspect", "--format", template, self.name).strip()

    def inside(self, command: str, *options: str) -> str:
        """Return what a shell in the container prints for *command*."""
        return stdout_of(self.tinybox, "exec", *options, self.name, "sh", "-c", command).strip()

    def log(self) -> str:
        """Return what `logs` prints of its stdout."""
        done = self.tinybox("logs", self.name)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def await_traps(self) -> None:
        """Wait until the program has set the traps at the beginning of its script: `start` does not wait for them."""
        wanted, rest = set(), self.script
        while trap := TRAP.match(rest):
            wanted.add(signal.Signals[f"SIG{trap[1]}"])
            rest = rest[trap.end() :]
        if wanted:
            until(lambda: self._meets(wanted))

    def _meets(self, wanted: set[signal.Signals]) -> bool:
        pid = self.state.get("pid", 0)
        try:
            found = [each for each in (pid, *children(pid)) if not field(each, "Name").startswith("tinybox")]
            return any(wanted <= handled_signals(program) for program in found)
        except (FileNotFoundError, ProcessLookupError):
            return not lives(pid)

    def rests(self) -> bool:
        """Tell whether the container is at rest: no process owns it any more."""
        return not (self.root / "run" / self.id).exists()

    def ended(self) -> dict[str, Any]:
        """Wait until it is at rest, and return its state."""
        until(self.rests)
        return self.state

    def events(self) -> list[str]:
        """Return the names of its events, in order."""
        lines = (self.root / "events.log").read_text().splitlines()
        return [event["Action"] for event in map(json.loads, lines) if event["id"] == self.id]


def stdout_of(tinybox: Command, *words: str, text: str = "") -> str:
    """Return what a command prints; it must succeed and print nothing on stderr."""
    done = tinybox(*words, text=text)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def descriptors_of(pid: int) -> dict[int, str]:
    """Return a process's descriptors and their targets; leave out one that the process closes in this moment."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return found


def open_files_of(pid: int) -> list[str]:
    """Return the targets of a process's descriptors; see `descriptors_of`."""
    return list(descriptors_of(pid).values())


def field(pid: int, name: str) -> str:
    """Return the value of a line of /proc/PID/status."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    raise AssertionError(f"no {name} in the status of {pid}")


def handled_signals(pid: int) -> set[int]:
    """Return the signals that a process catches or ignores; see SigCgt and SigIgn in proc_pid_status(5)."""
    masks = int(field(pid, "SigCgt"), 16) | int(field(pid, "SigIgn"), 16)
    return {number for number in range(1, 65) if masks >> (number - 1) & 1}


def descriptors(pid: int) -> list[str]:
    """Return what the descriptors of a process refer to; see proc_pid_fd(5)."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):  # it was closed meanwhile
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


def until_it_waits(client: int) -> None:
    """Wait until this process, a `wait`, has opened the process that it waits for."""
    until(lambda: any("pidfd" in place for place in descriptors(client)))


@contextlib.contextmanager
def life(tinybox: Command, *words: str, verb: str = "run") -> Iterator[Life]:
    """Keep ``tinybox run -d WORDS`` (or ``create``) while the test needs it; then remove it, with its volumes."""
    name = new_name()
    detach = ["-d"] if verb == "run" else []
    done = tinybox(verb, *detach, "--name", name, *words)
    assert done.returncode == 0, done
    assert done.stderr == ""
    assert len(done.stdout) == 65
    it = Life(tinybox, name, words[-1])
    try:
        if verb == "run":
            it.await_traps()
        yield it
    finally:
        tinybox("rm", "-fv", it.id)


def kill_and_wait(*pids: int) -> None:
    """Kill processes with SIGKILL, and wait until they have ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(lives, pids)), PATIENCE)


def nothing_is_left(tinybox: Command) -> None:
    """Let the next command sweep, then assert: no container, no name and no run directory is left."""
    tinybox("images")
    root = Path(tinybox.root)
    for name in ("run", "containers", "container-names"):
        assert os.listdir(root / name) == [], name


def reap_all_but(process: subprocess.Popen[str]) -> None:
    """Reap orphans of commands: this process is their subreaper, and a box ends only when its zombies are reaped."""
    for pid in no_trace.children():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ChildProcessError):
            text = Path(f"/proc/{pid}/stat").read_text()
            if int(pid) != process.pid and text.rpartition(") ")[2].startswith("Z") and "(tinybox)" not in text:
                os.waitpid(int(pid), os.WNOHANG)


def run_and_reap(tinybox: Command, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command and reap orphans while it runs, as PID 1 of the host does elsewhere."""
    process, deadline = tinybox.start(*words), time.monotonic() + PATIENCE
    while process.poll() is None:
        assert time.monotonic() < deadline, f"tinybox {' '.join(words)} does not end"
        reap_all_but(process)
        time.sleep(0.01)
    out, err = process.communicate()
    return subprocess.CompletedProcess(["tinybox", *words], process.returncode, out, err)
