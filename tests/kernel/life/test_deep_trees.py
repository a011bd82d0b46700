"""6,000 nested directories, made in a box or brought by an archive: every command works, or reports why not."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support import image_archives as tar
from tests.support import no_trace
from tests.support.boxes import new_name
from tests.support.deep_trees import DEEP, DIG, depth, dig, few_descriptors, removed
from tests.support.detached_boxes import FOREVER, kill_and_wait, life, nothing_is_left, stdout_of
from tests.support.slowness import SLOWNESS
from tinybox.isolation.cgroups import files
from tinybox.isolation.cgroups.hierarchies import hierarchies

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

TOO_LONG = "is longer than 4095 bytes"
DIGGING = DIG.replace("$TOP", "/w")
LINKS = 3  # of 2,000 directories each: an archive can bring them with names that are short enough
PATIENCE = 300 * SLOWNESS


@pytest.fixture(scope="module")
def own_store() -> Iterator[Command]:
    """Make a store of its own, with busybox: its deep trees do not slow down other tests."""
    for folder in removed(Path(tempfile.mkdtemp(prefix="tinybox-test-", dir="/var/tmp"))):
        command = Command(folder)
        assert command("pull", "busybox").returncode == 0
        with few_descriptors():
            yield command


@pytest.fixture
def tinybox(own_store: Command) -> Iterator[Command]:
    """Give the command with that store, which must be as empty after the test as before it."""
    yield own_store
    nothing_is_left(own_store)
    assert os.listdir(f"{own_store.root}/tmp") == []
    assert len(os.listdir(f"{own_store.root}/layers")) == 1


@contextlib.contextmanager
def stubborn(path: Path) -> Iterator[None]:
    """Make the file *path* immutable, as a box with CAP_LINUX_IMMUTABLE can; see chattr(1)."""
    path.write_text("stays")
    if subprocess.run(["chattr", "+i", path], check=False, capture_output=True).returncode != 0:
        pytest.skip("this file system has no immutable files")
    try:
        yield
    finally:
        subprocess.run(["find", path.parents[3], "-name", path.name, "-exec", "chattr", "-i", "{}", "+"], check=True)


def refusal(tinybox: Command, *words: str) -> str:
    """Return the one line by which a command refuses a tree that is too deep for it."""
    command = [tinybox.path, *words]
    done = subprocess.run(command, env=tinybox.environment, capture_output=True, check=False, timeout=PATIENCE)
    line = done.stderr.decode()
    assert (done.returncode in {1, 125}, line.count("\n"), TOO_LONG in line) == (True, 1, True), line
    return line


def test_the_box_is_really_that_deep(tinybox: Command) -> None:
    """The control: a shell in a box makes 6,000 nested directories, and `rm` removes them."""
    name = new_name()
    stdout_of(tinybox, "run", "--name", name, "busybox", "sh", "-c", DIGGING)
    upper = Path(tinybox.root, "containers", os.readlink(f"{tinybox.root}/container-names/{name}"), "upper")
    assert depth(upper / "w") == DEEP
    stdout_of(tinybox, "rm", name)


def test_every_command_survives_a_deep_box_at_rest(tinybox: Command, tmp_path: Path) -> None:
    """Each does its work; one that needs a path for every file reports why it cannot, and leaves nothing half-made."""
    name, archive = new_name(), tmp_path / "box.tar"
    stdout_of(tinybox, "run", "--name", name, "busybox", "sh", "-c", DIGGING)
    assert name in stdout_of(tinybox, "ps", "-a")
    assert stdout_of(tinybox, "run", "--rm", "busybox", "echo", "on") == "on\n"
    assert tinybox("doctor", "--fix").returncode == 0
    refusal(tinybox, "diff", name)
    refusal(tinybox, "export", name)
    refusal(tinybox, "export", "-o", str(archive), name)
    assert list(tmp_path.iterdir()) == []
    refusal(tinybox, "commit", name, "deep")
    assert stdout_of(tinybox, "images", "-q").count("\n") == 1
    for target in removed(tmp_path / "copy"):
        refusal(tinybox, "cp", f"{name}:/w", str(target))
    stdout_of(tinybox, "start", name)  # its mkdir fails: the test only needs that it begins and ends
    assert stdout_of(tinybox, "wait", name) == "1\n"
    assert name in stdout_of(tinybox, "ps", "-a")
    assert os.readlink(f"{tinybox.root}/container-names/{name}") in stdout_of(tinybox, "prune", "-f")


def test_every_command_survives_a_deep_running_box(tinybox: Command, tmp_path: Path) -> None:
    """The same while it runs: it is listed, entered, measured, copied, stopped and removed."""
    with life(tinybox, "busybox", *FOREVER) as box:
        box.inside(DIGGING)
        assert box.name in stdout_of(tinybox, "ps")
        assert box.inside("echo in") == "in"
        assert "sh" in stdout_of(tinybox, "top", box.name)
        for words in (("diff", box.name), ("export", box.name), ("commit", box.name)):
            refusal(tinybox, *words)
        assert box.shown("{{.State.Paused}}") == "false"  # a box frozen by `commit` goes on
        for target in removed(tmp_path / "copy"):
            refusal(tinybox, "cp", f"{box.name}:/w", str(target))
        assert tinybox("cp", f"{box.name}:/etc/passwd", str(tmp_path)).returncode == 0
        stdout_of(tinybox, "stop", box.name)
        assert "Exited (7)" in stdout_of(tinybox, "ps", "-a")
        stdout_of(tinybox, "rm", box.name)


def test_a_deep_directory_of_the_host_is_not_silently_cut(tinybox: Command, tmp_path: Path) -> None:
    """`cp` into a box reports that a path is too long, and not that its own archive is damaged."""
    (tmp_path / "top").mkdir()
    dig(tmp_path / "top")
    with life(tinybox, "busybox", *FOREVER) as box:
        assert "top/d/d" in refusal(tinybox, "cp", str(tmp_path / "top"), f"{box.name}:/")
    subprocess.run(["rm", "-rf", tmp_path / "top"], check=True)


@pytest.mark.parametrize("words", [("ps",), ("run", "--rm", "busybox", "true"), ("doctor", "--fix"), ("prune", "-f")])
def test_a_deep_box_whose_owner_was_killed_is_swept(tinybox: Command, words: tuple[str, ...]) -> None:
    """Any next command does its own work and removes the 6,000 directories."""
    with life(tinybox, "--rm", "busybox", *FOREVER) as box:
        kill_and_wait(box.monitor, box.pid)
        dig(Path(tinybox.root, "containers", box.id, "upper"))
        done = tinybox(*words, timeout=PATIENCE)
        assert (done.returncode, done.stderr) == (0, ""), done
        assert not Path(tinybox.root, "containers", box.id).exists()
        assert not Path(tinybox.root, "run", box.id).exists()


@pytest.mark.parametrize("words", [("ps",), ("run", "--rm", "busybox", "true"), ("doctor", "--fix")])
def test_one_bad_box_does_not_stop_the_sweep_of_others(tinybox: Command, words: tuple[str, ...]) -> None:
    """A dead owner's box that cannot be removed is named in one line; the command works, and the others are swept."""
    with life(tinybox, "--rm", "busybox", *FOREVER) as bad, life(tinybox, "--rm", "busybox", *FOREVER) as good:
        folder = Path(tinybox.root, "containers", bad.id)
        with stubborn(folder / "upper/stubborn"):
            kill_and_wait(bad.monitor, bad.pid, good.monitor, good.pid)
            done = tinybox(*words)
            assert done.returncode == 0, done
            line = f"tinybox: clean-up of container {bad.id[:12]}: stubborn: Operation not permitted\n"
            assert done.stderr == line
            assert not Path(tinybox.root, "containers", good.id).exists()
            assert (folder / "upper/stubborn").exists()
        assert stdout_of(tinybox, "ps", "-aq") == ""  # now it can be removed, and is
        assert not folder.exists()


