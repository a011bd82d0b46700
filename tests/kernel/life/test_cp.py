"""`tinybox cp` and `export`: docker-cp(1)'s rules, on boxes running and at rest; no path leads outside the box."""

from __future__ import annotations

import io
import os
import socket
import stat
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import kept, new_name, one_line
from tests.support.tar_contents import stream, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

READY = "echo READY; sleep 1000"


@contextmanager
def box(tinybox: Command, script: str, *options: str, image: str = "busybox", running: bool = True) -> Iterator[str]:
    """Keep a box in which *script* has run, running or at rest."""
    name = new_name()
    if running:
        with kept(tinybox, "--rm", *options, "--name", name, image, "sh", "-c", f"{script}; {READY}"):
            yield name
        return
    done = tinybox("run", "--name", name, *options, image, "sh", "-c", script)
    assert done.returncode == 0, done
    try:
        yield name
    finally:
        assert tinybox("rm", name).returncode == 0


def copied(tinybox: Command, *words: str) -> None:
    """Copy; it must succeed."""
    done = tinybox("cp", *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done


@pytest.fixture
def disk() -> Iterator[Path]:
    """Give a directory with user attributes: /tmp may be a tmpfs, which has them only since Linux 6.6."""
    with tempfile.TemporaryDirectory(prefix="tinybox-test-", dir="/var/tmp") as path:
        yield Path(path)


@pytest.fixture
def source(disk: Path) -> Path:
    """Give a directory with one file of each kind in it."""
    folder = disk / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("content\n")
    os.chown(folder / "a", 5, 6)
    (folder / "a").chmod(0o4750)
    os.link(folder / "a", folder / "hard")
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "fifo", 0o640)
    (folder / "sub" / "b").write_text("b")
    os.utime(folder / "sub" / "b", (1000, 1000))
    os.setxattr(folder / "sub" / "b", "user.note", b"\xff\0\n=")
    return folder


@pytest.mark.parametrize("image", ["busybox", "alpine"])
@pytest.mark.parametrize("running", [True, False], ids=["running", "at rest"])
@pytest.mark.parametrize("users", ["host", "private"])
def test_a_copy_in_and_out_is_unchanged(
    tinybox: Command, disk: Path, source: Path, image: str, running: bool, users: str
) -> None:
    """In and out with -a, owners, modes, times, attributes and links are the same; without -a all belongs to root."""
    with box(tinybox, "true", "--userns", users, image=image, running=running) as name:
        copied(tinybox, "-a", str(source), f"{name}:/tmp")
        copied(tinybox, "-a", f"{name}:/tmp/source", str(disk / "back"))
        copied(tinybox, str(source), f"{name}:/tmp/rooted")
        rooted = told(stream(tinybox, "cp", f"{name}:/tmp/rooted", "-"))
    back = disk / "back"
    for path in ("a", "fifo", "sub", "sub/b"):
        before, after = (source / path).lstat(), (back / path).lstat()
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
        assert abs(after.st_mtime - before.st_mtime) < 1e-6
    assert (back / "a").stat().st_ino == (back / "hard").stat().st_ino
    assert (back / "link").readlink() == Path("/etc/passwd")
    assert os.getxattr(back / "sub" / "b", "user.note") == b"\xff\0\n="
    assert {row[2] for row in rooted.values()} == {(0, 0)}
    assert rooted["rooted/a"][1] == "0o750"  # its present owner did not make it setuid
    assert told(stream_of(source))["source/a"][2] == (5, 6)  # the control


def stream_of(folder: Path) -> bytes:
    """Pack *folder* with the host's own tar."""
    return subprocess.run(["tar", "-C", folder.parent, "-c", folder.name], capture_output=True, check=True).stdout


