"""Paths in hostile images: links never lead tinybox out of the box, nor to a false /proc or null device.

CVE-2021-30465 (links at mount targets), CVE-2024-21626 (a way out through an open directory), CVE-2025-31133 (a false
/dev/null as a mask), CVE-2025-52881 (a false /proc to write to).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import image_archives as tar
from tests.support.boxes import facts, new_name, one_line, output
from tests.support.slowness import SLOWNESS
from tests.support.tar_contents import stream, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

APPLETS = ("cat", "grep", "id", "ls", "mkdir", "pwd", "readlink", "sh", "stat", "touch", "true")


@contextlib.contextmanager
def image_with(tinybox: Command, folder: Path, *members: tar.Member, without: tuple[str, ...] = ()) -> Iterator[str]:
    """Import an image: busybox, the usual directories except those *without*, and these *members*; yield its name."""
    with open("/bin/busybox", "rb") as file:
        busybox = tar.regular("bin/busybox", file.read(), mode=0o755)
    usual = [tar.directory(name) for name in ("dev", "etc", "proc", "sys", "tmp") if name not in without]
    applets = [tar.symlink(f"bin/{name}", "busybox") for name in APPLETS]
    (folder / "image.tar").write_bytes(tar.archive([tar.directory("bin"), busybox, *applets, *usual, *members]))
    done = tinybox("import", str(folder / "image.tar"), "test-hostile")
    assert done.returncode == 0, done.stderr
    try:
        yield "test-hostile"
    finally:
        assert tinybox("rmi", "test-hostile").returncode == 0


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Make a directory on the host that no box should ever reach."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("of the host\n")
    return folder


def untouched(outside: Path) -> bool:
    """Tell whether that directory is unchanged, with nothing mounted on it."""
    return os.listdir(outside) == ["secret"] and str(outside) not in Path("/proc/self/mountinfo").read_text()


def test_links_at_mount_targets_lead_nowhere_outside(tinybox: Command, tmp_path: Path, outside: Path) -> None:
    """Absolute links and any number of `..` stay in the box's own root: a bind, a tmpfs and a volume land inside."""
    up = "../" * 20
    links = [
        tar.symlink("bind", str(outside)), tar.symlink("memory", f"{up}{outside}"),
        tar.symlink("file", f"{outside}/secret"),
        tar.directory("deep"), tar.symlink("deep/er", f"..{outside}"), tar.symlink("loop", "loop"),
        *[tar.directory(str(folder)[1:]) for folder in reversed([outside, *outside.parents[:-1]])],
        tar.regular(f"{str(outside)[1:]}/secret", b"of the image\n"),
    ]  # fmt: skip
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "gift").touch()
    with image_with(tinybox, tmp_path, *links) as image:
        for words in (
            ("-v", f"{tmp_path}/given:/bind"),
            ("-v", f"{tmp_path}/given:/deep/er"),
            ("--mount", f"type=bind,src={tmp_path}/given,dst=/memory"),
        ):
            shown = facts(
                tinybox, *words, image=image, there=f"ls {outside}", kind=f"grep -c ' {outside} ' /proc/mounts"
            )
            assert shown == {"there": "gift", "kind": "1"}, words
            assert untouched(outside)
        shown = facts(
            tinybox, "--tmpfs", "/memory/new", image=image, there=f"ls -d {outside}/new; touch {outside}/new/x"
        )
        assert shown == {"there": f"{outside}/new"}
        shown = facts(tinybox, "-v", f"{tmp_path}/given/gift:/file", image=image, there=f"cat {outside}/secret")
        assert shown == {"there": ""}
        assert untouched(outside)
        one_line(tinybox("run", "--rm", "--tmpfs", "/loop/x", image, "true"), 125, "/loop/x", "symbolic links")
        assert facts(tinybox, image=image, there=f"cat {outside}/secret") == {"there": "of the image"}


