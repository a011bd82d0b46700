"""`restart` of a container of --rm: it is started again with its files, and removed when it ends by itself."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, kept, lives, new_name, until
from tests.support.detached_boxes import FOREVER, Life, kill_and_wait, life, nothing_is_left, stdout_of
from tinybox.container.records import restart_mark
from tinybox.container.records.paths import Paths

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root
COUNTS = "trap 'exit 7' TERM; echo READY; echo x >>/count; while :; do sleep 0.05; done"


def await_count(it: Life, count: int) -> None:
    """Wait until the program has been started *count* times, all in the same writable layer, and has set its trap."""
    path = it.root / "containers" / it.id / "upper" / "count"
    until(lambda: path.exists() and path.read_text() == "x\n" * count)
    it.await_traps()


def test_it_is_started_again_and_removed_at_the_end(tinybox: Command) -> None:
    """Two restarts of two containers keep their id, files and anonymous volume; after stop, nothing is left."""
    words = ("--rm", "-v", "/data", "busybox", "sh", "-c", f"{COUNTS.replace('/count', '/count; echo y >>/data/y')}")
    with life(tinybox, *words) as one, life(tinybox, *words) as two:
        volumes = sorted(os.listdir(one.root / "volumes"))
        for count in (2, 3):
            former = [one.pid, two.pid]
            assert stdout_of(tinybox, "restart", "-t", "5", one.name, two.name) == f"{one.name}\n{two.name}\n"
            for it in (one, two):
                await_count(it, count)
                assert lives(it.pid)
                assert it.inside("wc -l </data/y") == str(count)
            assert not any(map(lives, former))
        assert sorted(os.listdir(one.root / "volumes")) == volumes
        assert "destroy" not in one.events()
        stdout_of(tinybox, "stop", one.name, two.name)
        assert not {*os.listdir(one.root / "volumes")} & {*volumes}
        nothing_is_left(tinybox)


@pytest.mark.parametrize("network", ["none", "bridge"])
def test_one_in_the_foreground_goes_on_in_the_background(tinybox: Command, network: str) -> None:
    """`run --rm` in another terminal ends with the program's status; its container runs again, in the background."""
    name = new_name()
    words = ("--rm", "--network", network, "--name", name, "busybox", "sh", "-c", COUNTS)
    with kept(tinybox, *words) as process:
        it = Life(tinybox, name, COUNTS)
        try:
            stdout_of(tinybox, "restart", name)
            assert process.wait(PATIENCE) == 7
            await_count(it, 2)
            assert it.log() == "READY\n"
            assert ("eth0" in it.inside("ls /sys/class/net")) == (network == "bridge")
            stdout_of(tinybox, "stop", name)
        finally:
            tinybox("rm", "-fv", it.id)
    nothing_is_left(tinybox)


def test_a_killed_restart_leaves_nothing(tinybox: Command) -> None:
    """A `restart` that is killed while it waits for the end has no effect on it: the container is then removed."""
    with life(tinybox, "--rm", "busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done") as it:
        process = tinybox.start("restart", "-t", "60", it.name)
        until(lambda: "kill" in it.events())
        assert restart_mark.is_held(Paths(tinybox.root), it.id)
        kill_and_wait(process.pid)
        process.communicate()
        assert lives(it.pid)
        os.kill(it.pid, signal.SIGKILL)
        until(it.rests)
        nothing_is_left(tinybox)


@pytest.mark.parametrize("is_detached", [True, False], ids=["monitor", "foreground"])
def test_a_restart_that_is_killed_after_the_stop(tinybox: Command, *, is_detached: bool) -> None:
    """The container is then at rest with its status, and a later `start` runs it, until its end removes it."""
    name = new_name()
    detach = ["-d"] if is_detached else []
    process = tinybox.start("run", *detach, "--rm", "--name", name, "busybox", *FOREVER)
    until(lambda: '"running"' in tinybox("inspect", name).stdout)
    it = Life(tinybox, name, FOREVER[-1])
    it.await_traps()
    try:
        with restart_mark.RestartMark(Paths(tinybox.root), it.id):
            stdout_of(tinybox, "stop", name)
        process.communicate(timeout=PATIENCE)
        assert (it.ended()["status"], it.state["exitCode"]) == ("stopped", 7)
        assert it.shown("{{.State.Status}} {{.HostConfig.AutoRemove}}") == "exited true"
        stdout_of(tinybox, "start", name)
        it.await_traps()
        stdout_of(tinybox, "stop", name)
    finally:
        tinybox("rm", "-fv", it.id)
    nothing_is_left(tinybox)


def test_rm_during_a_restart(tinybox: Command) -> None:
    """`rm -f` while `restart` waits for the end removes the container, and `restart` says that there is none."""
    with life(tinybox, "--rm", "busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done") as it:
        process = tinybox.start("restart", "-t", "60", it.name)
        until(lambda: "kill" in it.events())
        process.send_signal(signal.SIGSTOP)
        stdout_of(tinybox, "rm", "-f", it.name)
        process.send_signal(signal.SIGCONT)
        assert "no such container" in process.communicate(timeout=PATIENCE)[1]
        nothing_is_left(tinybox)