@pytest.mark.parametrize("running", [True, False], ids=["running", "at rest"])
def test_a_link_in_the_box_never_leads_to_the_host(tinybox: Command, tmp_path: Path, running: bool) -> None:
    """Absolute links, ``..`` and links of links stay in the box: out and in, for the last name and those before."""
    secret = tmp_path / "secret"
    secret.write_text("the host's\n")
    script = (
        f"mkdir -p {tmp_path}; echo 'the box'\"'\"'s' > {secret}; ln -s {secret} /abs; ln -s /abs /twice; "
        f"ln -s ../../../../../../../../../..{secret} /dots; ln -s {tmp_path} /dir; ln -s /proc/1/root /magic"
    )
    with box(tinybox, script, running=running) as name:
        for number, path in enumerate(("/abs", "/twice", "/dots", f"/../../../..{secret}", "/dir/secret", secret)):
            copied(tinybox, "-L", f"{name}:{path}", str(tmp_path / f"out{number}"))
            assert (tmp_path / f"out{number}").read_text() == "the box's\n"
        copied(tinybox, f"{name}:/abs", str(tmp_path / "itself"))
        assert (tmp_path / "itself").readlink() == secret
        (tmp_path / "new").write_text("new\n")
        for target in ("/abs", "/twice", "/dots", "/dir/secret"):
            copied(tinybox, str(tmp_path / "new"), f"{name}:{target}")
        copied(tinybox, str(tmp_path / "new"), f"{name}:/dir")
        assert stream(tinybox, "cp", f"{name}:{tmp_path}", "-").count(b"new\n") == 2
        one_line(tinybox("cp", f"{name}:/magic/etc", str(tmp_path / "no")), 1, "/magic/etc")
    assert secret.read_text() == "the host's\n"
    assert not (tmp_path / "no").exists()


def test_docker_s_rules_for_names(tinybox: Command, tmp_path: Path, source: Path) -> None:
    """A file to a new name, over a file, into a directory; a directory to a new name, into one, its contents only."""
    with box(tinybox, "mkdir /d; echo old > /old; ln -s /nowhere /dangling", running=False) as name:
        one, many = str(source / "sub" / "b"), str(source / "sub")
        for src, dst in (
            (one, "/new"), (one, "/old"), (one, "/d"), (one, "/d/"), (one, "/dangling"), ("/dev/../" + one, "rel"),
            (many, "/d"), (f"{many}/.", "/d/content"), (f"{many}/.", "/d"), (many, "/made"), (many, "/slash/"),
        ):  # fmt: skip
            copied(tinybox, src, f"{name}:{dst}")
        found = set(told(stream(tinybox, "export", name)))
        expected = "new old d/b nowhere rel d/sub/b d/content/b made/b slash/b".split()
        assert set(expected) <= found, set(expected) - found
        for src, dst, said in (
            (one, "/none/", "no such directory"),
            (one, "/none/deep", "no such file or directory"),
            (many, "/old", "a directory cannot be copied there"),
            (one, "/old/", "not a directory"),
            (f"{one}/.", "/d", "not a directory"),
            (str(source / "none"), "/d", "no such file or directory on the host"),
        ):
            one_line(tinybox("cp", src, f"{name}:{dst}"), 1, said)
        one_line(tinybox("cp", f"{name}:/none", str(tmp_path)), 1, "no such file or directory in the container")
        copied(tinybox, f"{name}:/d/.", str(tmp_path / "got"))
        assert (tmp_path / "got" / "content" / "b").read_text() == "b"
        assert tinybox("cp", "-q", f"{name}:/old", str(tmp_path / "got")).stderr == ""


def test_a_directory_and_a_file_never_replace_one_another(tinybox: Command, source: Path) -> None:
    """Docker refuses that below the target, too; the files of the box stay."""
    with box(tinybox, "mkdir -p /t/source/a; mkdir -p /u/source; echo x > /u/source/sub", running=False) as name:
        one_line(tinybox("cp", str(source), f"{name}:/t"), 1, "is a directory there")
        one_line(tinybox("cp", str(source), f"{name}:/u"), 1, "is no directory there")
        found = told(stream(tinybox, "export", name))
    assert (found["t/source/a"][0], found["u/source/sub"][0]) == (tarfile.DIRTYPE, tarfile.REGTYPE)