def test_the_target_of_a_dangling_link_is_made_inside(tinybox: Command, tmp_path: Path, outside: Path) -> None:
    """A mount follows dangling links, the last part's and a middle one's, in chains; nothing is made on the host."""
    (outside / "new").mkdir()  # the same links lead to a directory of the host
    (tmp_path / "given").mkdir(mode=0o755)
    (tmp_path / "given" / "gift").write_text("gift\n")
    up = "../" * 20
    links = [
        tar.symlink("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"), tar.symlink("etc/hosts", "chain"),
        tar.symlink("etc/chain", "/run/hosts"), tar.symlink("etc/localtime", f"{up}zone/info"),
        tar.symlink("bind", f"{outside}/new/er"), tar.symlink("middle", f"{up}gone/far"),
        tar.symlink("memory", "middle/../near"), tar.symlink("loop", "pool"), tar.symlink("pool", "loop"),
    ]  # fmt: skip
    given = f"{tmp_path}/given/gift"
    null = {"host": ("--device", "/dev/null:/middle/null"), "private": ("-v", "/dev/null:/middle/null")}
    with image_with(tinybox, tmp_path, *links) as image:
        for users in ("host", "private"):
            shown = facts(
                tinybox, "--userns", users, "-v", f"{given}:/etc/localtime", "-v", f"{tmp_path}/given:/bind",
                "--mount", f"type=bind,src={given},dst=/middle/x", "--tmpfs", "/memory", "-v", "/middle/v",
                *null[users], "--add-host", "me:1.2.3.4", image=image,
                resolv="cat /run/systemd/resolve/stub-resolv.conf >/dev/null && readlink /etc/resolv.conf",
                hosts="grep -c me /run/hosts", zone="cat /zone/info", bind=f"cat {outside}/new/er/gift",
                middle="cat /gone/far/x", memory="grep -c ' /gone/near tmpfs' /proc/mounts",
                volume="ls -d /gone/far/v", null="echo x >/gone/far/null",
            )  # fmt: skip
            assert shown == {
                "resolv": "../run/systemd/resolve/stub-resolv.conf", "hosts": "1", "zone": "gift", "bind": "gift",
                "middle": "gift", "memory": "1", "volume": "/gone/far/v", "null": "",
            }  # fmt: skip
        for words in (("-v", f"{given}:/loop"), ("-v", f"{given}:/pool/x"), ("--tmpfs", "/loop")):
            one_line(tinybox("run", "--rm", *words, image, "true"), 125, "mount", "symbolic links")
    assert os.listdir(outside / "new") == []
    (outside / "new").rmdir()
    assert untouched(outside)


