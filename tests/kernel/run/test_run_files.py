"""Files of the host in a box: binds, volumes and tmpfs; and the paths that the box may not write."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import facts, new_name, one_line, output, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

MIB = 1 << 20


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Make a directory on the host with one file in it."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "hello").write_text("from the host\n")
    return folder


@pytest.fixture
def mounted(shared: Path) -> Iterator[Path]:
    """Mount a tmpfs below the shared directory."""
    (shared / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "test", shared / "below"], check=True)
    (shared / "below" / "deep").write_text("from the tmpfs\n")
    yield shared
    subprocess.run(["umount", shared / "below"], check=True)


@pytest.mark.parametrize("form", ["-v {source}:/data", "--mount type=bind,source={source},target=/data"])
def test_a_directory_of_the_host_is_shared_both_ways(tinybox: Command, shared: Path, form: str) -> None:
    """A file of the host is read inside, and a file written inside is on the host; other directories do not change."""
    words = form.format(source=shared).split()
    assert facts(tinybox, *words, read="cat /data/hello", write="echo inside > /data/new") == {
        "read": "from the host", "write": "",
    }  # fmt: skip
    assert (shared / "new").read_text() == "inside\n"
    assert "No such file" in facts(tinybox, read="cat /data/hello")["read"]


@pytest.mark.parametrize(
    "form",
    [
        "-v {source}:/data:ro",
        "--mount type=bind,src={source},dst=/data,readonly",
        "--mount type=bind,src={source},dst=/data,ro=true",
    ],
)
def test_a_read_only_bind_and_mounts_below_it_cannot_be_written(tinybox: Command, mounted: Path, form: str) -> None:
    """`ro` applies to the directory and to each mount below it; the same without `ro` can be written."""
    tries = {
        "read": "cat /data/hello /data/below/deep",
        "write": "touch /data/new",
        "deep": "touch /data/below/new",
        "remount": "mount -o remount,bind,rw /data; touch /data/new",
    }
    shown = facts(tinybox, *form.format(source=mounted).split(), **tries)
    assert shown["read"].splitlines() == ["from the host", "from the tmpfs"]
    for name in ("write", "deep", "remount"):
        assert "Read-only file system" in shown[name], name
    assert sorted(os.listdir(mounted)) == ["below", "hello"]
    shown = facts(tinybox, "-v", f"{mounted}:/data", **{name: tries[name] for name in ("write", "deep")})
    assert shown == {"write": "", "deep": ""}
    assert (mounted / "below" / "new").exists()


def test_a_volume_keeps_the_flags_of_its_source(tinybox: Command, shared: Path) -> None:
    """Whether or not -v says ro or rw: nosuid and nodev of the host's mount stay, and a read-only one stays that."""
    (shared / "flagged").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,nosuid,nodev", "test", shared / "flagged"], check=True)
    try:
        for mode in ("", ":ro", ":rw"):
            words = ("-v", f"{shared}/flagged:/data{mode}", "busybox", "grep", " /data ", "/proc/mounts")
            assert output(tinybox, *words).split()[3].startswith("ro,nosuid,nodev,"), mode
    finally:
        subprocess.run(["umount", shared / "flagged"], check=True)


def test_one_file_can_be_bound(tinybox: Command, shared: Path) -> None:
    """A file of the host is mounted over one of the image, and at a path that the image does not have."""
    file = shared / "hello"
    words = ("-v", f"{file}:/etc/passwd:ro", "-v", f"{file}:/new/place/hello")
    shown = facts(tinybox, *words, a="cat /etc/passwd", b="cat /new/place/hello", c="echo 2 >> /new/place/hello")
    assert shown == {"a": "from the host", "b": "from the host", "c": ""}
    assert file.read_text() == "from the host\n2\n"


def test_mounts_inside_do_not_reach_the_host(tinybox: Command, shared: Path) -> None:
    """A privileged box mounts below the shared directory: the host does not see it, and keeps all of its own mounts."""
    script = "mkdir /data/m && mount -t tmpfs x /data/m && touch /data/m/inside && umount /proc/sys 2>/dev/null; true"
    output(tinybox, "--privileged", "-v", f"{shared}:/data", "busybox", "sh", "-c", script)
    assert os.listdir(shared / "m") == []
    assert str(shared) not in Path("/proc/self/mountinfo").read_text()


def test_a_named_volume_outlives_its_boxes(tinybox: Command) -> None:
    """It is made at its first use, found again at its second, and read-only if requested."""
    name = new_name()
    try:
        output(tinybox, "-v", f"{name}:/data", "busybox", "sh", "-c", "echo kept > /data/file")
        words = ("--mount", f"type=volume,source={name},target=/d")
        assert output(tinybox, *words, "busybox", "cat", "/d/file") == "kept\n"
        shown = facts(tinybox, "-v", f"{name}:/data:ro", read="cat /data/file", write="touch /data/x")
        assert shown["read"] == "kept"
        assert "Read-only file system" in shown["write"]
        assert output(tinybox, "-v", f"{new_name()}:/data", "busybox", "ls", "/data") == ""
    finally:
        for folder in Path(tinybox.root, "volumes").glob(f"{name.rpartition('-')[0]}-*"):
            subprocess.run(["rm", "-r", folder], check=True)