def test_wrong_arguments(tinybox: Command) -> None:
    """Two boxes, no box, an unknown box, an empty path: one line and status 1."""
    one_line(tinybox("cp", "a:/x", "b:/y"), 1, "between containers")
    one_line(tinybox("cp", "/x", "/y"), 1, "CONTAINER:PATH")
    one_line(tinybox("cp", "none:/x", "/tmp"), 1, "no such container")
    one_line(tinybox("cp", "none:", "/tmp"), 1, "empty")
    one_line(tinybox("export", "none"), 1, "no such container")


def test_archives_on_stdin_and_stdout(tinybox: Command, source: Path, tmp_path: Path) -> None:
    """``-`` unpacks an archive into an existing directory, and packs one whose names begin with the last name."""
    with box(tinybox, "mkdir /d; echo x > /f", running=False) as name:
        packed = subprocess.run(["tar", "-C", source, "-cz", "."], capture_output=True, check=True).stdout
        command = [tinybox.path, "cp", "-", f"{name}:/d"]
        assert subprocess.run(command, env=tinybox.environment, input=packed, check=False).returncode == 0
        assert "d/sub/b" in told(stream(tinybox, "cp", f"{name}:/d", "-"))
        for target in ("/none", "/f"):
            one_line(tinybox("cp", "-", f"{name}:{target}"), 1, "directory")
        hostile = io.BytesIO()
        with tarfile.open(fileobj=hostile, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("../../escaped"))
        settings = {"env": tinybox.environment, "input": hostile.getvalue(), "capture_output": True}
        done = subprocess.run(command, check=False, **settings)  # type: ignore[call-overload]
        assert (done.returncode, b"leads outside" in done.stderr) == (1, True)


