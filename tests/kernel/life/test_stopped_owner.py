"""A stopped tinybox process (SIGSTOP) delays no command: the command continues it, or in the end kills it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import READY, children, kept, lives, new_name, until
from tests.support.detached_boxes import FOREVER, Life, field, life, nothing_is_left, stdout_of, until_it_waits
from tests.support.slowness import SLOWNESS
from tinybox.container.records import id_ranges, state, waking
from tinybox.container.records.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

SOON = 15.0 * SLOWNESS  # seconds: before tinybox continued a stopped owner, stop and rm -f gave up after 30


def stop(pid: int) -> None:
    """Stop a process with SIGSTOP, which cannot be caught."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: field(pid, "State").startswith("T"))


@contextlib.contextmanager
def box(tinybox: Command, *options: str, detached: bool) -> Iterator[tuple[Life, int]]:
    """Keep a box that ends with 7 on SIGTERM; give it with the pid of its owner."""
    if detached:
        with life(tinybox, *options, "busybox", *FOREVER) as it:
            yield it, it.monitor
        return
    name, script = new_name(), f"trap 'exit 7' TERM; echo READY; {FOREVER[-1]}"
    with kept(tinybox, "--name", name, *options, "busybox", "sh", "-c", script) as process:
        it = Life(tinybox, name)
        try:
            yield it, process.pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            tinybox("rm", "-f", it.id)


@pytest.mark.parametrize("detached", [True, False], ids=["monitor", "foreground"])
@pytest.mark.parametrize(
    ("words", "status"),
    [(("stop",), "7"), (("kill",), "137"), (("restart",), "running"), (("rm", "-f"), "")],
    ids=["stop", "kill", "restart", "rm"],
)
def test_a_stopped_owner_delays_no_end(tinybox: Command, words: tuple[str, ...], status: str, detached: bool) -> None:
    """The box ends, its owner writes down how, and nothing is left; as if the owner had not been stopped."""
    with box(tinybox, detached=detached) as (it, owner):
        pid = it.pid
        stop(owner)
        begun = time.monotonic()
        assert tinybox(*words, it.name).returncode == 0
        until(lambda: not lives(pid))
        if status == "running":
            assert it.pid != pid
            assert lives(it.pid)
        elif status:
            until(it.rests)
            assert (it.state["status"], str(it.state["exitCode"])) == ("stopped", status)
        else:
            assert not (it.root / "containers" / it.id).exists()
        until(lambda: not lives(owner))
        assert time.monotonic() - begun < SOON
    nothing_is_left(tinybox)


def test_an_owner_that_is_stopped_again_and_again(tinybox: Command) -> None:
    """An owner that never gets to its work is killed, and the box is reaped: stopped, with an unknown status."""
    with box(tinybox, detached=True) as (it, owner):
        pid, over = it.pid, threading.Event()

        def again() -> None:
            with contextlib.suppress(ProcessLookupError):
                while not over.wait(0.0002):
                    os.kill(owner, signal.SIGSTOP)

        thread = threading.Thread(target=again)
        thread.start()
        try:
            assert tinybox("stop", it.name, timeout=4 * SOON).returncode == 0
        finally:
            over.set()
            thread.join()
        assert not lives(pid)
        assert it.state["status"] == "stopped"
        assert it.rests()
        with contextlib.suppress(ProcessLookupError):
            os.kill(owner, signal.SIGCONT)  # the last SIGSTOP may have come when all was done but exit(2)
        until(lambda: not lives(owner))


def test_a_stopped_exec_delays_no_end(tinybox: Command) -> None:
    """Only the stopped `exec` can reap its process in the box, and until then the box has not ended."""
    with box(tinybox, detached=True) as (it, _):
        with tinybox.start("exec", it.name, "sh", "-c", "echo READY; sleep 900") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == READY
            stop(process.pid)
            begun = time.monotonic()
            assert tinybox("stop", it.name).returncode == 0
            assert time.monotonic() - begun < SOON
            assert process.wait(SOON) == 137
        assert it.state["exitCode"] == 7


def test_wait_and_attach_do_not_wait_for_a_stopped_owner(tinybox: Command) -> None:
    """`wait` reports the end and its status; `attach` gets the output of the box."""
    with life(tinybox, "-i", "busybox", "sh", "-c", "read x; echo got $x; exit 5") as it:
        stop(it.monitor)
        with tinybox.start("wait", it.name) as waiting:
            done = tinybox("attach", it.name, text="word\n", timeout=SOON)
            assert (done.returncode, done.stdout) == (5, "got word\n")
            assert waiting.communicate(timeout=SOON)[0] == "5\n"
    with life(tinybox, "busybox", "sh", "-c", "until test -e /go; do sleep 0.05; done; exit 6") as it:
        stop(it.monitor)
        with tinybox.start("wait", it.name) as waiting:
            until_it_waits(waiting.pid)
            assert tinybox("exec", it.name, "touch", "/go", timeout=SOON).returncode == 0
            assert waiting.communicate(timeout=SOON)[0] == "6\n"


