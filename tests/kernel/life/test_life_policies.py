"""A monitor's own work: restart policies, health checks, the log and its rotation, the end, and the clean-up."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import lives, new_name, one_line, until
from tests.support.detached_boxes import FOREVER, Life, field, kill_and_wait, life, nothing_is_left, stdout_of
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tests.conftest import Command

pytestmark = pytest.mark.root


def told(it: Life, action: str) -> list[dict[str, Any]]:
    """Return the container's events of this kind."""
    lines = map(json.loads, (it.root / "events.log").read_text().splitlines())
    return [event for event in lines if event["id"] == it.id and event["Action"] == action]


def starts(it: Life) -> list[float]:
    """Return when the container was started, in seconds since 1970."""
    return [event["timeNano"] / 1e9 for event in told(it, "start")]


@contextlib.contextmanager
def between_starts(it: Life, least: int) -> Iterator[int]:
    """Stop the monitor of a container between two starts, after at least so many of them; give its pid."""
    monitor = it.monitor

    def waits() -> bool:
        return it.state.get("restarts", 0) >= least and bool(it.state.get("restarting"))

    def stands() -> bool:
        """Find the monitor between two starts, and stop it there."""
        if not waits():
            return False
        os.kill(monitor, signal.SIGSTOP)
        until(lambda: field(monitor, "State").startswith("T"))
        if not waits():  # the monitor was faster
            os.kill(monitor, signal.SIGCONT)
        return waits()

    until(stands)
    try:
        yield monitor
    finally:
        os.kill(monitor, signal.SIGCONT)


def test_on_failure_has_a_limit(tinybox: Command) -> None:
    """on-failure:3 starts it four times in all, each pause twice as long as the one before; RestartCount counts."""
    with life(tinybox, "--restart", "on-failure:3", "busybox", "sh", "-c", "exit 3") as it:
        state = it.ended()
        assert (state["exitCode"], state["restarts"], state["status"]) == (3, 3, "stopped")
        times = starts(it)
        assert len(times) == 4
        pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4), strict=True)), pauses
        assert it.shown("{{.RestartCount}}") == "3"


@pytest.mark.parametrize(("policy", "status", "again"), [
    ("no", 0, False), ("no", 1, False), ("on-failure", 0, False), ("on-failure", 1, True),
    ("always", 0, True), ("unless-stopped", 0, True),
])  # fmt: skip
def test_policies(tinybox: Command, policy: str, status: int, again: bool) -> None:
    """Each policy starts the container again, or not, after an end with 0 and after one with another status."""
    with life(tinybox, "--restart", policy, "busybox", "sh", "-c", f"exit {status}") as it:
        if again:
            until(lambda: len(starts(it)) > 2)
            stdout_of(tinybox, "stop", it.name)
        state = it.ended()
        ends = [event["Attributes"]["exitCode"] for event in told(it, "die")]
        assert set(ends[:2]) == {str(status)}  # the last event may be that of `stop`
        assert (state["exitCode"], len(ends)) == (int(ends[-1]), len(starts(it)))
        assert bool(state.get("restarts")) == again == (len(ends) > 1)


@pytest.mark.parametrize("verb", [("stop", "-t", "1"), ("kill",), ("rm", "-f")])
def test_a_requested_end_is_final(tinybox: Command, verb: tuple[str, ...]) -> None:
    """stop, kill and rm -f end a container of policy `always`; it stays so."""
    with life(tinybox, "--restart", "always", "busybox", *FOREVER) as it:
        stdout_of(tinybox, *verb, it.name)
        until(it.rests)
        time.sleep(0.3)
        assert it.rests()
        assert starts(it)[1:] == []


def test_a_kill_from_inside_is_a_failure(tinybox: Command) -> None:
    """Ended by a signal that no command sent, it is started again, with the same files and another PID 1."""
    script = "echo $(hostname) >> /n; [ $(wc -l < /n) = 1 ] && kill -9 $$; sleep 50"
    with life(tinybox, "--restart", "on-failure", "busybox", "sh", "-c", script) as it:
        written = it.root / "containers" / it.id / "upper" / "n"
        until(lambda: written.exists() and len(written.read_text().split()) == 2)
        until(lambda: it.state["status"] == "running")
        assert it.state["restarts"] == 1


def test_a_monitor_stays_small_over_restarts(tinybox: Command) -> None:
    """Many starts cost the monitor no file descriptor and no memory: each start frees what it needed."""

    def size(least: int) -> tuple[int, int]:
        with between_starts(it, least) as monitor:
            rows = Path(f"/proc/{monitor}/smaps_rollup").read_text().splitlines()  # VmRSS is only approximate
            kibibytes = next(int(row.split()[1]) for row in rows if row.startswith("Anonymous:"))
            return len(os.listdir(f"/proc/{monitor}/fd")), kibibytes

    with life(tinybox, "--restart", "always", "busybox", "true") as it:
        fds, kibibytes = size(2)
        later_fds, later_kibibytes = size(5)
        assert later_fds == fds
        assert later_kibibytes < kibibytes + 160  # before the monitor collected its garbage it was 80 a start, so 240
        stdout_of(tinybox, "stop", it.name)