def test_a_place_that_was_made_behind_a_link_is_no_change(tinybox: Command, tmp_path: Path) -> None:
    """`diff` and `commit` leave out the file to which the image's dangling /etc/resolv.conf leads, and its folders."""
    link = tar.symlink("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
    with image_with(tinybox, tmp_path, link, tar.directory("run")) as image:
        name = new_name()
        assert tinybox("run", "--name", name, image, "sh", "-c", "echo x >/run/own").returncode == 0
        assert tinybox("diff", name).stdout == "C /run\nA /run/own\n"
        assert tinybox("start", name).returncode == 0  # the file that was made is a place for a mount again
        assert tinybox("commit", name, "test-committed").returncode == 0
        assert tinybox("rm", name).returncode == 0
        try:
            assert (
                output(tinybox, "-v", "/dev/null:/etc/resolv.conf", "test-committed", "ls", "/run") == "own\nsystemd\n"
            )
            created = tinybox("create", "--name", name, "test-committed", "true")
            assert created.returncode == 0
            assert "run/systemd" not in told(stream(tinybox, "export", name))
            assert tinybox("rm", name).returncode == 0
        finally:
            assert tinybox("rmi", "test-committed").returncode == 0


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_proc_and_sys_must_not_be_links(tinybox: Command, tmp_path: Path, name: str) -> None:
    """An image whose /proc or /sys is a link is refused: otherwise the masks would cover other files."""
    with image_with(tinybox, tmp_path, tar.symlink(name, "etc"), without=(name,)) as image:
        one_line(tinybox("run", "--rm", image, "true"), 125, f"mount on /{name}", "symbolic links")
    with image_with(tinybox, tmp_path, tar.regular(name, b"no directory"), without=(name,)) as image:
        one_line(tinybox("run", "--rm", image, "true"), 125, f"mount on /{name}")
    with image_with(tinybox, tmp_path, without=(name,)) as image:
        assert output(tinybox, image, "ls", "-d", f"/{name}/fs") == f"/{name}/fs\n"


def test_dev_may_be_a_link_and_stays_inside(tinybox: Command, tmp_path: Path, outside: Path) -> None:
    """If /dev is a link the devices are made in its target inside the box, and not in the host's directory."""
    path = str(outside)[1:]
    parents = [tar.directory("/".join(path.split("/")[:depth])) for depth in range(1, path.count("/") + 2)]
    with image_with(tinybox, tmp_path, tar.symlink("dev", f"/{path}"), *parents, without=("dev",)) as image:
        done = tinybox("run", "--rm", image, "sh", "-c", f"ls /{path}; echo x > /dev/null && stat -c %t:%T /dev/null")
        assert untouched(outside)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1:3")


def test_mounts_do_not_reach_proc_by_a_link(tinybox: Command, tmp_path: Path, outside: Path) -> None:
    """A link in the image that leads into /proc is refused as a mount target; elsewhere the same link is accepted."""
    links = [tar.symlink("p", "proc"), tar.symlink("t", "tmp")]
    with image_with(tinybox, tmp_path, *links) as image:
        for words in (
            ("-v", f"{outside}:/p/sys"),
            ("--tmpfs", "/p/self"),
            ("-v", f"{outside}:/p"),
            ("--tmpfs", "/p/../p"),
        ):
            one_line(tinybox("run", "--rm", *words, image, "true"), 125, "mount on")
        assert output(tinybox, "-v", f"{outside}:/t/x", image, "ls", "/tmp/x") == "secret\n"


def test_users_are_not_looked_up_through_links(tinybox: Command, tmp_path: Path) -> None:
    """/etc/passwd as a link to the host's by `..` is a file of the image, or missing: the host's users are unknown."""
    (tmp_path / "passwd").write_text("hostuser:x:4242:4242::/:/bin/sh\n")
    with image_with(tinybox, tmp_path, tar.symlink("etc/passwd", f"../../../..{tmp_path}/passwd")) as image:
        one_line(tinybox("run", "--rm", "-u", "hostuser", image, "id"), 125, "no user hostuser")
    with image_with(tinybox, tmp_path, tar.regular("etc/passwd", b"hostuser:x:4242:4242::/:/bin/sh\n")) as image:
        assert output(tinybox, "-u", "hostuser", image, "id", "-u") == "4242\n"


def test_an_open_directory_is_no_way_out(tinybox: Command, tmp_path: Path, outside: Path) -> None:
    """A working directory /proc/self/fd/N ends with 125 for each N, or starts in the box; never on the host."""
    fds = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in ("/", str(outside), "/sys/fs/cgroup")]
    try:
        for fd in fds:
            os.set_inheritable(fd, True)
        links = [tar.symlink(f"fd{number}", f"/proc/self/fd/{number}") for number in range(3, 16)]
        with image_with(tinybox, tmp_path, *links) as image:
            for number in range(3, 16):
                for path in (f"/proc/self/fd/{number}", f"/fd{number}/..", f"/proc/1/fd/{number}/../.."):
                    words = (
                        "run",
                        "--rm",
                        "-w",
                        path,
                        image,
                        "sh",
                        "-c",
                        "pwd; ls -a; cat ../../../../../etc/hostname",
                    )
                    with tinybox.start(*words, pass_fds=fds) as process:
                        said, _ = process.communicate(timeout=30 * SLOWNESS)
                    assert process.returncode == 125, (path, said)
                    assert said == "", path
    finally:
        for fd in fds:
            os.close(fd)


def test_a_stream_that_is_a_directory_is_refused(tinybox: Command, outside: Path) -> None:
    """`tinybox run -i ... < /` would give the program the host's root as /proc/self/fd/0/..; a file is accepted.

    On the command line Python itself already refuses it; through the Python API tinybox does.
    """
    program = (
        "import sys, tinybox; sys.exit(tinybox.run('busybox', 'ls', '/proc/self/fd/0/..', stdin=0, rm=True).status)"
    )
    program = f"import os; os.dup2(int(os.environ['STREAM']), 0); {program}"
    for path in (outside, outside / "secret"):
        fd = os.open(path, os.O_RDONLY)
        try:
            words = ("run", "--rm", "-i", "busybox", "ls", "/proc/self/fd/0/..")
            with tinybox.start(*words, stdin=fd) as process:
                said, _ = process.communicate(timeout=30 * SLOWNESS)
            environment = {**tinybox.environment, "STREAM": str(fd)}
            api = subprocess.run([sys.executable, "-c", program], env=environment, pass_fds=(fd,), capture_output=True,
                                 text=True, check=False, timeout=30 * SLOWNESS)  # fmt: skip
        finally:
            os.close(fd)
        assert process.returncode != 0
        assert "secret" not in said + api.stdout
        assert ("file descriptor 0: is a directory" in api.stderr) == (path == outside), api