def test_commands_that_need_no_owner_leave_it_stopped(tinybox: Command) -> None:
    """Pause, unpause, rename, update and exec act on the kernel's objects: the owner stays stopped."""
    with box(tinybox, "-m", "64m", detached=True) as (it, owner):
        stop(owner)
        name = new_name()
        for words in (("pause", it.name), ("unpause", it.name), ("update", "-m", "65m", it.name),
                      ("exec", it.name, "true"), ("rename", it.name, name), ("rename", name, it.name)):  # fmt: skip
            assert tinybox(*words, timeout=SOON).returncode == 0, words
        assert field(owner, "State").startswith("T")


HOLDER = """
import fcntl, os, signal, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(fd, fcntl.LOCK_EX)
print("READY", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.mark.parametrize("lock", ["container-names", "networks", "ids", "box at rest", "config"])
def test_a_stopped_command_that_holds_a_lock(tinybox: Command, lock: str) -> None:
    """Another command that needs the lock continues it, and goes on when the lock is released."""
    with life(tinybox, "busybox", "true") as it:
        it.ended()
        root, other = Path(tinybox.root), new_name()
        handles = root / "run" / it.id
        place, words = {
            "container-names": (root / "container-names", ("rename", it.name, other)),
            "networks": (root / "networks", ("network", "create", "--subnet", "10.213.77.0/24", other)),
            "ids": (Path(id_ranges.FOLDER), ("run", "--rm", "--userns", "private", "busybox", "true")),
            "box at rest": (handles / "lock", ("rm", it.name)),
            "config": (root / "containers" / it.id / "config.json", ("update", "-m", "64m", it.name)),
        }[lock]
        for folder in (root / "networks", Path(id_ranges.FOLDER)):
            folder.mkdir(mode=0o700, exist_ok=True)
        if lock == "box at rest":
            handles.mkdir(mode=0o700)
            place.touch(0o600)
        try:
            with subprocess.Popen([sys.executable, "-c", HOLDER, place], stdout=subprocess.PIPE, text=True) as holder:
                assert holder.stdout is not None
                assert holder.stdout.readline() == READY
                until(lambda: field(holder.pid, "State").startswith("T"))
                try:
                    done = tinybox(*words, timeout=SOON)
                    assert (done.returncode, done.stderr) == (0, "")
                    assert holder.wait(SOON) == 0
                finally:
                    holder.kill()
        finally:
            if lock == "networks":
                tinybox("network", "rm", other)


def test_a_stopped_command_that_is_about_to_freeze_a_box(tinybox: Command) -> None:
    """`exec` needs the lock that it holds: it continues that command, and goes on."""
    with life(tinybox, "busybox", *FOREVER) as it:
        place = Path(tinybox.root) / "run" / it.id / state.FREEZER
        place.touch(0o600)
        with subprocess.Popen([sys.executable, "-c", HOLDER, place], stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == READY
            until(lambda: field(holder.pid, "State").startswith("T"))
            try:
                done = tinybox("exec", it.name, "true", timeout=SOON)
                assert (done.returncode, done.stderr) == (0, "")
                assert holder.wait(SOON) == 0
            finally:
                holder.kill()


STUBBORN = """
import fcntl, os, signal, sys, time

def stop_later(number, frame):
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGSTOP)

signal.signal(signal.SIGCONT, stop_later)
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("READY", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
while True:
    signal.pause()
"""


def test_an_owner_that_runs_for_a_moment_after_each_sigcont(tmp_path: Path) -> None:
    """It holds the lock and never does its work: the wait kills it, at a search that finds it stopped once more."""
    os.chmod(tmp_path, 0o700)
    paths = Paths(str(tmp_path / "store"))
    paths.prepare()
    folder = Path(paths.run_directory("c" * 64))
    folder.mkdir(0o700)
    (folder / "lock").touch(0o600)
    waits = waking.Wait(paths, "c" * 64, to_the_end=True)
    command = [sys.executable, "-c", STUBBORN, str(folder / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == READY
        try:
            while owner.poll() is None and waits.check() < SOON:
                time.sleep(0.01)
            assert owner.wait(0) == -signal.SIGKILL
            assert waits.is_orphan
        finally:
            owner.kill()


def test_the_control(tinybox: Command) -> None:
    """A stopped owner does hold the lock, and does not see the end of its box, until it is continued."""
    with box(tinybox, detached=True) as (it, owner):
        stop(owner)
        pid = it.pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: not lives(pid))
        time.sleep(0.3)
        assert it.state["status"] == "running"
        assert pid in children(owner)  # a zombie
        assert stdout_of(tinybox, "stop", it.name) == f"{it.name}\n"
        assert it.state["exitCode"] == 137
