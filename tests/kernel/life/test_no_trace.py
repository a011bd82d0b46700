"""The fixture that finds traces works: each kind of thing that a container could leave is really left, and found."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import no_trace

if TYPE_CHECKING:
    from collections.abc import Callable

    Undo = Callable[[], object]

pytestmark = pytest.mark.root


def run(*words: str) -> None:
    """Run a tool of the host."""
    subprocess.run(words, check=True, capture_output=True)


def mount(folder: Path) -> Undo:
    """Leave a mount."""
    run("mount", "-t", "tmpfs", "left", str(folder))
    return lambda: run("umount", str(folder))


def cgroup(_: Path) -> Undo:
    """Leave a control group."""
    lines = [line.split(" ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    group = Path(
        next(line[4] for line in lines if line[line.index("-") + 1] == "cgroup2"), f"{no_trace.room()}-test-left"
    )
    group.mkdir()
    return group.rmdir


def link(_: Path) -> Undo:
    """Leave a network link."""
    run("ip", "link", "add", "tinyboxleft", "type", "bridge")
    return lambda: run("ip", "link", "delete", "tinyboxleft")


def namespace(_: Path) -> Undo:
    """Leave the name of a network namespace, as ip-netns(8) keeps it; the tool itself would leave a mount, too."""
    folder = Path("/run/netns")
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    name = folder / "tinyboxleft"
    name.touch()

    def undo() -> None:
        name.unlink()
        if made:
            folder.rmdir()

    return undo


def process(_: Path) -> Undo:
    """Leave an orphan process."""
    command = ["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"]
    pid = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return lambda: os.kill(pid, signal.SIGKILL)


def descriptor(_: Path) -> Undo:
    """Leave an open file."""
    fd = os.open("/dev/null", os.O_RDONLY)
    return lambda: os.close(fd)


def state(folder: Path) -> Undo:
    """Leave the state directory of a container."""
    no_trace.STATE.append(str(folder))
    left = folder / "left"
    left.mkdir()

    def undo() -> None:
        left.rmdir()
        no_trace.STATE.remove(str(folder))

    return undo


@pytest.mark.parametrize(
    ("leave", "kind"),
    [
        (mount, "new mount"),
        (cgroup, "new cgroup"),
        (link, "new network link"),
        (namespace, "new network namespace"),
        (process, "new process"),
        (descriptor, "new open file"),
        (state, "new state"),
    ],
)
def test_a_trace_is_found(leave: Callable[[Path], Undo], kind: str, tmp_path: Path) -> None:
    """Each kind of trace fails the test, with its name in the message; once it is gone, the check passes again."""
    before = no_trace.snapshot()
    undo = leave(tmp_path)
    try:
        with pytest.raises(AssertionError, match=kind):
            no_trace.settle(before, patience=0)
    finally:
        undo()
    no_trace.settle(before)


def test_the_groups_of_another_run_are_ignored() -> None:
    """A group whose name begins like this run's belongs to another run; one that tests make beside it does not."""
    room = no_trace.room()
    assert [no_trace.is_ours(f"{room}{more}") for more in ("", "-test-1", "store", "-store")] == [
        True,
        True,
        False,
        False,
    ]


def test_a_loss_is_found(tmp_path: Path) -> None:
    """A missing mount of the host after a test is a trace, too."""
    undo = mount(tmp_path)
    before = no_trace.snapshot()
    undo()
    with pytest.raises(AssertionError, match="lost mount"):
        no_trace.settle(before, patience=0)


def test_a_rule_is_found() -> None:
    """A new table in the firewall is a trace."""
    before = no_trace.ruleset()
    try:
        run("nft", "add", "table", "ip", "tinyboxleft")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no nft here: {error}")
    after = no_trace.ruleset()
    run("nft", "delete", "table", "ip", "tinyboxleft")
    assert "new nft rule: table ip tinyboxleft {" in no_trace.difference(before, after)
