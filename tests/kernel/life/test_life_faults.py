"""kill -9 of any process of tinybox at any point, and a reboot: the next command reports the truth; `rm` frees all."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import no_trace
from tests.support.boxes import PATIENCE, lives, new_name, until
from tests.support.detached_boxes import FOREVER, Life, kill_and_wait, life, run_and_reap, stdout_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root
SOAK = bool(os.environ.get("TINYBOX_SOAK"))
TRUTHS = ("Created", "Up ", "Exited (")


def faulty(tinybox: Command, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line of the fault program; it ends in a bounded time, without a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.command_faults", *words],
        env=tinybox.environment, cwd=Path(__file__).parents[3], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, timeout=PATIENCE * 2,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) <= 1, done.stderr
    return done


def moments(step: int) -> Iterator[int]:
    """Yield the numbers of the calls to be tried: one in *step*, or with TINYBOX_SOAK every one."""
    return iter(range(1, 2000, 1 if SOAK else step))


def status(tinybox: Command, name: str) -> str:
    """Return what `ps -a` prints about the container, nothing if there is none; it must be a known state."""
    shown = stdout_of(tinybox, "ps", "-a", "--filter", f"name=^{name}$", "--format", "{{.Status}}").strip()
    assert not shown or shown.startswith(TRUTHS), shown
    return shown


def remove(tinybox: Command, name: str) -> None:
    """Remove the container, if there is one, and assert that nothing of it is left."""
    no_trace.reap_orphans()
    root = Path(tinybox.root)
    ids = [path.name for folder in ("containers", "run") for path in (root / folder).glob("?" * 64)]
    done = run_and_reap(tinybox, "rm", "-fv", name)
    assert done.returncode == 0 or "no such container" in done.stderr, done
    for folder in ("containers", "container-names", "run"):  # none of them exists before the first command of a store
        assert no_trace.names(str(root / folder)) == [], (folder, done)
    assert [group for container in ids for group in groups(container)] == []


def watched(it: Life) -> bool:
    """Tell whether it has a monitor, which may still have to write down how the container ended."""
    if it.rests():
        return False
    try:
        return lives(it.monitor)
    except AssertionError:  # there is none
        return False


def groups(container: str) -> list[str]:
    """Return the control groups of a container."""
    top = Path("/sys/fs/cgroup")
    return [
        str(path)
        for path in [*top.glob(f"{no_trace.room()}/{container}"), *top.glob(f"*/{no_trace.room()}/{container}")]
    ]


def test_the_command_is_killed_while_it_runs_one_in_the_background(tinybox: Command) -> None:
    """`run -d` killed at any call: there is no container, or one that never ran, or a running one with its monitor."""
    seen = set()
    for count in moments(23):
        name = new_name()
        done = faulty(tinybox, "cli", str(count), "run", "-d", "--name", name, "-m", "64m", "busybox", "sleep", "50")
        seen.add(status(tinybox, name)[:2])
        if done.returncode == 0:
            assert status(tinybox, name).startswith("Up")
        else:
            assert done.returncode == -signal.SIGKILL, done
        remove(tinybox, name)
        if done.returncode == 0:
            break
    else:
        pytest.fail("the command was killed at every call number that was tried")
    assert ({"", "Cr", "Up"} if SOAK else {"", "Up"}) <= seen


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("start", ()),
        ("stop", ("-t", "1")),
        ("restart", ("-t", "1")),
        ("kill", ()),
        ("rm", ("-f",)),
        ("pause", ()),
        ("exec", ("true",)),
        ("exec", ("-d", "sleep", "50")),
        ("rename", ("another-name",)),
        ("update", ("--pids-limit", "77")),
    ],
)
def test_a_command_is_killed_at_any_call(tinybox: Command, verb: str, words: tuple[str, ...]) -> None:
    """Killed at any call, a command has done its work or not; the container can be stopped, started and removed."""
    options, rest = ([word for word in words if word.startswith("-")], [w for w in words if not w.startswith("-")])
    for count in moments(31):
        name = new_name()
        stdout_of(tinybox, "create" if verb == "start" else "run", *([] if verb == "start" else ["-d"]), "--name", name,
             "busybox", *FOREVER)  # fmt: skip
        it = Life(tinybox, name)
        line = [verb, *words, name] if verb not in ("exec", "rename") else [verb, *options, name, *rest]
        done = faulty(tinybox, "cli", str(count), *line)
        assert done.returncode in (0, -signal.SIGKILL), done
        no_trace.reap_orphans()
        if (it.root / "containers" / it.id / "config.json").exists():
            assert run_and_reap(tinybox, "stop", "-t", "0", it.id).returncode == 0, count
            assert run_and_reap(tinybox, "start", it.id).returncode == 0, count
            assert lives(it.pid), count
        remove(tinybox, it.id)
        if done.returncode == 0:
            break
    else:
        pytest.fail("the command was killed at every call number that was tried")


def monitor_killed(tinybox: Command, count: int) -> tuple[int, str]:
    """Kill the monitor of a new container at its call number *count*; return the status of `run -d` and of `ps`.

    In each case the container has ended, can be started again, and can be removed.
    """
    name = new_name()
    words = ("run", "-d", "--name", name, "-m", "64m", "busybox", "sh", "-c", "echo said; sleep 0.05; exit 3")
    done = faulty(tinybox, "monitor", str(count), *words)
    it = Life(tinybox, name)
    until(lambda: not watched(it))
    with contextlib.suppress(FileNotFoundError):
        until(lambda: not lives(it.state.get("pid") or 2**22))
    shown = status(tinybox, name)
    assert shown.startswith(("Created", "Exited (unknown)", "Exited (3)")), (count, shown)
    no_trace.reap_orphans()
    assert tinybox("start", "-a", name).stdout == "said\n", count
    remove(tinybox, name)
    return done.returncode, shown


def test_the_monitor_is_killed_at_any_call(tinybox: Command) -> None:
    """A monitor killed at any call takes its container with it; what `ps` prints is true, and it starts again."""
    told = set()
    for count in moments(29):
        told.add(found := monitor_killed(tinybox, count))
        if found[1].startswith("Exited (3)"):
            break
    assert {(125, "Created")} <= told
    # While the program runs, the monitor makes few calls: the steps may have skipped all of them.
    between = iter(range(count - 1, count - 29, -1))
    while not any(shown.startswith("Exited (unknown)") for _, shown in told):
        told.add(monitor_killed(tinybox, next(between)))


@pytest.mark.parametrize(
    ("event", "expected", "shown"),
    [
        ("state:creating", 125, "Created"),
        ("step:clone", 125, "Created"),
        ("state:created", 125, "Created"),
        ("step:release", 125, "Created"),
        ("state:running", 125, "Exited (unknown) "),
        ("state:stopped", 0, "Exited (3) "),
    ],
)
def test_a_monitor_killed_at_each_state(tinybox: Command, event: str, expected: int, shown: str) -> None:
    """Killed after a step or state: `run -d` fails unless the program ran; `ps` shows what is known of its end."""
    name = new_name()
    done = faulty(tinybox, "monitor", event, "run", "-d", "--name", name, "busybox", "sh", "-c", "exit 3")
    it = Life(tinybox, name)
    until(lambda: not watched(it))
    assert not it.rests()  # only a killed monitor leaves its run directory
    assert done.returncode == expected, done
    assert ("its monitor ended before the program ran" in done.stderr) == (expected == 125)
    assert status(tinybox, name).startswith(shown)
    remove(tinybox, name)


def test_a_running_container_loses_its_monitor_or_its_init(tinybox: Command) -> None:
    """The monitor killed: the box ends, its status is unknown; PID 1 killed: the monitor sees 137. Both start again."""
    with life(tinybox, "busybox", *FOREVER) as it:
        first, monitor = it.pid, it.monitor
        kill_and_wait(monitor)
        until(lambda: not lives(first))
        assert status(tinybox, it.name).startswith("Exited (unknown) ")
        assert it.state["exitCode"] is None
        assert stdout_of(tinybox, "wait", it.name) == "unknown\n"
        assert "die" in it.events()
        stdout_of(tinybox, "start", it.name)
        kill_and_wait(it.pid)
        assert it.ended()["exitCode"] == 137
        stdout_of(tinybox, "start", it.name)
        kill_and_wait(it.pid, it.monitor)
        assert status(tinybox, it.name).startswith("Exited (")
        remove(tinybox, it.name)


def test_a_monitor_is_killed_between_two_starts(tinybox: Command) -> None:
    """A container that waits for its restart when its monitor is killed is stopped, and not about to restart."""
    with life(tinybox, "--restart", "always", "busybox", "sh", "-c", "sleep 0.1; exit 4") as it:
        monitor = it.monitor
        until(lambda: it.state.get("restarts", 0) >= 4 and it.state.get("restarting"))  # it waits for 0.8 s
        kill_and_wait(monitor)
        assert status(tinybox, it.name).startswith("Exited (4) ")
        assert not it.state.get("restarting")
        assert stdout_of(tinybox, "start", it.name)
        remove(tinybox, it.name)


def reboot(it: Life) -> None:
    """Do what a reboot does: kill all processes at once, and remove all files under /run and the control groups."""
    kill_and_wait(it.monitor, it.pid)
    no_trace.reap_orphans()
    shutil.rmtree(it.root / "run")
    for group in groups(it.id):
        until(lambda group=group: not Path(group, "cgroup.procs").read_text())  # type: ignore[misc]
        os.rmdir(group)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(group))


def test_a_reboot(tinybox: Command) -> None:
    """After a reboot the container is stopped, its exit status unknown; it is listed, can be started and removed."""
    with life(tinybox, "-m", "64m", "busybox", "sh", "-c", "echo x >> /count; wc -l < /count; sleep 50") as it:
        until(lambda: it.log() == "1\n")
        reboot(it)
        assert status(tinybox, it.name).startswith("Exited (unknown)")
        assert stdout_of(tinybox, "ps", "-q") == ""
        assert tinybox("exec", it.name, "true").returncode != 0
        assert stdout_of(tinybox, "wait", it.name) == "unknown\n"
        stdout_of(tinybox, "start", it.name)
        until(lambda: it.log() == "1\n2\n")
        reboot(it)
        assert stdout_of(tinybox, "rm", it.name) == f"{it.name}\n"
        remove(tinybox, it.name)


def test_run_is_emptied_under_a_running_container(tinybox: Command) -> None:
    """If /run was cleared, the next `start` or `rm` first ends the processes left in the container's control group."""
    with life(tinybox, "-m", "64m", "busybox", *FOREVER) as it:
        lost, monitor = it.pid, it.monitor
        os.kill(monitor, signal.SIGSTOP)  # it would clean up its container
        try:
            shutil.rmtree(it.root / "run")
            stdout_of(tinybox, "start", it.name)
            assert not lives(lost)
            assert lives(it.pid)
        finally:
            kill_and_wait(monitor)
        remove(tinybox, it.name)
