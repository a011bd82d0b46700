"""Whether another holds a file: to ask changes nothing for who holds it, and nobody is kept out by the question."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import patience
from tests.support.slowness import SLOWNESS
from tinybox.linux.filesystem import locks
from tinybox.linux.filesystem.locks import Lock
from tinybox.linux.signals import stopped
from tinybox.linux.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType


def test_who_holds_a_file_for_himself_is_seen(tmp_path: Path) -> None:
    """A lock of one's own is in the way; one that is shared is not, and neither is none."""
    path = tmp_path / "lock"
    path.touch()
    assert not locks.is_locked(str(path))
    with open(path, encoding="ascii") as holder, open(path, encoding="ascii") as asking:
        for kind, free in ((fcntl.LOCK_SH, True), (fcntl.LOCK_EX, False), (fcntl.LOCK_UN, True)):
            fcntl.flock(holder, kind)
            assert locks.is_locked(str(path)) == (not free)
            assert locks.share(asking.fileno()) == free
            fcntl.flock(asking, fcntl.LOCK_UN)


def test_to_ask_leaves_no_lock_and_no_descriptor(tmp_path: Path) -> None:
    """Right after the question the file can be locked by anybody; one that is not there is an error."""
    path = tmp_path / "lock"
    path.touch()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        assert not locks.is_locked(str(path))
    assert len(os.listdir("/proc/self/fd")) == before
    with open(path, encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(FileNotFoundError):
        locks.is_locked(str(tmp_path / "nosuch"))


@contextlib.contextmanager
def open_directory(path: Path) -> Iterator[int]:
    """Give an fd of the directory *path*."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def sweep(path: Path) -> bool:
    """Remove a directory that is not locked, as a sweep of another command does; return whether that was done."""
    with open_directory(path) as fd:
        if not locks.share(fd):
            return False
        path.rmdir()
        return True


@pytest.mark.parametrize(("module", "call"), [(os, "mkdir"), (locks, "lock_file")], ids=["before open", "before flock"])
def test_a_directory_is_made_again_until_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, call: str
) -> None:
    """A sweep removes each directory that is not locked. What make_locked() returns is locked and has its name."""
    path, swept = tmp_path / "made", list[bool]()
    real = getattr(module, call)

    def disturbed(*arguments: object) -> None:
        if call == "mkdir":  # there is something to sweep only afterwards
            real(*arguments)
        if len(swept) < 3:
            swept.append(sweep(path))
        if call != "mkdir":
            real(*arguments)

    monkeypatch.setattr(module, call, disturbed)
    fd = locks.make_locked(str(path))
    assert swept == [True] * 3  # the control: the sweep has met directories without a lock
    assert os.path.samestat(os.fstat(fd), path.stat())
    assert not sweep(path)
    os.close(fd)
    assert sweep(path)


def test_a_thread_enters_a_lock_that_it_holds(tmp_path: Path) -> None:
    """Inside a shared lock the exclusive one is entered at once. Only the end of the outer lock releases the file."""
    path = tmp_path / "lock"
    with Lock(str(path), fcntl.LOCK_SH):
        with patience(10 * SLOWNESS), Lock(str(path)):
            assert not is_free(path)
        assert not is_free(path)
    assert is_free(path)
    with Lock(str(path)):  # control: the file is really locked the next time
        assert not is_free(path)


def test_another_thread_waits(tmp_path: Path) -> None:
    """A second thread enters the lock after the first thread has left it."""
    path, order = str(tmp_path / "lock"), list[str]()

    def enter() -> None:
        with Lock(path):
            order.append("in")

    with Lock(path):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join(0.2)
        order.append("out")
    thread.join()
    assert order == ["out", "in"]


def is_free(path: Path) -> bool:
    """Return whether this process can lock the file *path* by a new open file."""
    with open(path, "a", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


HOLDER = """
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY)
for line in sys.stdin:
    if line.strip() == "fork":
        child = os.fork()
        if child == 0:
            time.sleep(1000)
        print(child, flush=True)
        continue
    fcntl.flock(fd, {"take": fcntl.LOCK_SH, "free": fcntl.LOCK_UN}[line.strip()])
    print("done", flush=True)
"""


class Holder:
    """A process that takes a shared lock on a file, and frees it, when it is told to."""

    def __init__(self, path: Path) -> None:
        words = [sys.executable, "-c", HOLDER, str(path)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def does(self, word: str) -> None:
        """Tell it *word*, and wait until that is done."""
        assert self.says(word) == "done"

    def says(self, word: str) -> str:
        """Tell it *word*; return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def ends(self) -> None:
        """End it, and so free its lock, unless it has a child."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Path, Holder]]:
    """Give the path of a file, and a process that has locked it."""
    path = tmp_path / "lock"
    path.touch()
    holder = Holder(path)
    holder.does("take")
    yield path, holder
    holder.ends()


@pytest.mark.parametrize("changes", [True, False])
def test_a_lock_that_goes_round_is_not_searched(
    held: tuple[Path, Holder], monkeypatch: pytest.MonkeyPatch, *, changes: bool
) -> None:
    """While others take a lock in turns, a process that waits searches nothing; the control: one holder for all time.

    The others take shared locks, each before the one before it ends: so the process that waits for an exclusive lock
    does not get it between them.
    """
    path, holder = held
    searches, real, looks = list[list[int]](), stopped.wake_takers, list[list[int]]()

    def noted(lock: os.stat_result, pids: list[int]) -> None:
        searches.append(pids)
        real(lock, pids)

    def looked(lock: os.stat_result, find: Callable[[os.stat_result], list[int]] = stopped.takers) -> list[int]:
        looks.append(find(lock))
        return looks[-1]

    monkeypatch.setattr(stopped, "wake_takers", noted)
    monkeypatch.setattr(stopped, "takers", looked)
    with open(path, encoding="ascii") as file:
        waiting = threading.Thread(target=locks.lock_file, args=(file.fileno(),))
        waiting.start()
        try:
            while len(looks) < 3:
                if changes:
                    former, holder = holder, Holder(path)
                    holder.does("take")
                    former.ends()
                time.sleep(0.02)
        finally:
            holder.ends()
            waiting.join()
    assert bool(searches) == (not changes)
    assert all(holder.process.pid in pids for pids in searches)


@pytest.mark.parametrize("who", ["holder", "child", "orphan"])
def test_a_stopped_holder_is_continued(held: tuple[Path, Holder], who: str) -> None:
    """The process that has taken the lock, a child that has it from there, and that child after its parent's end."""
    path, one = held
    assert stopped.takers(path.stat()) == [one.process.pid]
    pid = one.process.pid if who == "holder" else int(one.says("fork"))
    if who == "orphan":
        one.process.kill()
        one.process.wait()
    try:
        os.kill(pid, signal.SIGSTOP)
        assert until(lambda: state_of(pid) == "T", time.monotonic() + 10 * SLOWNESS, 0.01)
        assert not is_free(path)
        stopped.wake_takers(path.stat(), stopped.takers(path.stat()))
        assert until(lambda: state_of(pid) in "SR", time.monotonic() + 10 * SLOWNESS, 0.01)
    finally:
        os.kill(pid, signal.SIGKILL)


def state_of(pid: int) -> str:
    """Return the state of a process; see proc_pid_stat(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
