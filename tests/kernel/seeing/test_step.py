"""`run --step` and `--break-at`: a person stops a container half-way, examines it, and goes on or undoes it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, new_name, one_line, until
from tests.support.detached_boxes import nothing_is_left
from tests.support.screens import PROMPT, Screen, screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

RUN = ("run", "--rm", "--network", "none")
KEYS = "undo everything and leave"
CTRL_C = "\x03"


@contextlib.contextmanager
def stopped(tinybox: Command, *words: str, name: str = "") -> Iterator[Screen]:
    """Run a box on a terminal, up to its first stop."""
    with screen(tinybox, *RUN, "--name", name or new_name(), *words, "busybox", "echo", "it runs", columns=120) as seen:
        seen.shown = seen.wait_for(KEYS)
        yield seen


def pid_in(shown: str) -> int:
    """Return the child's pid, which the first stop after clone3(2) shows."""
    found = re.search(r"nsenter -t (\d+) -a", shown)
    assert found, shown
    return int(found[1])


def test_it_stops_before_the_step_and_goes_on_by_a_key(tinybox: Command) -> None:
    """--break-at pivot: at the stop the box's root is still the host's; c lets the program run."""
    with stopped(tinybox, "--break-at", "pivot") as seen:
        assert "box, pivot:" in seen.shown
        pid = pid_in(seen.shown)
        assert os.stat(f"/proc/{pid}/root/").st_ino == os.stat("/").st_ino
        seen.type("c")
        seen.wait_for("it runs")
        assert seen.status() == 0


def test_each_enter_does_one_step(tinybox: Command) -> None:
    """--step stops before every step, first of all the cgroup; at its second stop one step has been done."""
    tinybox.environment["NO_COLOR"] = "1"
    with stopped(tinybox, "--step") as seen:
        assert "stopped before step 1, host, cgroup:" in seen.shown
        seen.type("\n")
        told = seen.wait_for(KEYS)
        assert re.search(r"1 host cgroup: .*stopped before step 2, host", told, re.DOTALL)
        seen.type("c")
        seen.wait_for("it runs")
        assert seen.status() == 0


def test_the_key_k_goes_on_to_the_next_key_step(tinybox: Command) -> None:
    """From the first step, k passes all steps up to clone; --key-steps stops there without k; q undoes all."""
    tinybox.environment["NO_COLOR"] = "1"
    for option, key in ((), "k"), (("--key-steps",), "\n"):
        with stopped(tinybox, "--step", *option) as seen:
            assert "stopped before step 1, host, cgroup:" in seen.shown
            assert "Without it: No limit could be set" in seen.shown
            seen.type(key)
            told = seen.wait_for(KEYS)
            assert re.findall(r"stopped before step \d+, \w+, ([\w-]+):", told) == ["cgroup", "clone"]
            assert ("open-cgroup: Open" in told) == (not option)  # --key-steps shows only its name, later
            seen.type("q")
            assert seen.status() == 130


@pytest.mark.parametrize(
    ("step", "key"), [("open-cgroup", "q"), ("die-with-parent", "q"), ("pivot_root", "q"), ("program", CTRL_C)]
)
def test_leaving_undoes_everything(tinybox: Command, step: str, key: str) -> None:
    """Q and Ctrl-C, before a step of the parent or the child: status 130, no program, no trace."""
    with stopped(tinybox, "--break-at", step) as seen:
        seen.type(key)
        assert seen.status() == 130
        assert "it runs" not in seen.shown
        assert "everything is undone" in seen.shown
    nothing_is_left(tinybox)


def test_a_terminal_that_is_closed_at_a_stop_undoes_everything(tinybox: Command) -> None:
    """The window is closed while a step waits for a key: tinybox ends as for Ctrl-C, and leaves nothing."""
    with stopped(tinybox, "--break-at", "pivot_root") as seen:
        os.close(seen.slave)
        os.close(seen.master)
        until(lambda: seen.process.poll() is not None)
        assert seen.process.returncode == 130
    nothing_is_left(tinybox)


def test_the_name_of_a_step_is_not_the_manual_page_of_another(tinybox: Command) -> None:
    """--break-at capabilities stops at the step of this name, not at an earlier one that capabilities(7) explains."""
    with stopped(tinybox, "--break-at", "capabilities") as seen:
        assert "box, capabilities:" in seen.shown
        seen.type("c")
        seen.wait_for("it runs")
        assert seen.status() == 0


def test_i_and_enter_inspects_and_does_not_go_on(tinybox: Command) -> None:
    """An Enter that is typed with `i` does not do the step: the next key finds the same stop."""
    with stopped(tinybox, "--step") as seen:
        seen.type("i\n")
        seen.wait_for(KEYS)
        seen.type("q")
        shown = seen.wait_for("undoing everything")
        assert "stopped before step 2" not in shown
        assert seen.status() == 130


def test_i_shows_the_state(tinybox: Command) -> None:
    """At a stop, i prints the namespaces side by side, the capabilities and the tree of mounts."""
    with stopped(tinybox, "--break-at", "pivot") as seen:
        seen.type("i")
        shown = seen.wait_for(KEYS)
        for part in ("its own", "effective", "overlay", "lo             index 1, up, 127.0.0.1"):
            assert part in shown
        seen.type("q")
        assert seen.status() == 130