def test_a_policy_is_changed_while_it_runs(tinybox: Command) -> None:
    """`update --restart` applies to the very next end: from always to no, and from no to always."""
    with life(tinybox, "--restart", "always", "busybox", *FOREVER) as it:
        stdout_of(tinybox, "update", "--restart", "no", it.name)
        kill_and_wait(it.pid)
        assert it.ended()["exitCode"] == 137
        stdout_of(tinybox, "start", it.name)
        stdout_of(tinybox, "update", "--restart", "always", it.name)
        kill_and_wait(it.pid)
        until(lambda: len(starts(it)) == 3)


def test_restart_conflicts_with_rm(tinybox: Command) -> None:
    """--rm and --restart exclude one another, and an unknown policy is one line."""
    one_line(tinybox("run", "-d", "--rm", "--restart", "always", "busybox", "true"), 125, "--rm")
    one_line(tinybox("run", "-d", "--restart", "sometimes", "busybox", "true"), 125, "is not a policy")
    nothing_is_left(tinybox)


HEALTH = ("--health-interval", "100ms", "--health-retries", "2")


def health(it: Life) -> dict[str, Any]:
    """Return the container's health."""
    return {"Status": "", "FailingStreak": 0, "Log": [], **(it.state.get("health") or {})}


def test_health_goes_up_and_down(tinybox: Command) -> None:
    """From starting to healthy, to unhealthy after two failures in a row, and back; in ps, inspect and events."""
    check = "until [ -e /begin ]; do sleep 0.05; done; echo seen; test -e /well"  # else unhealthy by now
    with life(tinybox, *HEALTH, "--health-cmd", check, "busybox", *FOREVER) as it:
        assert health(it)["Status"] == "starting"
        it.inside("touch /well /begin")
        until(lambda: health(it)["Status"] == "healthy")
        assert "(healthy)" in stdout_of(tinybox, "ps", "--filter", f"name=^{it.name}$")
        it.inside("rm /well")
        until(lambda: health(it)["Status"] == "unhealthy")
        assert health(it)["FailingStreak"] >= 2
        assert health(it)["Log"][-1]["Output"] == "seen\n"
        assert health(it)["Log"][-1]["ExitCode"] == 1
        assert len(health(it)["Log"]) <= 5
        assert it.shown("{{.State.Health.Status}}") == "unhealthy"
        assert lives(it.pid)  # a check changes nothing else
        it.inside("touch /well")
        until(lambda: health(it)["Status"] == "healthy")
        words = [word for word in it.events() if word.startswith("health_status")]
        assert words == [f"health_status: {word}" for word in ("healthy", "unhealthy", "healthy")]


def test_a_check_that_takes_too_long(tinybox: Command) -> None:
    """A check is killed at its timeout, counts as a failure, and says so; no process of it stays in the box."""
    words = ("--health-cmd", "sleep 44.4", "--health-timeout", "200ms")
    with life(tinybox, *HEALTH, *words, "busybox", *FOREVER) as it:
        until(lambda: health(it)["Status"] == "unhealthy")
        assert "timeout" in health(it)["Log"][-1]["Output"]
        stdout_of(tinybox, "pause", it.name)
        stdout_of(tinybox, "unpause", it.name)
        assert it.inside("ps").count("44.4") <= 1


def test_a_check_may_print_much(tinybox: Command) -> None:
    """A megabyte of output delays no check; the first 4096 bytes are kept."""
    words = ("--health-cmd", "head -c 1000000 /dev/zero | tr '\\0' x", "--health-timeout", "20s")
    with life(tinybox, *HEALTH, *words, "busybox", *FOREVER) as it:
        until(lambda: health(it)["Status"] == "healthy")
        assert health(it)["Log"][-1]["Output"] == "x" * 4096


def test_the_start_period(tinybox: Command) -> None:
    """Failures within the start period do not count; without it, the same check is unhealthy by then."""
    for period, expected in (("60s", "starting"), ("0s", "unhealthy")):
        words = ("--health-cmd", "exit 1", "--health-start-period", period)
        with life(tinybox, *HEALTH, *words, "busybox", *FOREVER) as it:
            until(lambda: len(health(it)["Log"]) >= 4)
            assert health(it)["Status"] == expected