def test_a_false_null_device_covers_nothing(tinybox: Command, tmp_path: Path, outside: Path) -> None:
    """A volume over /dev or /dev/null whose null is a file, a link or another device is refused."""
    (tmp_path / "dev").mkdir()
    false = tmp_path / "dev" / "null"
    for make in (
        lambda: false.write_text("not null"),
        lambda: false.symlink_to(outside / "secret"),
        lambda: false.symlink_to("zero"),
        lambda: os.mknod(false, 0o20666, os.makedev(1, 5)),
        false.mkdir,
    ):
        make()
        one_line(tinybox("run", "--rm", "-v", f"{tmp_path}/dev:/dev", "busybox", "true"), 125, "/dev/null")
        assert os.listdir(tmp_path / "dev") == ["null"]
        false.rmdir() if false.is_dir() and not false.is_symlink() else false.unlink()
    (tmp_path / "null").write_text("not null")
    done = tinybox("run", "--rm", "-v", f"{tmp_path}/null:/dev/null", "busybox", "true")
    one_line(done, 125, "/dev/null", "another file")
    assert output(tinybox, "-v", "/dev/null:/dev/null", "busybox", "sh", "-c", "cat /proc/keys /dev/null") == ""
    assert untouched(outside)


def test_the_image_s_own_devices_are_not_used(tinybox: Command, tmp_path: Path) -> None:
    """Files of the image in /dev lie below the box's own /dev and mask no kernel file."""
    members = [tar.regular("dev/null", b"not null\n"), tar.symlink("dev/zero", "/etc/passwd")]
    with image_with(tinybox, tmp_path, *members) as image:
        shown = facts(
            tinybox, image=image, null="cat /dev/null; stat -c %t:%T /dev/null /dev/zero", keys="cat /proc/keys"
        )
    assert shown["null"].split() == ["1:3", "1:5"]
    assert "not null" not in shown["keys"]


def test_kernel_parameters_go_to_the_real_proc(tinybox: Command, outside: Path) -> None:
    """--sysctl with a false /proc/sys from a volume, on any path, writes nothing, neither there nor on the host."""
    (outside / "net" / "ipv4").mkdir(parents=True)
    false = outside / "net" / "ipv4" / "ip_default_ttl"
    false.write_text("false\n")
    real = Path("/proc/sys/net/ipv4/ip_default_ttl")
    before = real.read_text()
    words = ("--sysctl", "net.ipv4.ip_default_ttl=7")
    for target in ("/proc/sys", "/proc", "/../proc/sys", "/proc/./sys/net"):
        one_line(tinybox("run", "--rm", *words, "-v", f"{outside}:{target}", "busybox", "true"), 125, "mount on")
    for name in ("../../etc/passwd", "net/../kernel/panic", "net.ipv4.../../x"):
        done = tinybox("run", "--rm", "--sysctl", f"{name}=7", "busybox", "true")
        assert (done.returncode, len(done.stderr.splitlines())) == (125, 1), done
    assert (false.read_text(), real.read_text()) == ("false\n", before)
    assert output(tinybox, *words, "busybox", "cat", str(real)) == "7\n"


def test_device_paths_stay_inside(tinybox: Command, tmp_path: Path, outside: Path) -> None:
    """--device SRC:DST with links on the way to DST makes the node inside the box, never on the host."""
    with image_with(tinybox, tmp_path, tar.symlink("out", str(outside)), tar.directory(str(tmp_path)[1:])) as image:
        for target in ("/out/null2", "/dev/../out/null2", f"/../../..{outside}/null2"):
            tinybox("run", "--rm", "--device", f"/dev/null:{target}", image, "true")
            assert untouched(outside), target
        assert (
            output(tinybox, "--device", "/dev/zero:/dev/a/b/zero2", image, "stat", "-c", "%t:%T", "/dev/a/b/zero2")
            == "1:5\n"
        )


def test_an_archive_cannot_contain_devices(tinybox: Command, tmp_path: Path) -> None:
    """A device node in an image is refused at import; the control: the same archive without it is accepted."""
    node = tar.Member("dev/disk", tarfile.BLKTYPE, fields={"devmajor": 7, "devminor": 0})
    (tmp_path / "bad.tar").write_bytes(tar.archive([tar.directory("dev"), node]))
    done = tinybox("import", str(tmp_path / "bad.tar"), "test-devices")
    one_line(done, 1, "dev/disk")
    assert tinybox("images", "-q", "test-devices").stdout == ""