def test_files_on_volumes_are_copied_and_kernel_files_are_not(tinybox: Command, tmp_path: Path) -> None:
    """A copy of a whole box has its files and its volumes', running or not; /proc and /sys are empty."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "file").write_text("v")
    for running in (True, False):
        with box(tinybox, "true", "-v", f"{tmp_path}/volume:/v", running=running) as name:
            whole = set(told(stream(tinybox, "cp", f"{name}:/", "-")))
            exported = set(told(stream(tinybox, "export", name)))
        assert "v/file" in whole
        assert "v/file" not in exported
        assert {"v", "proc", "sys", "bin/busybox"} <= exported & whole
        assert not [path for path in whole | exported if path.startswith(("proc/", "sys/"))]


def test_sockets_are_left_out_with_a_warning(tinybox: Command, tmp_path: Path) -> None:
    """No archive holds a socket: it is named, the rest is copied; names that look like whiteouts are plain names."""
    (tmp_path / "s").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s" / "sock"))
    (tmp_path / "s" / ".wh.name").write_text("kept")
    with box(tinybox, "true", running=False) as name:
        done = tinybox("cp", str(tmp_path / "s"), f"{name}:/s")
        assert (done.returncode, "s/sock: left out" in done.stderr) == (0, True)
        copied(tinybox, f"{name}:/s", str(tmp_path / "back"))
    assert sorted(os.listdir(tmp_path / "back")) == [".wh.name"]
    assert (tmp_path / "back" / ".wh.name").read_text() == "kept"


def test_devices_are_neither_copied_nor_replaced(tinybox: Command, tmp_path: Path) -> None:
    """A device as the source is one line on either side; a file does not replace a device."""
    (tmp_path / "x").write_text("x")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "null").write_text("x")
    device, node = tmp_path / "device", tmp_path / "node"
    os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    node.symlink_to(device)
    with box(tinybox, "echo box > /x", running=True) as name:
        for source, target in (
            ("/dev/null", f"{name}:/y"), (f"{name}:/dev/null", str(tmp_path / "y")), (f"{name}:/dev/null", "-"),
            (str(tmp_path / "x"), f"{name}:/dev/null"), (f"{tmp_path}/d/.", f"{name}:/dev"),
            (f"{name}:/x", str(device)), (f"{name}:/x", str(node)),
        ):  # fmt: skip
            one_line(tinybox("cp", source, target), 1, "device")
        copied(tinybox, f"{name}:/x", str(tmp_path / "d" / "null"))  # the control: a file is replaced
        done = tinybox("exec", name, "sh", "-c", "test -c /dev/null && test ! -e /y")
        assert done.returncode == 0
    assert stat.S_ISCHR(device.stat().st_mode)
    assert (tmp_path / "d" / "null").read_text() == "box\n"
    assert not (tmp_path / "y").exists()


def test_a_read_only_box_stays_as_it_is(tinybox: Command, tmp_path: Path) -> None:
    """A read-only root is read-only for cp, too, running or not; a volume in it is not."""
    (tmp_path / "f").write_text("x")
    for running in (True, False):
        with box(tinybox, "true", "--read-only", "-v", f"{tmp_path}:/v", running=running) as name:
            one_line(tinybox("cp", str(tmp_path / "f"), f"{name}:/new"), 1, "Read-only file system")
            copied(tinybox, str(tmp_path / "f"), f"{name}:/v/{running}")
    assert {"True", "False"} <= set(os.listdir(tmp_path))


def test_setuid_programs_of_a_box_are_not_the_host_s(tinybox: Command, tmp_path: Path) -> None:
    """A copy without -a loses the setuid bit that root of the box gave it; with -a it keeps it."""
    with box(tinybox, "echo x > /prog; chmod 6755 /prog", running=False) as name:
        copied(tinybox, f"{name}:/prog", str(tmp_path / "plain"))
        copied(tinybox, "-a", f"{name}:/prog", str(tmp_path / "archived"))
    assert stat.S_IMODE((tmp_path / "plain").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "archived").stat().st_mode) == 0o6755


def test_two_commands_on_a_box_at_rest_take_turns(tinybox: Command, source: Path) -> None:
    """An overlay is never mounted twice: several copies at once wait for each other, and all succeed."""
    with box(tinybox, "true", running=False) as name:
        started = [tinybox.start("cp", str(source), f"{name}:/c{number}") for number in range(4)]
        ended = [(process.communicate(), process.returncode) for process in started]
        assert [status for _, status in ended] == [0] * 4, ended
        assert {f"c{number}/sub/b" for number in range(4)} <= set(told(stream(tinybox, "export", name)))


@pytest.mark.parametrize("verb", ["export", "save"])
def test_outputs_of_export_and_save(tinybox: Command, tmp_path: Path, verb: str) -> None:
    """A device is written to and stays; a link's target is written; after a failure the old file is unchanged."""
    device, folder, link, old = (tmp_path / name for name in ("device", "folder", "link", "old"))
    os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    folder.mkdir()
    link.symlink_to("target")
    old.write_text("old")
    with box(tinybox, "true", running=False) as name:
        thing, status = (name, 1) if verb == "export" else ("busybox", 1)
        for place in (device, link):
            assert tinybox(verb, "-o", str(place), thing).returncode == 0
        one_line(tinybox(verb, "-o", str(folder), thing), status, f"{folder}: Is a directory")
        one_line(tinybox(verb, "-o", f"{tmp_path}/none/x", thing), status, f"{tmp_path}/none/x: cannot be made: No")
        assert tinybox(verb, "-o", str(old), "nobody").returncode == status
    assert device.is_char_device()
    assert (link.is_symlink(), tarfile.is_tarfile(tmp_path / "target")) == (True, True)
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o600
    assert old.read_text() == "old"
    assert len(os.listdir(tmp_path)) == 5


def test_an_export_can_be_imported(tinybox: Command, tmp_path: Path) -> None:
    """An exported box, imported, is the same tree; an export that fails leaves no file."""
    with box(tinybox, "mkdir /x; echo 1 > /x/f; chown 7:8 /x; rm /etc/group", running=False) as name:
        assert tinybox("export", "-o", str(tmp_path / "x.tar"), name).returncode == 0
        one_line(tinybox("export", "-o", str(tmp_path / "y.tar"), "none"), 1, "no such container")
    assert os.listdir(tmp_path) == ["x.tar"]
    assert tinybox("import", str(tmp_path / "x.tar"), "exported").returncode == 0
    try:
        with box(tinybox, "true", image="exported", running=False) as name:
            assert told(stream(tinybox, "export", name)) == told((tmp_path / "x.tar").read_bytes())
    finally:
        assert tinybox("rmi", "exported").returncode == 0