def test_s_is_a_shell_on_the_host(tinybox: Command) -> None:
    """At a stop, s gives the terminal to a shell with variables for the half-made box; after exit the stop is back."""
    tinybox.environment |= {"SHELL": "/bin/sh", "PS1": PROMPT, "ENV": ""}
    with stopped(tinybox, "--break-at", "pivot") as seen:
        seen.type("s")
        seen.wait_for(PROMPT)
        assert seen.ask("readlink /proc/$TINYBOX_PID/ns/mnt") == os.readlink(
            f"/proc/{pid_in_half_made(tinybox)}/ns/mnt"
        )
        seen.type("exit\n")
        seen.wait_for(KEYS)
        seen.type("c")
        seen.wait_for("it runs")
        assert seen.status() == 0


def pid_in_half_made(tinybox: Command) -> int:
    """Return the pid of the one box in state creating, as `ps` shows it."""
    row = tinybox("ps", "--format", "{{.ID}} {{.Status}}").stdout.split()
    assert row[1:] == ["Creating"], row
    return int(tinybox("inspect", "--format", "{{.State.Pid}}", row[0]).stdout)


@pytest.mark.parametrize("option", [("--step",), ("--break-at", "pivot")])
def test_step_needs_a_terminal(tinybox: Command, option: tuple[str, ...]) -> None:
    """In a session of its own, without a controlling terminal, both are refused in one line."""
    words = [tinybox.path, *RUN, *option, "busybox", "true"]
    done = subprocess.run(words, env=tinybox.environment, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, start_new_session=True, timeout=PATIENCE)  # fmt: skip
    one_line(done, 125, option[0], "no terminal to read keys from")


def test_an_unknown_step_is_named(tinybox: Command) -> None:
    """--break-at nosuch lists the steps, and no container is left."""
    with screen(tinybox, *RUN, "--break-at", "nosuch", "busybox", "true") as seen:
        assert seen.status() == 125
        assert "there is no such step" in seen.shown
        assert "private-mounts" in seen.shown
    nothing_is_left(tinybox)


class Panes:
    """Two panes of tmux(1), one beside the other, each with a shell."""

    def __init__(self, socket: Path, environment: dict[str, str]) -> None:
        self._socket, self._environment = str(socket), environment
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "50", "/bin/sh")
        self.tmux("split-window", "-h", "/bin/sh")

    def tmux(self, *words: str) -> str:
        """Run one command of tmux."""
        command = ["tmux", "-S", self._socket, *words]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=True, timeout=PATIENCE
        )
        return done.stdout

    def type(self, pane: int, text: str) -> None:
        """Type *text* into a pane."""
        self.tmux("send-keys", "-t", f":0.{pane}", "-l", text)

    def shows(self, pane: int, pattern: str) -> re.Match[str]:
        """Wait until a pane shows *pattern*; return the match. Wrapped lines are joined."""
        found: list[re.Match[str]] = []

        def seen() -> bool:
            found.extend(re.finditer(pattern, self.tmux("capture-pane", "-J", "-p", "-t", f":0.{pane}")))
            return bool(found)

        until(seen)
        return found[0]


@pytest.fixture
def panes(tinybox: Command, tmp_path: Path) -> Iterator[Panes]:
    """Give two panes, with tinybox on their path; the server and all its processes end with the test."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed (apt-get install tmux)")
    path = f"{os.path.dirname(tinybox.path)}:{os.environ['PATH']}"
    two = Panes(tmp_path / "tmux", {**tinybox.environment, "PATH": path, "TERM": "xterm", "PS1": "> ", "ENV": ""})
    yield two
    with contextlib.suppress(subprocess.CalledProcessError):  # it ends with its last pane
        two.tmux("kill-server")


def test_the_half_made_box_is_seen_from_another_pane(tinybox: Command, panes: Panes) -> None:
    """--break-at pivot_root in tmux: the other pane finds it by ps, ns, lsns and nsenter; q leaves no trace of it."""
    name = new_name()
    panes.type(0, f"tinybox {' '.join(RUN)} --name {name} --break-at pivot_root busybox echo it runs\n")
    pid = panes.shows(0, r"nsenter -t (\d+) -a")[1]
    inode = os.readlink(f"/proc/{pid}/ns/mnt").partition("[")[2][:-1]
    panes.type(1, f"clear; tinybox ns {name}\n")
    panes.shows(1, rf"mnt +{os.stat('/proc/self/ns/mnt').st_ino} +{inode} +differs")
    panes.type(1, "clear; tinybox ps --format '{{.Names}} {{.Status}}'\n")
    panes.shows(1, rf"{name} Creating")
    panes.type(1, f"clear; lsns -n -o NS,TYPE -p {pid}\n")
    panes.shows(1, rf"{inode} mnt")
    ours = sum("overlay" in line for line in Path("/proc/self/mountinfo").read_text().splitlines())
    panes.type(1, f"clear; nsenter -t {pid} -m -n -u grep -c overlay /proc/{pid}/mountinfo\n")
    panes.shows(1, rf"(?m)^{ours + 1}$")  # those of the host, and the box's root
    panes.type(0, "q")
    panes.shows(0, "everything is undone")
    panes.type(1, "clear; tinybox ps -aq | wc -l\n")
    panes.shows(1, r"(?m)^0$")
    nothing_is_left(tinybox)
