"""A command that is killed leaves nothing in force: no box stays frozen, and none is taken for one whose owner died."""

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
from tests.support.detached_boxes import Life, life, murder, said
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
    """Return what `ps` says of a box: the next command, which sweeps."""
    return said(tinybox, "ps", "--filter", f"name=^{it.name}$", "--format", "{{.Status}}").strip()


@pytest.fixture(autouse=True)
def swept(tinybox: Command) -> Iterator[None]:
    """Sweep what killed commits have left half-made, as the next one would."""
    yield
    store = Store(tinybox.root)
    with store.locked():
        intake.sweep(store)


@contextlib.contextmanager
def at_work(tinybox: Command, it: Life, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Give a command that has frozen the box for its work, and is itself stopped there by SIGSTOP; then kill it."""
    with tinybox.start(*words) as process:
        try:
            until(lambda: frozen(it) or process.poll() is not None)
            process.send_signal(signal.SIGSTOP)
            assert frozen(it), process.poll()
            yield process
        finally:
            murder(process.pid)


@pytest.fixture
def hoard(tinybox: Command) -> Iterator[Life]:
    """Give a box that has written so much that a commit of it takes its time."""
    with life(tinybox, "busybox", *HOARD) as it:
        until(lambda: "READY" in it.log())
        yield it


def frozen(it: Life) -> bool:
    """Ask the kernel whether the box's processes stand still; see cgroup.events in cgroups(7)."""
    groups = [path for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/freezer")
              for path in Path(top).glob(f"*/{it.id}")]  # fmt: skip
    texts = [path.read_text() for group in groups for name in ("cgroup.events", "freezer.state")
             if (path := group / name).exists()]  # fmt: skip
    assert texts
    return any("frozen 1" in text or "FROZEN" in text for text in texts)


def ended(process: subprocess.Popen[str], part: str) -> None:
    """Wait for a command that fails, and says why in one line that has this *part*."""
    with process:
        out, err = process.communicate(timeout=PATIENCE)
    one_line(subprocess.CompletedProcess([], process.returncode, out, err), 1, part)


@pytest.mark.parametrize("successor", [("ps",), ("doctor", "--fix"), ("run", "--rm", "busybox", "true")])
def test_what_a_dead_commit_froze_goes_on(tinybox: Command, hoard: Life, successor: tuple[str, ...]) -> None:
    """Kill -9 of a commit at work: the next command lets the box go on, whichever it is; doctor names it before."""
    with at_work(tinybox, hoard, "commit", hoard.name, "never"):
        assert status(tinybox, hoard).endswith("(Paused)")  # while the commit lives, no other command lets it go on
        assert "frozen by dead commands" not in tinybox("doctor").stdout
    assert frozen(hoard)  # the control: nobody has done it yet
    assert "frozen by dead commands" in tinybox("doctor").stdout
    done = tinybox(*successor)
    assert done.returncode == 0, done
    assert not frozen(hoard)
    assert hoard.inside("echo alive") == "alive"
    assert hoard.events()[-1] == "unpause"


def test_a_paused_box_stays_paused(tinybox: Command, hoard: Life) -> None:
    """What `pause` froze stays frozen, whoever dies beside it; a pause after a dead commit is a pause."""
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
    """Killed anywhere, a commit leaves a box that runs, an image or none, and nothing in the store's workshop."""
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
            pytest.fail("no commit came to its end")
        assert seen == {True, False}  # the control: some died while they kept it frozen
        tinybox("doctor", "--fix")
        assert os.listdir(Path(tinybox.root, "tmp")) == []


def test_one_command_at_a_time_freezes(tinybox: Command, hoard: Life) -> None:
    """A second commit waits for the first; what another command lets go on meanwhile is not committed, and says so."""
    try:
        with at_work(tinybox, hoard, "commit", hoard.name, "one:1") as first:
            verbs = [("commit", hoard.name, "one:2"), ("pause", hoard.name), ("unpause", hoard.name)]
            for process in [tinybox.start(*words) for words in verbs]:
                ended(process, "in use by another command")
            assert frozen(hoard)
            with tinybox.start("commit", hoard.name, "one:2") as second:
                first.send_signal(signal.SIGCONT)
                assert [process.wait(PATIENCE) for process in (first, second)] == [0, 0]
        with at_work(tinybox, hoard, "commit", hoard.name, "one:3") as process:
            assert tinybox("kill", hoard.name).returncode == 0
            process.send_signal(signal.SIGCONT)
            ended(process, "during the commit")
    finally:
        tinybox("rmi", "one:1", "one:2")


@pytest.mark.parametrize("words", [("cp", "{}:/", "-"), ("export", "{}"), ("commit", "{}", "never")])
def test_a_dead_visitor_is_no_dead_owner(tinybox: Command, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Killed while it looks at a box at rest that `create --rm` made, a command takes nothing with it."""
    with life(tinybox, "--rm", "busybox", "echo", "I am here", verb="create") as it:
        big = tmp_path / "big"
        with big.open("wb") as file:
            file.truncate(300 << 20)
        assert tinybox("cp", str(big), f"{it.name}:/big").returncode == 0
        with tinybox.start(*(word.format(it.name) for word in words)) as process:
            until(lambda: not it.rests() or process.poll() is not None)
            assert process.poll() is None  # the control: it looks, with nobody to read what it says
            murder(process.pid)
        assert not it.rests()
        assert it.name in said(tinybox, "ps", "-a", "--format", "{{.Names}}").split()
        assert it.rests()
        assert tinybox("start", "-a", it.name).stdout == "I am here\n"
        assert it.name not in said(tinybox, "ps", "-a", "--format", "{{.Names}}").split()