def test_rm_removes_nameless_volumes(tinybox: Command) -> None:
    """`-v /data` is a new volume for this box alone: --rm removes it with the box, as in docker."""
    volumes = Path(tinybox.root, "volumes")
    before = set(volumes.iterdir()) if volumes.exists() else set()
    assert output(tinybox, "-v", "/data", "busybox", "sh", "-c", "touch /data/x; ls /data") == "x\n"
    left = set(volumes.iterdir()) - before if volumes.exists() else set()
    subprocess.run(["rm", "-rf", *left], check=True)
    assert left == set()


def test_file_systems_in_memory(tinybox: Command) -> None:
    """--tmpfs and --mount type=tmpfs: empty, with the requested size and mode, and docker's flags."""
    look = {
        "kind": "grep ' /t ' /proc/mounts", "mode": "stat -c %a /t",
        "fill": "head -c 2m /dev/zero > /t/x; wc -c < /t/x", "exec": "cp /bin/busybox /t/true 2>/dev/null; /t/true",
    }  # fmt: skip
    shown = facts(tinybox, "--tmpfs", "/t:size=1m,mode=700", **look)
    assert shown["kind"].split()[2] == "tmpfs"
    assert {"nosuid", "nodev", "noexec"} <= set(shown["kind"].split()[3].split(","))
    assert (shown["mode"], shown["fill"].splitlines()[-1]) == ("700", str(MIB))
    assert "Permission denied" in shown["exec"]
    shown = facts(tinybox, "--mount", "type=tmpfs,target=/t,tmpfs-size=4m", **look)
    assert (shown["mode"], shown["fill"]) == ("1777", str(2 * MIB))
    assert facts(tinybox, "--tmpfs", "/t:exec,size=8m", **look)["exec"] == ""
    assert facts(tinybox, kind="grep -c ' /t ' /proc/mounts") == {"kind": "0"}


def test_a_file_system_in_memory_has_one_mode_at_every_start(tinybox: Command) -> None:
    """1777 where tinybox makes its place, the image's mode where the image has one, the requested mode if any."""
    places = {"/cache": "1777", "/deep/er": "1777", "/etc": "755", "/tmp": "1777", "/secret": "700", "/link": "755"}
    options = ["--tmpfs", "/cache", "--tmpfs", "/deep/er", "--tmpfs", "/etc", "--tmpfs", "/secret:mode=700"]
    options += ["--mount", "type=tmpfs,dst=/tmp", "--tmpfs", "/link/end"]
    script = f"for d in {' '.join(places)} /link/end; do stat -c '%n %a %u:%g' $d; done"
    expected = [f"{path} {mode} 0:0" for path, mode in places.items()]
    expected.append("/link/end 1777 0:0")
    for users in (("--userns", "host"), ("--userns", "private", "-u", "1000")):
        name = new_name()
        first = tinybox("run", "--name", name, *options, *users, "busybox", "sh", "-c", script)
        assert first.stdout.splitlines() == expected, first
        for _ in range(2):
            assert tinybox("start", "-a", name).stdout.splitlines() == expected, users
        assert tinybox("commit", name, "test-modes").returncode == 0
        assert output(tinybox, *options, "test-modes", "sh", "-c", script).splitlines() == expected
        assert (tinybox("rm", name).returncode, tinybox("rmi", "test-modes").returncode) == (0, 0)


def test_a_read_only_root(tinybox: Command, shared: Path) -> None:
    """--read-only refuses writes to the root, not to /dev, tmpfs mounts and volumes; without it all can be written."""
    tries = {
        "root": "touch /new", "etc": "echo x >> /etc/passwd", "dev": "touch /dev/new", "tmp": "touch /t/new",
        "data": "touch /data/new", "shm": "touch /dev/shm/new", "remount": "mount -o remount,rw /; touch /new",
    }  # fmt: skip
    words = ("--tmpfs", "/t", "-v", f"{shared}:/data")
    shown = facts(tinybox, "--read-only", *words, **tries)
    for name in ("root", "etc", "remount"):
        assert "Read-only file system" in shown[name], name
    assert [shown[name] for name in ("dev", "tmp", "data", "shm")] == [""] * 4
    plain = facts(tinybox, *words, root=tries["root"], etc=tries["etc"])
    assert plain == {"root": "", "etc": ""}


