"""The size of a terminal is there before the program's first instruction, in every way to get a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import new_name, until
from tests.support.compose_projects import project
from tests.support.detached_boxes import FOREVER, Life, life
from tests.support.oci_bundles import Bundle, bundle
from tests.support.screens import Screen, screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

__all__ = ["bundle"]

pytestmark = pytest.mark.root

LOOK = ("busybox", "stty", "size")
NONE = "stty: standard input"  # what busybox prints if the size is zero
OCI = os.path.join(os.path.dirname(sys.executable), "tinybox-oci")


@pytest.fixture
def box(tinybox: Command) -> Iterator[Life]:
    """Give a box that runs in the background."""
    with life(tinybox, "busybox", *FOREVER) as it:
        yield it


def window(tinybox: Command, *words: str, program: str = "") -> contextlib.AbstractContextManager[Screen]:
    """Run ``tinybox WORDS`` (or *program*) on a terminal of 41 rows and 123 columns."""
    return screen(tinybox, *words, rows=41, columns=123, program=program)


def shown(it: Screen) -> str:
    """Return all that a command has printed on the screen by its end, which must be a success."""
    assert it.status() == 0, it.shown
    return it.shown.strip()


@pytest.mark.parametrize("options", [(), ("--init=none",), ("--userns", "private"), ("--explain", "-o", "/dev/null")])
def test_run_has_the_size_at_once(tinybox: Command, options: tuple[str, ...]) -> None:
    """`stty size` is the program itself: it prints the window's size each time."""
    for _ in range(5):
        with window(tinybox, "run", "--rm", "-it", *options, *LOOK) as it:
            assert shown(it) == "41 123"


def test_exec_has_the_size_at_once(tinybox: Command, box: Life) -> None:
    """The same for `exec -it`, and for `exec -t` whose stdin is no terminal."""
    for _ in range(5):
        with window(tinybox, "exec", "-it", box.name, "stty", "size") as it:
            assert shown(it) == "41 123"
    script = f"{tinybox.path} exec -t {box.name} stty size < /dev/null"
    with window(tinybox, "-c", script, program="/bin/sh") as it:
        assert shown(it) == "41 123"


def test_a_started_box_has_the_size_of_the_terminal_that_is_attached(tinybox: Command) -> None:
    """`start -ai` on another terminal than `create` was typed on; without `-a`, the size is that of `create`."""
    for _ in range(3):
        name = new_name()
        with screen(tinybox, "create", "-it", "--name", name, *LOOK, rows=11, columns=22) as it:
            assert it.status() == 0
        try:
            with window(tinybox, "start", "-ai", name) as it:
                assert shown(it) == "41 123"
            assert tinybox("start", name).returncode == 0
            until(lambda: "11 22" in tinybox("logs", name).stdout)  # noqa: B023
        finally:
            tinybox("rm", "-f", name)


def test_a_detached_box_has_the_size_of_the_terminal_it_was_typed_on(tinybox: Command) -> None:
    """`run -dt`: as with docker, whose client sends the size; without a terminal, and for `exec -t`, there is none."""
    name = new_name()
    try:
        with window(tinybox, "run", "-dt", "--name", name, "busybox", "sh", "-c", "stty size; sleep 99") as it:
            assert it.status() == 0
        until(lambda: "41 123" in tinybox("logs", name).stdout)
        assert tinybox("exec", "-t", name, "stty", "size").stdout.strip() == NONE
    finally:
        tinybox("rm", "-f", name)


def test_a_restarted_box_keeps_the_size_of_its_client(tinybox: Command) -> None:
    """After an attached client has changed the size, the next start by the restart policy has it from the beginning."""
    script = "stty size 2> /dev/null; echo up; while [ ! -e /again ]; do sleep 0.05; done; rm /again; exit 1"
    with life(tinybox, "-t", "--restart", "always", "busybox", "sh", "-c", script) as box:
        with window(tinybox, "attach", box.name) as it:
            until(lambda: box.inside("stty size < /dev/pts/0 2>&1") == "41 123")
            it.type("\x10\x11")
            assert it.status() == 0
        # The end of the box may end the touch, too; it is repeated only if it was not started.
        until(lambda: tinybox("exec", box.name, "touch", "/again").returncode in (0, 137))
        until(lambda: box.log().split() == ["up", "41", "123", "up"])


def test_compose_exec_has_the_size_at_once(tinybox: Command, tmp_path: Path) -> None:
    """The same for `compose exec`, and a service with `tty: true` has the size of the terminal of `up`."""
    one = "image: busybox, tty: true, network_mode: none, stop_signal: KILL, command: [sh, -c, stty size; sleep 99]"
    with project(tinybox, tmp_path, f"services: {{one: {{{one}}}}}\n", new_name()) as shop:
        with window(tinybox, *shop.words("up", "-d")) as it:
            assert it.status() == 0, it.shown
        until(lambda: "41 123" in shop("logs").stdout)
        with window(tinybox, *shop.words("exec", "one", "stty", "size")) as it:
            assert shown(it) == "41 123"


def test_an_engine_s_terminal_has_the_caller_s_size(tinybox: Command, bundle: Bundle) -> None:
    """In the foreground, `tinybox-oci run` and `exec` take the caller's size, as runc does, rather than consoleSize."""
    state = ("--root", str(bundle.path / "state"))
    (bundle.root / "bin/stty").symlink_to("busybox")
    bundle.process.update({"terminal": True, "consoleSize": {"height": 5, "width": 6}, "args": ["stty", "size"]})
    bundle.save()
    for _ in range(3):
        run = (*state, "run", "--bundle", str(bundle.path), bundle.name)
        with window(tinybox, *run, program=OCI) as it:
            assert shown(it) == "41 123"
    done = subprocess.run([OCI, *run], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["5", "6"]  # without a terminal of the caller
    bundle.process.update({"terminal": False})
    bundle.create("sleep 100")
    assert bundle.oci("start", bundle.name).returncode == 0
    process = {"args": ["stty", "size"], "cwd": "/", "env": ["PATH=/bin"], "terminal": True}
    Path(bundle.path / "process.json").write_text(json.dumps(process))
    for words in (("-t", bundle.name, "stty", "size"), ("-p", str(bundle.path / "process.json"), bundle.name)):
        with window(tinybox, *state, "exec", *words, program=OCI) as it:
            assert shown(it) == "41 123"


def test_the_size_follows_the_window_of_stdout(tinybox: Command, box: Life) -> None:
    """If only stdout is the terminal, a later size of the window is passed on, too."""
    script = "trap 'echo winch $(stty size)' WINCH; echo READY; while :; do sleep 0.02; done"
    command = f'{tinybox.path} exec -t {box.name} sh -c "{script}" < /dev/null'
    with window(tinybox, "-c", command.replace("$", "\\$"), program="/bin/sh") as it:
        it.wait_for("READY")
        it.resize(51, 133)
        it.wait_for("winch 51 133")
