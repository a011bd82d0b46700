"""Several commands at once on one container: one wins, each other reports it in a line; no deadlock, no half state."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import new_name, until
from tests.support.detached_boxes import FOREVER, Life, life, reap_all_but, stdout_of
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root
ROUNDS = 200 if os.environ.get("TINYBOX_SOAK") else 12
AT_ONCE = 8
LONG = 120.0 * SLOWNESS  # seconds that a command may take at most; it has to wait for others, on a busy machine

# The commands: arguments after the verb, NAME is the container; whether they need a second container of it.
COMMANDS = (
    ("start", "NAME"),
    ("stop", "-t", "0", "NAME"),
    ("stop", "-t", "1", "NAME"),
    ("restart", "-t", "0", "NAME"),
    ("kill", "NAME"),
    ("kill", "-s", "HUP", "NAME"),
    ("exec", "NAME", "true"),
    ("exec", "-d", "NAME", "sleep", "0.1"),
    ("pause", "NAME"),
    ("unpause", "NAME"),
    ("rename", "NAME", "OTHER"),
    ("update", "--pids-limit", "99", "NAME"),
    ("ps", "-a"),
    ("inspect", "NAME"),
    ("logs", "NAME"),
)


def race(tinybox: Command, lines: list[list[str]]) -> list[subprocess.CompletedProcess[str]]:
    """Start all command lines at once, and wait for each; one that does not end is a deadlock, and fails the test."""
    deadline = time.monotonic() + LONG
    running = [(words, tinybox.start(*words)) for words in lines]
    ended = []
    for words, process in running:
        while process.poll() is None and time.monotonic() < deadline:
            reap_all_but(process)
            time.sleep(0.01)
        if process.poll() is None:
            for _, other in running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(other.pid, signal.SIGKILL)
            pytest.fail(f"a deadlock: tinybox {' '.join(words)} has not ended after {LONG} s, beside {lines}")
        out, err = process.communicate()
        ended.append(subprocess.CompletedProcess(["tinybox", *words], process.returncode, out, err))
    return ended


def judge(done: subprocess.CompletedProcess[str]) -> None:
    """Assert that a command succeeded, was killed, or reported its error in one line without a traceback."""
    assert "Traceback" not in done.stderr, done
    if done.returncode in (0, 128 + signal.SIGKILL) and not done.stderr:
        return
    assert done.stderr.startswith("tinybox: "), done
    assert len(done.stderr.splitlines()) == 1, done
    assert "Error" not in done.stderr, done
    is_gone = {"rm", "-f"} <= {*done.args} and "no such container" in done.stderr  # the wanted result, as in docker
    assert done.returncode in ((0,) if is_gone else (1, 125, 126)), done


def test_eight_at_once(tinybox: Command) -> None:
    """Eight random commands at once on one container, again and again; then rm -f leaves nothing of it."""
    chance = random.Random(os.environ.get("TINYBOX_SEED", "tinybox"))  # noqa: S311  repeatable
    for number in range(ROUNDS):
        name, other = new_name(), new_name()
        verb = ("run", "-d") if number % 2 else ("create",)
        policy = ("--restart", "always") if number % 5 == 4 else ()
        stdout_of(tinybox, *verb, *policy, "--name", name, "busybox", *FOREVER)
        it = Life(tinybox, name)
        chosen = [chance.choice(COMMANDS) for _ in range(AT_ONCE)]
        if number % 3 == 2:
            chosen[-2:] = [("rm", "-f", "NAME"), ("rm", "-f", "NAME")]
        lines = [[{"NAME": chance.choice([name, it.id]), "OTHER": other}.get(w, w) for w in words] for words in chosen]
        for done in race(tinybox, lines):
            judge(done)
        left = it.root / "containers" / it.id / "config.json"
        if left.exists():
            names = os.listdir(it.root / "container-names")
            assert len(names) == 1, (names, lines)
            for done in race(tinybox, [["rm", "-f", it.id]]):
                assert done.returncode == 0, (done, lines)
        for folder in ("containers", "container-names", "run"):
            assert os.listdir(it.root / folder) == [], (folder, lines)


def test_one_name_for_eight(tinybox: Command) -> None:
    """Eight `run -d` with one name: one container; seven errors name its owner, and leave nothing."""
    for _ in range(max(1, ROUNDS // 12)):
        name = new_name()
        ended = race(tinybox, [["run", "-d", "--name", name, "busybox", *FOREVER]] * AT_ONCE)
        for done in ended:
            judge(done)
        assert [done.returncode for done in ended].count(0) == 1
        assert all("already in use" in done.stderr for done in ended if done.returncode)
        assert len(stdout_of(tinybox, "ps", "-aq").split()) == 1
        stdout_of(tinybox, "rm", "-f", name)


def test_eight_renames(tinybox: Command) -> None:
    """Eight renames at once: all may succeed, one after the other, but in the end there is one name."""
    for _ in range(max(1, ROUNDS // 12)):
        with life(tinybox, "busybox", "true", verb="create") as it:
            for done in race(tinybox, [["rename", it.id, new_name()] for _ in range(AT_ONCE)]):
                judge(done)
            assert len(os.listdir(it.root / "container-names")) == 1


def test_eight_starts_and_eight_stops(tinybox: Command) -> None:
    """Eight starts at once start it once; eight stops at once stop it once; all succeed."""
    for _ in range(max(1, ROUNDS // 12)):
        with life(tinybox, "busybox", *FOREVER, verb="create") as it:
            for verb, event in (("start", "start"), ("stop", "die")):
                ended = race(tinybox, [[verb, it.name]] * AT_ONCE)
                assert [done.returncode for done in ended] == [0] * AT_ONCE, ended
                assert it.events().count(event) == 1
            assert it.rests()


def test_stop_against_a_restart_policy(tinybox: Command) -> None:
    """A container that ends and is started again all the time is stopped by one `stop`, at any moment."""
    chance = random.Random(1)  # noqa: S311
    for _ in range(max(3, ROUNDS // 10)):
        with life(tinybox, "--restart", "always", "busybox", "sh", "-c", "sleep 0.05") as it:
            time.sleep(chance.random() * 0.6)
            [done] = race(tinybox, [["stop", "-t", "1", it.name]])
            assert (done.returncode, done.stderr) == (0, "")
            assert it.rests()
            assert not it.state.get("restarting")
            time.sleep(0.2)
            assert it.rests()


def test_rm_against_start(tinybox: Command) -> None:
    """One command removes it by force while another starts it: in the end it is gone; no command hangs."""
    for _ in range(max(3, ROUNDS // 10)):
        with life(tinybox, "busybox", *FOREVER, verb="create") as it:
            for done in race(tinybox, [["start", it.id], ["rm", "-f", it.id], ["start", it.id], ["rm", "-f", it.id]]):
                judge(done)
            until(lambda it=it: not (it.root / "containers" / it.id).exists())  # type: ignore[misc]


def test_rm_f_of_a_box_that_removes_itself(tinybox: Command) -> None:
    """`rm -f` of a running --rm box prints its id, whether its monitor or the command removes its files first."""
    for _ in range(8):
        box = tinybox("run", "-d", "--rm", "busybox", "sleep", "1000").stdout.strip()
        done = tinybox("rm", "-f", box)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{box}\n", "")


def test_the_event_log_is_whole(tinybox: Command) -> None:
    """Events that eight processes append at once are whole lines of JSON."""
    race(tinybox, [["run", "--rm", "busybox", "true"]] * AT_ONCE)
    lines = Path(tinybox.root, "events.log").read_text().splitlines()
    assert all(json.loads(line)["Action"] for line in lines)
