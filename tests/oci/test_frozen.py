"""A control group that is frozen, itself or above, by either version: a container is refused; no command waits."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import no_trace
from tests.support.engine_directories import RUNTIME, remove_groups
from tests.support.slowness import SLOWNESS
from tinybox.isolation.cgroups.hierarchies import hierarchies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.oci_runtimes import Runtime

pytestmark = pytest.mark.root


class Freezer:
    """The freezer of one *version* of control groups on this host; thaw() is also done at the end of a test."""

    def __init__(self, version: int) -> None:
        where = hierarchies()
        root = where.unified if version == 2 else where.v1.get("freezer")
        if root is None:
            pytest.skip(f"this host has no freezer of version {version}")
        self.root = root
        self.file = "cgroup.freeze" if version == 2 else "freezer.state"
        self.words = ("1", "0") if version == 2 else ("FROZEN", "THAWED")
        self.frozen: list[str] = []

    def freeze(self, group: str) -> None:
        """Freeze *group*, which is made if it is missing."""
        os.makedirs(f"{self.root}{group}", exist_ok=True)
        self.frozen.append(group)
        Path(f"{self.root}{group}/{self.file}").write_text(self.words[0])

    def thaw(self) -> None:
        """Thaw what freeze() has frozen."""
        while self.frozen:
            path = Path(f"{self.root}{self.frozen.pop()}/{self.file}")
            if path.exists():
                path.write_text(self.words[1])


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def freezer(request: pytest.FixtureRequest) -> Iterator[Freezer]:
    """Give the freezer of each version."""
    freezer = Freezer(request.param)
    yield freezer
    freezer.thaw()


def tasks(room: str) -> list[str]:
    """Return the processes in the groups of *room*, in every hierarchy."""
    found = [Path(root + room).rglob("cgroup.procs") for root in hierarchies().roots()]
    return [pid for paths in found for path in paths for pid in path.read_text().split()]


@pytest.mark.parametrize("above", [True, False], ids=["above", "itself"])
def test_a_frozen_group_is_an_error(room: str, runtime: Runtime, freezer: Freezer, above: bool) -> None:
    """Create and run fail before anything is made, and leave the group frozen; thawed, it is accepted."""
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    freezer.freeze(room if above else f"{room}/box")
    before = sorted(Path(freezer.root + room).iterdir())
    for words in (["create"], ["run"], ["run", "--detach"]):
        done = runtime(*words, "--bundle", str(runtime.bundle), "box")
        assert (done.returncode, len(done.stderr.splitlines())) == (125, 1), done
        assert "it is frozen" in done.stderr
        assert (tasks(room), runtime("list", "--quiet").stdout) == ([], "")
        assert sorted(Path(freezer.root + room).iterdir()) == before
    assert Path(f"{freezer.root}{freezer.frozen[0]}/{freezer.file}").read_text().strip() == freezer.words[0]
    freezer.thaw()
    assert runtime.runs("box")["status"] == "running"


def test_a_box_below_a_frozen_group_is_an_error(runtime: Runtime, freezer: Freezer) -> None:
    """Also where tinybox chooses the group: tinybox's own group is below a frozen one."""
    if freezer.root not in (hierarchies().root("freezer"), hierarchies().root("pids")):
        pytest.skip("tinybox's own groups are not in this hierarchy")
    group = f"/{no_trace.room()}/frozen"
    runtime.change(lambda config: config["linux"].update(cgroupsPath="frozen/box"))
    freezer.freeze(group)
    done = runtime.create("box")
    assert (done.returncode, "it is frozen" in done.stderr) == (125, True), done
    freezer.thaw()
    remove_groups(group)
    with contextlib.suppress(OSError):  # the room of other boxes is not empty
        os.rmdir(freezer.root + os.path.dirname(group))


@pytest.mark.parametrize("above", [True, False], ids=["above", "itself"])
def test_a_group_that_is_frozen_during_a_creation(
    room: str, runtime: Runtime, freezer: Freezer, above: bool, tmp_path: Path
) -> None:
    """The creation fails, and nothing of it stays, not even its hook, which no SIGKILL reaches in version 1."""
    begun = tmp_path / "begun"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"echo >{begun}; exec sleep 60"]}
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    runtime.change(lambda config: config.update(hooks={"createContainer": [hook]}))
    words = [RUNTIME, "--root", str(runtime.root), "create", "--bundle", str(runtime.bundle), "box"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as creation:
        while not begun.exists():
            assert creation.poll() is None
        freezer.freeze(room if above else f"{room}/box")
        _, said = creation.communicate(timeout=60 * SLOWNESS)
    assert (creation.returncode, "it is frozen" in said) == (125, True), said
    assert (tasks(room), runtime("list", "--quiet").stdout) == ([], "")


def test_a_trace_is_not_written_into_the_terminal_that_nobody_reads(runtime: Runtime) -> None:
    """--debug without --log, with a terminal: the trace goes to the caller's stderr, and the command ends."""
    runtime.change(lambda config: config["process"].update(terminal=True))
    runtime.program("echo", "hello")
    done = runtime("--debug", "run", "--bundle", str(runtime.bundle), "box")
    assert (done.returncode, done.stdout.split()) == (0, ["hello"])
    assert "begin:program" in done.stderr
    assert len(done.stderr) > 8192  # more than a terminal holds until it is read


def test_a_pipe_in_a_namespace_s_place_is_an_error(runtime: Runtime, tmp_path: Path) -> None:
    """Its open(2) would wait for a writer for ever."""
    os.mkfifo(tmp_path / "pipe")
    kinds = [{"type": "mount"}, {"type": "uts"}, {"type": "network", "path": str(tmp_path / "pipe")}]
    runtime.change(lambda config: config["linux"].update(namespaces=kinds))
    assert "is no network namespace" in runtime.create("box").stderr
