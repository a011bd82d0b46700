"""A store on a full disk: each command fails with one line and leaves no half state; with room again, all works."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.boxes import PATIENCE, new_name, until
from tests.support.detached_boxes import FOREVER, stdout_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

FILLINGS = {
    # What gets full first, and how to fill it and to make room again, below the store's directory.
    "bytes": ("size=24m", "cat /dev/zero > {0}/filling 2> /dev/null || true", "rm {0}/filling"),
    "inodes": (
        "size=64m,nr_inodes=900",
        "mkdir {0}/f; i=0; while touch {0}/f/$i 2> /dev/null; do i=$((i + 1)); done",
        "rm -r {0}/f",
    ),
}  # fmt: skip


class SmallStore(Command):
    """The installed command with a store on a small file system, visible only in a mount namespace of its own."""

    def __init__(self, keeper: int, root: Path, filling: str) -> None:
        super().__init__(root)
        self.enter = ["nsenter", f"--mount=/proc/{keeper}/ns/mnt"]
        _, self.fill_script, self.empty_script = FILLINGS[filling]

    def start(self, *words: str, **options: object) -> subprocess.Popen[str]:
        """Start ``tinybox WORDS`` in that mount namespace."""
        former, self.path = self.path, self.enter[0]
        try:
            return super().start(*self.enter[1:], former, *words, **options)
        finally:
            self.path = former

    def shell(self, script: str) -> str:
        """Run a line of shell in that mount namespace, and return its output."""
        words = [*self.enter, "sh", "-c", script.format(self.root)]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.fixture(params=list(FILLINGS))
def small(request: pytest.FixtureRequest, tinybox: Command, tmp_path: Path) -> Iterator[SmallStore]:
    """Keep a mount namespace with a small tmpfs as the store, with busybox; the host's mounts never change."""
    options = FILLINGS[request.param][0]
    script = f"mount -t tmpfs -o mode=755,{options} small {tmp_path} && echo ready && exec sleep 1000"
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, process_group=0) as keeper:
        try:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == "ready\n"
            store = SmallStore(keeper.pid, tmp_path, request.param)
            assert store("pull", "busybox").returncode == 0
            yield store
            store.shell(f"{store.empty_script} 2> /dev/null || true")
            left = store("ps", "-aq").stdout.split()
            if left:
                store("rm", "-f", *left)
        finally:
            os.killpg(keeper.pid, signal.SIGKILL)


@contextlib.contextmanager
def full(store: SmallStore) -> Iterator[None]:
    """Fill the store to the last byte, or inode; make room again afterwards."""
    store.shell(store.fill_script)
    try:
        yield
    finally:
        store.shell(store.empty_script)


def complains(done: subprocess.CompletedProcess[str]) -> None:
    """Assert that a command failed with one line that reports the full disk."""
    assert done.returncode in (1, 125), done
    assert len(done.stderr.splitlines()) == 1, done
    assert "No space left on device" in done.stderr, done


def test_nothing_is_half_made(small: SmallStore) -> None:
    """create, run and run -d on a full disk: one line, and no container, name, run directory or volume of theirs."""
    with full(small):
        for words in (("create",), ("run", "--rm"), ("run",), ("run", "-d"), ("run", "-d", "-v", "data:/v")):
            complains(small(*words, "busybox", "true"))
            assert small.shell("ls {0}/containers {0}/container-names {0}/run | grep -v :; true").split() == []
    assert stdout_of(small, "run", "--rm", "busybox", "echo", "well") == "well\n"


def test_a_running_container_goes_on(small: SmallStore) -> None:
    """It is listed, entered, stopped and removed on a full disk; that it ended is known."""
    name = new_name()
    stdout_of(
        small, "run", "-d", "--name", name, "--health-cmd", "true", "--health-interval", "50ms", "busybox", *FOREVER
    )
    with full(small):
        assert name in stdout_of(small, "ps")
        assert stdout_of(small, "exec", name, "echo", "inside") == "inside\n"
        complains(small("update", "--pids-limit", "50", name))
        stdout_of(small, "stop", name)
        until(lambda: name not in small("ps").stdout)
        shown = stdout_of(small, "ps", "-a", "--format", "{{.Status}}")
        assert shown.startswith(("Exited (7)", "Exited (unknown)")), shown
        complains(small("start", name))
        stdout_of(small, "rm", "-f", name)
        assert stdout_of(small, "ps", "-aq") == ""
    assert small.shell("ls {0}/containers {0}/container-names {0}/run | grep -v :; true").split() == []


def test_it_starts_again_when_there_is_room(small: SmallStore) -> None:
    """A container that could not start on a full disk starts when there is room; its log goes on from there."""
    name = new_name()
    stdout_of(small, "create", "--name", name, "busybox", "echo", "said")
    with full(small):
        complains(small("start", "-a", name))
    done = small("start", "-a", name, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (0, "said\n")
    assert stdout_of(small, "logs", name).endswith("said\n")
    stdout_of(small, "rm", name)


def test_a_log_on_a_full_disk_ends_nothing(small: SmallStore) -> None:
    """A log that can be neither rotated nor written: the program goes on to its end, and what is lost is said."""
    name = new_name()
    begin = "trap 'go=1' USR1; until test $go; do sleep 0.05; done; i=0"
    script = f"{begin}; until test -e /go/on; do i=$((i + 1)); echo line $i; done; echo end; exit 6"
    log = ("--log-opt", "max-size=20k", "--log-opt", "max-file=3", "--restart", "on-failure:1")
    stdout_of(small, "run", "-d", "--name", name, *log, "-v", "/go", "busybox", "sh", "-c", script)
    with full(small):
        stdout_of(small, "kill", "-s", "USR1", name)
        time.sleep(1)
        assert stdout_of(small, "inspect", "--format", "{{.State.Status}} {{.RestartCount}}", name) == "running 0\n"
    with small.start("logs", "-f", name) as reader:
        assert reader.stdout is not None
        lines = iter(reader.stdout.readline, "")
        number = next(int(line.split()[1]) for line in lines if line.startswith("line "))
        assert next(int(line.split()[1]) for line in lines if line.startswith("line ")) > number
        reader.terminate()
    stdout_of(small, "exec", name, "touch", "/go/on")
    until(lambda: small("inspect", "--format", "{{.RestartCount}}", name).stdout == "1\n")
    until(lambda: small("kill", "-s", "USR1", name).returncode >= 0 and "Exited" in small("ps", "-a").stdout)
    shown = stdout_of(small, "inspect", "--format", "{{.State.ExitCode}} {{.State.Error}}", name)
    assert shown.startswith("6 its log lacks lines, or is too long: No space left"), shown
    stdout_of(small, "rm", "-v", name)