def test_one_bad_box_does_not_stop_prune(tinybox: Command) -> None:
    """`prune` names the box that stays, and removes the rest."""
    bad, good = new_name(), new_name()
    for name in (bad, good):
        stdout_of(tinybox, "run", "--name", name, "busybox", "true")
    ids = {name: os.readlink(f"{tinybox.root}/container-names/{name}") for name in (bad, good)}
    with stubborn(Path(tinybox.root, "containers", ids[bad], "upper/stubborn")):
        done = tinybox("prune", "-f")
        assert done.returncode == 0
        assert done.stderr == f"tinybox: container {ids[bad][:12]}: stubborn: Operation not permitted\n"
        assert (ids[good] in done.stdout, ids[bad] in done.stdout) == (True, False)
    stdout_of(tinybox, "prune", "-f")


def test_one_bad_image_does_not_stop_others(tinybox: Command, tmp_path: Path) -> None:
    """A layer that cannot be removed is named; other images can be added and removed; it is removed when it can be."""
    for name in ("bad", "good"):
        (tmp_path / name).write_bytes(tar.archive([tar.directory("etc"), tar.regular(f"etc/{name}", name.encode())]))
    before = set(os.listdir(f"{tinybox.root}/layers"))
    stdout_of(tinybox, "import", str(tmp_path / "bad"), "bad")
    (layer,) = set(os.listdir(f"{tinybox.root}/layers")) - before
    with stubborn(Path(tinybox.root, "layers", layer, "fs/stubborn")):
        done = tinybox("rmi", "bad")
        assert done.returncode == 0
        assert done.stderr == f"tinybox: layer {layer}: stubborn: Operation not permitted\n"
        assert tinybox("import", str(tmp_path / "good"), "good").returncode == 0
        assert tinybox("rmi", "good").returncode == 0
        assert set(os.listdir(f"{tinybox.root}/layers")) == before
    assert tinybox("prune", "-f").stderr == ""


