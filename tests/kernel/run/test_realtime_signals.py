"""Real-time signals, from RTMIN to RTMAX, by name and number: kill, stop, images, compose, proxies, OCI; signal(7)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, kept, new_name, patience, until
from tests.support.compose_projects import project
from tests.support.detached_boxes import Life, field, life
from tests.support.oci_bundles import Bundle, bundle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

__all__ = ["bundle"]

pytestmark = pytest.mark.root

TRAPS = 'for n in 34 37 50 61 64; do trap "echo got $n" $n; done; echo READY'
LISTENS = f"{TRAPS}; while :; do sleep 0.02; done"
ENDS = "trap 'echo stopped; exit 5' 61; echo READY; while :; do sleep 0.02; done"


def ready(box: Life) -> None:
    """Wait until the program has set its traps."""
    until(lambda: "READY" in box.log())


def test_kill_knows_all_names(tinybox: Command) -> None:
    """`kill -s` with names from both ends, with and without SIG, and numbers; PID 1 passes each signal on."""
    words = "SIGRTMAX-3 rtmin+27 61 RTMIN SIGRTMIN+3 RTMAX-14 SIGRTMAX 64".split()
    numbers = [61, 61, 61, 34, 37, 50, 64, 64]
    with life(tinybox, "busybox", "sh", "-c", LISTENS) as box:
        ready(box)
        for count, word in enumerate(words, 1):
            assert tinybox("kill", "-s", word, box.name).stderr == ""
            until(lambda: box.log().count("got") == count)  # noqa: B023
        assert box.log().split("\n")[1:-1] == [f"got {number}" for number in numbers]


@pytest.mark.parametrize("mode", ["forward", "none"])
def test_run_passes_them_on(tinybox: Command, mode: str) -> None:
    """A real-time signal to a foreground `run` reaches the program, and one that kills it is status 128+N."""
    with kept(tinybox, "--rm", f"--init={mode}", "busybox", "sh", "-c", LISTENS) as process:
        assert process.stdout is not None
        for number in (61, 34, 64):
            process.send_signal(number)
            with patience(PATIENCE):
                assert process.stdout.readline() == f"got {number}\n"
        process.kill()
    with kept(tinybox, "--rm", "busybox", "sh", "-c", "echo READY; exec sleep 100") as process:
        process.send_signal(61)
        assert process.wait(PATIENCE) == 128 + 61


@pytest.mark.parametrize("how", ["option", "image", "word"])
def test_stop_sends_them(tinybox: Command, how: str) -> None:
    """As --stop-signal, as an image's STOPSIGNAL, and as `stop --signal`."""
    name = new_name()
    options, words = list[str](), list[str]()
    image = "busybox"
    if how == "option":
        options = ["--stop-signal", "SIGRTMAX-3"]
    elif how == "word":
        words = ["--signal", "rtmax-3"]
    else:
        with life(tinybox, "busybox", "true", verb="create") as first:
            assert tinybox("commit", "-c", "STOPSIGNAL SIGRTMAX-3", first.name, name).returncode == 0
        image = name
    try:
        with life(tinybox, *options, image, "sh", "-c", ENDS) as box:
            ready(box)
            assert tinybox("stop", *words, box.name).returncode == 0
            assert box.ended()["exitCode"] == 5
            assert box.log().split() == ["READY", "stopped"]
    finally:
        if how == "image":
            tinybox("rmi", name)


def test_compose_and_attach_send_them(tinybox: Command, tmp_path: Path) -> None:
    """Compose's `stop_signal`, and a signal to `attach`, which passes it on."""
    one = f'{{image: busybox, network_mode: none, stop_signal: RTMAX-3, command: [sh, -c, "{ENDS}"]}}'
    with project(tinybox, tmp_path, f"services: {{one: {one}}}\n", new_name()) as shop:
        shop.up()
        until(lambda: "READY" in shop.life("one").log())
        assert shop("stop").returncode == 0
        assert shop.life("one").ended()["exitCode"] == 5
        assert tinybox("start", shop.life("one").name).returncode == 0
        until(lambda: shop.life("one").log().count("READY") == 2)
        with tinybox.start("attach", shop.life("one").name) as process:
            until(lambda: blocks(process.pid, 61))
            process.send_signal(61)
            assert process.wait(PATIENCE) == 5


def blocks(pid: int, number: int) -> bool:
    """Tell whether process *pid* blocks a signal, which tinybox does while it passes signals on."""
    return bool(int(field(pid, "SigBlk"), 16) >> (number - 1) & 1)


def test_an_engine_sends_them(bundle: Bundle) -> None:
    """`tinybox-oci kill` takes the same names."""
    bundle.create("trap 'exit 5' 61", "touch /ready", "while :; do sleep 0.02; done")
    assert bundle.oci("start", bundle.name).returncode == 0
    until((bundle.root / "ready").exists)
    assert bundle.oci("kill", bundle.name, "SIGRTMAX-3").returncode == 0
    bundle.wait_for("stopped")
    assert os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1]) == 5
