"""A killed command leaves no box frozen, and no box is mistaken for one whose owner died."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, one_line, until
from tests.support.detached_boxes import Life, kill_and_wait, life, stdout_of
from tinybox.container import execute, freezing
from tinybox.container.process.handles import Handles
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.container.running import running
from tinybox.errors import StateError
from tinybox.images import intake
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

BUSY = ("sh", "-c", "while :; do echo x; sleep 0.05; done")
HOARD = ("sh", "-c", "dd if=/dev/zero of=/big bs=1M count=150 2>/dev/null; echo READY; exec sleep 1000")


def killed(tinybox: Command, moment: str, *words: str) -> None:
    """Run a command that kills itself at its call number *moment*; see support/command_faults.py."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.command_faults", "cli", moment, *words], env=tinybox.environment,
        cwd=Path(__file__).parents[3], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done


def status(tinybox: Command, it: Life) -> str:
    """Return the status that `ps` prints about a box; `ps` sweeps first."""
    return stdout_of(tinybox, "ps", "--filter", f"name=^{it.name}$", "--format", "{{.Status}}").strip()


@pytest.fixture(autouse=True)
def swept(tinybox: Command) -> Iterator[None]:
    """Remove what killed commits have left half-made, as the next commit would."""
    yield
    store = Store(tinybox.root)
    with store.locked():
        intake.sweep(store)