def deep_image() -> bytes:
    """Build an archive of DEEP nested directories, with links that lead further down than a name can."""
    chain = "d/" * (DEEP // LINKS)
    found = [tar.regular(f"{chain}end")]
    for number in range(1, LINKS):
        found.append(tar.symlink(f"way{number}", (f"way{number - 1}/" if number > 1 else "") + chain))
        found.append(tar.regular(f"way{number}/{chain}end"))
    return tar.archive([tar.directory("volume"), *found])


def test_an_image_so_deep_can_be_imported_and_removed(tinybox: Command, tmp_path: Path) -> None:
    """It is imported whole, a box of it runs and is compared, `save` reports why it fails, and `rmi` leaves nothing."""
    (tmp_path / "deep.tar").write_bytes(deep_image())
    done = tinybox("import", str(tmp_path / "deep.tar"), "deep", timeout=PATIENCE)
    assert done.returncode == 0, done
    (layer,) = (path for path in Path(tinybox.root, "layers").iterdir() if (path / "fs/way1").is_symlink())
    assert depth(layer / "fs") == DEEP
    assert stdout_of(tinybox, "create", "--name", "deep-box", "deep", "/none")
    assert stdout_of(tinybox, "diff", "deep-box") == ""
    refusal(tinybox, "export", "deep-box")
    refusal(tinybox, "save", "-o", str(tmp_path / "saved.tar"), "deep")
    assert not (tmp_path / "saved.tar").exists()
    stdout_of(tinybox, "rm", "deep-box")
    stdout_of(tinybox, "rmi", "deep")


def test_an_archive_that_once_stopped_every_command(tinybox: Command, tmp_path: Path) -> None:
    """The archive of a bug report, 1,100 directories in a few hundred bytes, is imported, and can be removed."""
    content = tar.archive([tar.regular("d/" * 1100 + "end")])
    (tmp_path / "deep.tar").write_bytes(content)
    assert tinybox("import", str(tmp_path / "deep.tar"), "deep").returncode == 0
    assert stdout_of(tinybox, "rmi", "deep").startswith("Untagged: deep:latest\n")


def test_an_archive_with_such_long_names_is_refused(tinybox: Command, tmp_path: Path) -> None:
    """A name of 6,000 directories is refused in one line, and nothing of the archive is left."""
    (tmp_path / "deep.tar").write_bytes(tar.archive([tar.regular("good"), tar.regular("d/" * DEEP + "end")]))
    refusal(tinybox, "import", str(tmp_path / "deep.tar"), "deep")


def test_a_volume_so_deep_is_measured_and_removed(tinybox: Command) -> None:
    """A volume 6,000 deep is listed, inspected and removed; a nameless one is removed with its box."""
    named = new_name()
    with life(tinybox, "-v", f"{named}:/named", "-v", "/nameless", "busybox", *FOREVER) as box:
        for place in ("named", "nameless"):
            dig(Path(f"/proc/{box.pid}/root/{place}"))
        stdout_of(tinybox, "volume", "inspect", named)
        stdout_of(tinybox, "rm", "-fv", box.name)
    assert stdout_of(tinybox, "volume", "ls", "-q") == f"{named}\n"
    assert depth(Path(tinybox.root, "volumes", named, "_data")) == DEEP
    stdout_of(tinybox, "volume", "rm", named)
    assert os.listdir(f"{tinybox.root}/volumes") == []


def test_a_volume_is_not_filled_from_a_directory_that_is_too_deep(tinybox: Command, tmp_path: Path) -> None:
    """The box is refused in one line, and nothing of it is left; the control: its shallow directory fills a volume."""
    (tmp_path / "deep.tar").write_bytes(deep_image())
    assert tinybox("import", str(tmp_path / "deep.tar"), "deep", timeout=PATIENCE).returncode == 0
    refusal(tinybox, "create", "-v", f"{new_name()}:/d", "deep", "/none")
    assert stdout_of(tinybox, "ps", "-aq") == ""
    stdout_of(tinybox, "rm", stdout_of(tinybox, "create", "-v", f"{new_name()}:/volume", "deep", "/none").strip())
    assert tinybox("prune", "-af", "--volumes").returncode == 0
    assert tinybox("pull", "busybox").returncode == 0


def test_control_groups_so_deep_are_read_and_removed() -> None:
    """A box with writable control groups can nest them: 1,200 of them are found and removed, the lowest first."""
    root = hierarchies().roots()[0]
    top = Path(root, f"{no_trace.room()}-test-deep")
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        assert files.processes(str(top)) == []
        assert files.remove_tree(str(top), 0)  # in one go: it waits for no process
        assert not top.exists()
    finally:
        subprocess.run(["find", top, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"], check=False, stderr=-3)
