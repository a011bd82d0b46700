"""What `checkpoint` and `start --checkpoint` refuse, in one line, before anything is changed; criu need not work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.boxes import one_line
from tests.support.checkpoints import OLD, checkpoints_of, stand_in
from tests.support.detached_boxes import life, stdout_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.detached_boxes import Life

pytestmark = pytest.mark.root
SLEEP = ("busybox", "sleep", "1000")
NOTES = '{"version": 1, "mounts": [], "files": {}, "streams": [], "network": "", "addresses": {}}'
VERSION = "os.read(line, 9999); os.write(line, b'\\x08\\x0a\\x10\\x01\\x52\\x04\\x08\\x04\\x10\\x00')"  # 4.0


def with_path(tinybox: Command, path: str) -> Command:
    """Return the command with another PATH."""
    other = Command(tinybox.root)
    other.environment = {**tinybox.environment, "PATH": path}
    return other


def goes_on(it: Life, pid: int) -> None:
    """Assert that the box runs as before, and that nothing of a checkpoint is left."""
    assert (it.state["status"], it.pid) == ("running", pid)
    assert checkpoints_of(it.tinybox, it.name) == []
    assert it.inside("echo alive") == "alive"


def test_criu_is_missing(tinybox: Command) -> None:
    """One line names criu and the package that has it, and the box goes on."""
    with life(tinybox, *SLEEP) as it:
        done = with_path(tinybox, "/nowhere")("checkpoint", "create", it.name, "cp1")
        one_line(done, 1, "criu: it is not installed", "apt-get install criu")
        goes_on(it, it.pid)


def test_criu_is_too_old(tinybox: Command, tmp_path: Path) -> None:
    """One line has its version and the one that is needed."""
    path = stand_in(tmp_path / "bin", f"os.read(line, 9999); os.write(line, {OLD!r})")
    with life(tinybox, *SLEEP) as it:
        done = with_path(tinybox, path)("checkpoint", "create", it.name, "cp1")
        one_line(done, 1, "criu: version 3.1 is too old", "3.16")
        goes_on(it, it.pid)


@pytest.mark.parametrize("last", ["", "os.kill(os.getpid(), 9)", "os.read(line, 9999); os.write(line, b'\\xff' * 99)"])
def test_criu_fails(tinybox: Command, tmp_path: Path, last: str) -> None:
    """An error of criu is quoted in one line, without control characters, whatever criu does then; the box goes on."""
    says = "sys.stderr.write('Error (criu/x.c:9): this kernel lacks \\x1b]0;x\\x07 it\\n'); sys.stderr.flush()"
    marks = tmp_path / "asked"  # the first request is for the version
    begin = f"first = not os.path.exists({str(marks)!r}); open({str(marks)!r}, 'w').close()"
    path = stand_in(
        tmp_path / "bin", begin, "if first:", f"    {VERSION}", "else:", f"    {says}", f"    {last or 'pass'}"
    )
    with life(tinybox, *SLEEP) as it:
        done = with_path(tinybox, path)("checkpoint", "create", it.name, "cp1")
        parts = ("criu: ", "understood") if "write" in last else ("this kernel lacks ?]0;x? it [criu/x.c:9]",)
        one_line(done, 1, *parts, "the container goes on")
        goes_on(it, it.pid)


def test_a_box_that_cannot_be_kept_is_refused(tinybox: Command) -> None:
    """A terminal with tinybox's init, a user namespace and the host's processes are named, and the box goes on."""
    for options, part in (("-t", "terminal"), ("--userns=private", "user namespace"), ("--pid=host", "pid namespace")):
        with life(tinybox, options, *SLEEP) as it:
            one_line(tinybox("checkpoint", "create", it.name, "cp1"), 1, part)
            assert it.state["status"] == "running"


def test_states_and_names(tinybox: Command) -> None:
    """A box at rest or paused, a bad name, and a checkpoint that does not exist are refused as by docker."""
    with life(tinybox, *SLEEP) as it, life(tinybox, *SLEEP, verb="create") as resting:
        one_line(tinybox("checkpoint", "create", resting.name, "cp1"), 1, resting.name, "is not running")
        one_line(tinybox("checkpoint", "create", it.name, "../x"), 1, "Invalid checkpoint ID (../x)")
        for words in (("checkpoint", "rm", it.name, "nix"), ("start", "--checkpoint", "nix", resting.name)):
            one_line(tinybox(*words), 1, "checkpoint nix does not exist")
        one_line(tinybox("start", "-a", "--checkpoint", "nix", resting.name), 1, "checkpoint nix does not exist")
        one_line(tinybox("start", "--checkpoint", "nix", it.name), 1, "is running")
        one_line(tinybox("start", "--checkpoint", "x", it.name, resting.name), 1, "cannot restore multiple containers")
        stdout_of(tinybox, "pause", it.name)
        done = tinybox("checkpoint", "create", it.name, "cp1")
        assert done.returncode == 1
        assert "is paused" in done.stderr or "criu" in done.stderr
        stdout_of(tinybox, "unpause", it.name)
        goes_on(it, it.pid)


def test_a_checkpoint_is_checked_before_anything_is_made(tinybox: Command) -> None:
    """Damaged notes, a directory of others and too much memory are refused, and the box stays at rest."""
    with life(tinybox, "-m", "8m", *SLEEP, verb="create") as it:
        folder = it.root / "containers" / it.id / "checkpoints/cp1"
        folder.mkdir(parents=True)
        start = ("start", "--checkpoint", "cp1", it.name)
        one_line(tinybox(*start), 1, "does not exist")  # without inventory.img it is half-made
        (folder / "inventory.img").touch()
        one_line(tinybox(*start), 1, "tinybox.json", "there is none")
        (folder / "tinybox.json").write_text(NOTES.replace("[]", "5"))
        one_line(tinybox(*start), 1, "tinybox.json", "mounts is no list")
        (folder / "tinybox.json").write_text(NOTES)
        with (folder / "pages-1.img").open("wb") as pages:
            pages.truncate(9 << 20)
        one_line(tinybox(*start), 1, "needs 9 MiB of memory", "8 MiB")
        folder.chmod(0o777)
        one_line(tinybox(*start), 1, "can be written by everyone")
        assert it.rests()
        assert it.state["status"] == "new"


def test_the_container_s_end_is_the_checkpoints_end(tinybox: Command) -> None:
    """`checkpoint rm` removes a checkpoint, and `rm` removes those that are left."""
    with life(tinybox, *SLEEP, verb="create") as it:
        folder = it.root / "containers" / it.id / "checkpoints"
        for name in ("cp1", "cp2"):
            (folder / name).mkdir(parents=True)
            (folder / name / "inventory.img").touch()
        assert checkpoints_of(tinybox, it.name) == ["cp1", "cp2"]
        assert stdout_of(tinybox, "checkpoint", "rm", it.name, "cp1") == ""
        assert checkpoints_of(tinybox, it.name) == ["cp2"]
    assert not folder.exists()