@contextlib.contextmanager
def at_work(tinybox: Command, it: Life, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Give a command that has frozen the box for its work and is stopped there by SIGSTOP; then kill it."""
    with tinybox.start(*words) as process:
        try:
            until(lambda: frozen(it) or process.poll() is not None)
            process.send_signal(signal.SIGSTOP)
            assert frozen(it), process.poll()
            yield process
        finally:
            kill_and_wait(process.pid)


@pytest.fixture
def hoard(tinybox: Command) -> Iterator[Life]:
    """Give a box with so many files that its commit takes some time."""
    with life(tinybox, "busybox", *HOARD) as it:
        until(lambda: "READY" in it.log())
        yield it


def frozen(it: Life) -> bool:
    """Tell whether the kernel has frozen the box's processes; see cgroup.events in cgroups(7)."""
    groups = [path for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/freezer")
              for path in Path(top).glob(f"*/{it.id}")]  # fmt: skip
    texts = [path.read_text() for group in groups for name in ("cgroup.events", "freezer.state")
             if (path := group / name).exists()]  # fmt: skip
    assert texts
    return any("frozen 1" in text or "FROZEN" in text for text in texts)


def ended(process: subprocess.Popen[str], part: str) -> None:
    """Wait for a command to fail with one line that contains *part*."""
    with process:
        out, err = process.communicate(timeout=PATIENCE)
    one_line(subprocess.CompletedProcess([], process.returncode, out, err), 1, part)


@pytest.mark.parametrize("successor", [("ps",), ("doctor", "--fix"), ("run", "--rm", "busybox", "true")])
def test_a_box_frozen_by_a_dead_commit_goes_on(tinybox: Command, hoard: Life, successor: tuple[str, ...]) -> None:
    """After kill -9 of a commit any next command thaws the box; doctor names it before."""
    with at_work(tinybox, hoard, "commit", hoard.name, "never"):
        assert status(tinybox, hoard).endswith("(Paused)")  # while the commit lives, no other command thaws it
        assert "frozen by dead commands" not in tinybox("doctor").stdout
    assert frozen(hoard)  # the control: it is still frozen
    assert "frozen by dead commands" in tinybox("doctor").stdout
    done = tinybox(*successor)
    assert done.returncode == 0, done
    assert not frozen(hoard)
    assert hoard.events()[-1] == "unpause"
    assert hoard.inside("echo alive") == "alive"


def test_a_paused_box_stays_paused(tinybox: Command, hoard: Life) -> None:
    """A box frozen by `pause` stays frozen when another command dies; `pause` after a dead commit is a pause."""
    assert tinybox("pause", hoard.name).returncode == 0
    for moment in range(20, 400, 90):
        killed(tinybox, str(moment), "commit", hoard.name, "never")
        assert status(tinybox, hoard).endswith("(Paused)"), moment
    tinybox("doctor", "--fix")
    assert frozen(hoard)
    assert tinybox("unpause", hoard.name).returncode == 0
    with at_work(tinybox, hoard, "commit", hoard.name, "never"):
        pass
    assert tinybox("pause", hoard.name).returncode == 0
    assert status(tinybox, hoard).endswith("(Paused)")
    assert tinybox("unpause", hoard.name).returncode == 0
    tinybox("rmi", "never")


def test_commit_is_killed_at_any_call(tinybox: Command) -> None:
    """Killed at any call, a commit leaves a running box, an image or none, and no temporary files in the store."""
    with life(tinybox, "busybox", *BUSY) as it:
        seen = set()
        for moment in range(10, 2000, 31):
            killed(tinybox, str(moment), "commit", it.name, "perhaps")
            seen.add(frozen(it))
            assert status(tinybox, it).startswith("Up")
            assert "Paused" not in status(tinybox, it)
            if tinybox("rmi", "perhaps").returncode == 0:
                break
        else:
            pytest.fail("every commit was killed")
        assert seen == {True, False}  # the control: some were killed while the box was frozen
        tinybox("doctor", "--fix")
        assert os.listdir(Path(tinybox.root, "tmp")) == []


def test_one_command_at_a_time_freezes(tinybox: Command, hoard: Life) -> None:
    """While a process works with the frozen box, others wait, and fail in one line if that takes too long."""
    paths = Paths(tinybox.root)
    with freezing.Freezer(paths, hoard.id) as work:
        work.freeze("test")
        verbs = [("commit", hoard.name, "one:2"), ("pause", hoard.name), ("unpause", hoard.name)]
        for process in [tinybox.start(*words) for words in verbs]:
            ended(process, "in use by another command")
        assert frozen(hoard)
        work.thaw()
    assert not frozen(hoard)


def test_a_stopped_commit_is_continued(tinybox: Command, hoard: Life) -> None:
    """A second commit continues one that was stopped, waits for it, and both make their image; pause does the same."""
    try:
        with at_work(tinybox, hoard, "commit", hoard.name, "one:1") as first:
            assert [tinybox("commit", hoard.name, "one:2").returncode, first.wait(PATIENCE)] == [0, 0]
        with at_work(tinybox, hoard, "commit", hoard.name, "one:3") as first:
            assert [tinybox("pause", hoard.name).returncode, first.wait(PATIENCE)] == [0, 0]
        assert frozen(hoard)
        stdout_of(tinybox, "unpause", hoard.name)
    finally:
        tinybox("rmi", "one:1", "one:2", "one:3")


def test_a_commit_whose_box_was_thawed_fails(tinybox: Command, hoard: Life) -> None:
    """`kill` thaws the box under a commit, which then says why it has failed."""
    with at_work(tinybox, hoard, "commit", hoard.name, "one:3") as process:
        assert tinybox("kill", hoard.name).returncode == 0
        process.send_signal(signal.SIGCONT)
        ended(process, "during the commit")


@pytest.mark.parametrize("words", [("cp", "{}:/", "-"), ("export", "{}"), ("commit", "{}", "never")])
def test_a_dead_reader_is_no_dead_owner(tinybox: Command, tmp_path: Path, words: tuple[str, ...]) -> None:
    """A command killed while it reads a box at rest of `create --rm` does not remove the box."""
    with life(tinybox, "--rm", "busybox", "echo", "I am here", verb="create") as it:
        big = tmp_path / "big"
        with big.open("wb") as file:
            file.truncate(300 << 20)
        assert tinybox("cp", str(big), f"{it.name}:/big").returncode == 0
        with tinybox.start(*(word.format(it.name) for word in words)) as process:
            until(lambda: not it.rests() or process.poll() is not None)
            assert process.poll() is None  # the control: it reads, and its output has no reader
            kill_and_wait(process.pid)
        assert not it.rests()
        assert it.name in stdout_of(tinybox, "ps", "-a", "--format", "{{.Names}}").split()
        assert it.rests()
        assert tinybox("start", "-a", it.name).stdout == "I am here\n"
        assert it.name not in stdout_of(tinybox, "ps", "-a", "--format", "{{.Names}}").split()


def test_a_pause_after_the_check_of_exec_stops_no_exec(tinybox: Command) -> None:
    """Between exec's look at the box and its start another command pauses the box: exec refuses, and does not wait."""
    paths = Paths(tinybox.root)
    with life(tinybox, "busybox", *BUSY) as it, running(paths, it.id) as target:
        handles = Handles()
        execution = execute.Execution(paths, host.read(paths.cache), target, ["true"], {}, handles)
        stdout_of(tinybox, "pause", it.name)
        with pytest.raises(StateError, match="is paused"):
            execution.start()
        handles.close()
        stdout_of(tinybox, "unpause", it.name)
        assert stdout_of(tinybox, "exec", it.name, "echo", "done") == "done\n"


def test_pause_waits_for_an_exec_that_starts(tinybox: Command) -> None:
    """While a process is started in a box, pause waits; afterwards the box is paused, and exec refuses in one line."""
    paths = Paths(tinybox.root)
    with life(tinybox, "busybox", *BUSY) as it:
        with freezing.KeptFromPausing(paths, it.id):
            process = tinybox.start("pause", it.name)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            assert not frozen(it)
        assert process.communicate(timeout=PATIENCE) == (f"{it.name}\n", "")
        assert frozen(it)
        one_line(tinybox("exec", it.name, "true"), 1, "is paused")
        stdout_of(tinybox, "unpause", it.name)