def test_the_log_is_rotated(tinybox: Command) -> None:
    """max-size and max-file limit the log on disk; the newest lines are there, in order over the files."""
    words = ("--log-opt", "max-size=20k", "--log-opt", "max-file=3")
    with life(tinybox, *words, "busybox", "sh", "-c", "seq 5000") as it:
        it.ended()
        files = sorted((it.root / "containers" / it.id).glob("container.log*"))
        assert [path.name for path in files] == ["container.log", "container.log.1", "container.log.2"]
        assert all(path.stat().st_size < 40_000 for path in files)
        lines = it.log().split()
        assert lines == [str(number) for number in range(5001 - len(lines), 5001)]
        assert 300 < len(lines) < 5000


def test_bytes_that_are_no_text(tinybox: Command) -> None:
    """The log returns every byte, and a line without its end; the two streams never mix within a line."""
    script = "printf '\\377\\376\\000\\303\\244'; head -c 100000 /dev/urandom > /r; cat /r; md5sum < /r >&2"
    with life(tinybox, "busybox", "sh", "-c", script) as it:
        it.ended()
        done = tinybox.start("logs", it.name, text=False)
        out, err = done.communicate(timeout=20 * SLOWNESS)
        import hashlib

        assert out[:5] == b"\xff\xfe\x00\xc3\xa4"  # type: ignore[comparison-overlap]
        assert hashlib.md5(out[5:]).hexdigest() == err.decode().split()[0]  # type: ignore[arg-type,attr-defined]  # noqa: S324


@pytest.mark.parametrize(("program", "status"), [("/no/such/file", 127), ("/etc/passwd", 126), ("/bin", 126)])
def test_programs_that_cannot_be_started(tinybox: Command, program: str, status: int) -> None:
    """`run -d` prints the reason, with docker's status, and no id; the container stays for `inspect`, unless --rm."""
    name = new_name()
    one_line(tinybox("run", "-d", "--name", name, "busybox", program), status, program)
    it = Life(tinybox, name)
    assert it.state["exitCode"] == status
    assert program in it.state["error"]
    assert stdout_of(tinybox, "ps", "-a", "--filter", f"name=^{name}$", "--format", "{{.State}}").strip() == "created"
    assert tinybox("start", name).returncode == 1
    stdout_of(tinybox, "rm", name)
    one_line(tinybox("run", "-d", "--rm", "busybox", program), status, program)
    one_line(tinybox("run", "-d", "--memory", "nonsense", "busybox", "true"), 125, "nonsense")
    nothing_is_left(tinybox)


def test_out_of_memory(tinybox: Command) -> None:
    """A container over its memory limit ends with 137; the state and an event give the reason; another 137 does not."""
    eat = "head -c 100m /dev/zero | tail | wc -c"
    with life(tinybox, "-m", "16m", "busybox", "sh", "-c", eat) as it:
        state = it.ended()
        assert (state["exitCode"], state["oomKilled"]) == (137, True)
        assert it.events() == ["create", "start", "oom", "die"]
        assert it.shown("{{.State.OOMKilled}}") == "true"
    with life(tinybox, "-m", "16m", "busybox", "sh", "-c", "kill -9 $$") as other:
        state = other.ended()
        assert (state["exitCode"], state["oomKilled"]) == (137, False)


def test_rm_with_d_removes_everything(tinybox: Command) -> None:
    """With --rm a detached container is removed at its end, with its log, its name and its nameless volumes."""
    volumes = Path(tinybox.root, "volumes")
    volumes.mkdir(mode=0o700, exist_ok=True)
    before = sorted(os.listdir(volumes))
    script = "echo said; until [ -e /go ]; do sleep 0.05; done"
    with life(tinybox, "--rm", "-v", "/nameless", "busybox", "sh", "-c", script) as it:
        assert sorted(os.listdir(volumes)) != before
        it.inside("touch /go")
        until(lambda: not (it.root / "containers" / it.id).exists())
        until(it.rests)
        assert it.events()[-1] == "destroy"
    nothing_is_left(tinybox)
    assert sorted(os.listdir(volumes)) == before


def test_the_monitor_keeps_nothing_of_its_caller(tinybox: Command) -> None:
    """Neither the monitor nor the program has the caller's open files, directory or umask: its pipe ends with it."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    name = new_name()
    script = f"umask 077; exec {tinybox.path} run -d --name {name} busybox sh -c 'umask; sleep 50'"
    import subprocess

    with subprocess.Popen(
        ["sh", "-c", script], env=tinybox.environment, cwd="/tmp", pass_fds=[writing], stdout=-1
    ) as caller:
        os.close(writing)
        caller.communicate(timeout=20 * SLOWNESS)
    it = Life(tinybox, name)
    assert os.read(reading, 1) == b""  # otherwise it would wait for 50 s
    os.close(reading)
    until(lambda: it.log() == "0022\n")
    stdout_of(tinybox, "rm", "-f", name)