def test_the_working_directory(tinybox: Command) -> None:
    """-w is where the program starts; a missing directory is made, also on a read-only root."""
    assert output(tinybox, "-w", "/etc", "busybox", "pwd") == "/etc\n"
    assert output(tinybox, "-w", "/made/for/it", "busybox", "sh", "-c", "pwd; touch x; ls") == "/made/for/it\nx\n"
    assert output(tinybox, "--read-only", "-w", "/made/for/it", "busybox", "pwd") == "/made/for/it\n"
    assert output(tinybox, "busybox", "pwd") == "/\n"
    name = new_name()
    assert tinybox("run", "--name", name, "busybox", "ln", "-s", "../gone/far", "/dangling").returncode == 0
    assert tinybox("commit", name, "test-dangling").returncode == 0
    assert output(tinybox, "-w", "/dangling/x", "test-dangling", "readlink", "-f", ".") == "/gone/far/x\n"
    assert (tinybox("rm", name).returncode, tinybox("rmi", "test-dangling").returncode) == (0, 0)
    one_line(tinybox("run", "--rm", "-w", "etc", "busybox", "pwd"), 125, "--workdir etc", "not an absolute path")
    one_line(tinybox("run", "--rm", "-w", "/etc/passwd", "busybox", "pwd"), 125, "working directory /etc/passwd")


def test_exec_makes_no_working_directory(tinybox: Command, shared: Path) -> None:
    """A missing one is 127 and one that is no directory 126, with -d 1; nothing is made, also not on a volume."""
    name = new_name()
    script = "mkdir -m 700 /private; touch /file; ln -s gone /dangling; ln -s loop /loop; cd /; rmdir /own; sleep 1000"
    words = ("--health-cmd", "true", "--health-interval", "100ms", "--health-retries", "1", "-w", "/own")
    assert (
        tinybox("run", "-d", "-v", f"{shared}:/v", *words, "--name", name, "busybox", "sh", "-c", script).stderr == ""
    )
    try:
        until(lambda: tinybox("exec", "-w", "/", name, "test", "!", "-e", "/own").returncode == 0)
        before = sorted(os.listdir(shared))
        for users in (("-u", "0"), ("-u", "1000"), ("-d",)):
            for place, status, cause in (
                ("/missing/deep", 127, "No such file"), ("/v/missing", 127, "No such"), ("/file", 126, "Not a d"),
                ("/dangling", 127, "No such file"), ("/file/x", 126, "Not a dir"), ("/loop", 126, "symbolic links"),
            ):  # fmt: skip
                done = tinybox("exec", *users, "-w", place, name, "pwd")
                one_line(done, 1 if users == ("-d",) else status, f"working directory {place}", cause)
        one_line(tinybox("exec", name, "pwd"), 127, "working directory /own")  # the box's own, which it has removed
        until(lambda: tinybox("inspect", "--format", "{{.State.Health.Status}}", name).stdout == "unhealthy\n")
        there = tinybox("exec", "-w", "/", name, "ls", "/", "/v").stdout.split()
        assert not {"missing", "gone", "own"} & set(there)
        assert sorted(os.listdir(shared)) == before
        assert tinybox("exec", "-u", "1000", "-w", "/private", name, "pwd").stdout == "/private\n"  # entered as root
    finally:
        assert tinybox("rm", "-f", name).returncode == 0
    made = ("-v", f"{shared}:/v", "-w", "/v/missing", "busybox", "pwd")
    assert output(tinybox, *made) == "/v/missing\n"  # the control: run makes it, as docker
    assert (shared / "missing").is_dir()


def test_a_mount_over_another_one_lies_on_top(tinybox: Command, shared: Path) -> None:
    """Mounts are ordered by depth, not by the order of the options: /a/b is mounted in the mount on /a."""
    words = ("--tmpfs", "/a/b", "-v", f"{shared}:/a")
    assert output(tinybox, *words, "busybox", "ls", "/a") == "b\nhello\n"
    words = ("--tmpfs", "/a/b", "-v", f"{shared}:/a//")
    assert output(tinybox, *words, "busybox", "sh", "-c", "ls /a; grep -c ' /a/b ' /proc/mounts") == "b\nhello\n1\n"
    one_line(tinybox("run", "--rm", "--tmpfs", "/a", "-v", f"{shared}:/a", "busybox", "true"), 125, "/a", "twice")


def test_the_root_and_proc_cannot_be_mounted_over(tinybox: Command, shared: Path) -> None:
    """Mounts on / and in or on /proc are refused, by every way to write them."""
    for target in ("/", "/.", "/x/..", "/proc", "/proc/", "/proc/self", "/proc/sys/kernel", "/../proc"):
        for words in (("-v", f"{shared}:{target}"), ("--tmpfs", target)):
            one_line(tinybox("run", "--rm", *words, "busybox", "true"), 125, "mount on")
