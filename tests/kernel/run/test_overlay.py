"""Copy-on-write: a box's changes are in its upper directory, reported as docker diff does; layers never change."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import image_archives as tar
from tests.support.boxes import new_name, one_line, output
from tinybox.errors import HostError
from tinybox.isolation import overlay
from tinybox.linux import mount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

APPLETS = "cat chmod chown cp find ln ls mkdir mkfifo mknod mv rm rmdir sh stat touch true xargs".split()
FILES = {"a": "a", "b": "bb", "c": "ccc", "deep/d": "dddd", "deep/er/e": "eeeee"}


@pytest.fixture
def image(tinybox: Command, tmp_path: Path) -> Iterator[str]:
    """Import an image of one layer: busybox, and a few files to be changed."""
    with open("/bin/busybox", "rb") as file:
        busybox = file.read()
    members = [
        tar.directory("bin"), tar.regular("bin/busybox", busybox, mode=0o755),
        *[tar.symlink(f"bin/{name}", "busybox") for name in APPLETS],
        *[tar.directory(name) for name in ("dev", "proc", "sys", "data", "data/deep", "data/deep/er", "data/empty")],
        *[tar.regular(f"data/{name}", text.encode()) for name, text in FILES.items()],
        tar.symlink("data/link", "a"), tar.hard_link("data/hard", "data/b"),
    ]  # fmt: skip
    (tmp_path / "image.tar").write_bytes(tar.archive(members))
    name = "test-overlay"
    assert tinybox("import", str(tmp_path / "image.tar"), name).returncode == 0
    yield name
    assert tinybox("rmi", name).returncode == 0


def changes(tinybox: Command, image: str, script: str) -> list[str]:
    """Run *script* in /data of a new box, and return the output of `tinybox diff`, without the line of /data itself."""
    name = new_name()
    done = tinybox("run", "--name", name, "-w", "/data", image, "sh", "-ec", script)
    assert (done.returncode, done.stderr) == (0, ""), done
    try:
        said = tinybox("diff", name)
        assert (said.returncode, said.stderr) == (0, "")
        return [line for line in said.stdout.splitlines() if line != "C /data"]
    finally:
        assert tinybox("rm", name).returncode == 0


def test_a_box_that_changes_nothing_has_no_changes(tinybox: Command, image: str) -> None:
    """Reading everything is no change, and neither are the mounts and files that tinybox itself makes."""
    assert changes(tinybox, image, "find / -xdev -type f | xargs cat > /dev/null; ls -lR /dev > /dev/null") == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo x > new; mkdir -p dir/in; touch dir/in/f", "A dir, A dir/in, A dir/in/f, A new"),
        ("echo x >> a; chmod 600 b; chown 7 c", "C a, C b, C c"),
        ("rm a; rm link", "D a, D link"),
        ("rm -r deep", "D deep"),
        ("rm -r deep; mkdir deep; touch deep/new", "C deep, D deep/d, D deep/er, A deep/new"),
        ("rm -r deep; mkdir -p deep/er; touch deep/er/e", "C deep, D deep/d, C deep/er, C deep/er/e"),
        ("rm -r deep; mkdir -p deep/er", "C deep, D deep/d, C deep/er, D deep/er/e"),
        ("rm -r deep; echo x > deep", "C deep"),
        ("rm a; mkdir a; touch a/in", "C a, A a/in"),
        ("mv deep moved", "D deep, A moved, A moved/d, A moved/er, A moved/er/e"),
        ("mv a z; mv z a2", "D a, A a2"),
        ("mv a b", "D a, C b"),
        ("rm deep/er/e", "C deep, C deep/er, D deep/er/e"),
        ("touch new; rm new; mkdir gone; rmdir gone", ""),
        ("rm a; echo new > a", "C a"),
        ("ln a second; ln -s a third; mkfifo fifo", "A fifo, A second, A third"),
        ("chmod 700 empty; rmdir empty", "D empty"),
        ("mkdir empty/x; rmdir empty/x", ""),
        ("chmod 644 a; chmod 600 b; chmod 644 b", ""),
        ("rm -r deep; mkdir -m 700 deep; touch deep/er", "C deep, D deep/d, C deep/er"),
        ("mknod dev c 1 3", "A dev"),
    ],
)
def test_diff_reports_as_docker_diff(tinybox: Command, image: str, script: str, said: str) -> None:
    """A added, C changed, D deleted: a deleted directory is one line, a replaced one lists its lost entries."""
    expected = [f"{change[0]} /data/{change[2:]}" for change in said.split(", ") if change]
    assert sorted(changes(tinybox, image, script)) == sorted(expected)


def test_diff_of_a_box_that_is_not_there(tinybox: Command) -> None:
    """An unknown name is one line, status 1, as docker."""
    one_line(tinybox("diff", "nobody-of-this-name"), 1, "no such container")


def test_diff_reads_a_box_that_runs_with_user_namespaces(tinybox: Command, image: str) -> None:
    """With --userns private overlayfs uses other attributes (user.overlay.*); they are read as well."""
    name = new_name()
    script = "cd /data; rm -r deep; mkdir deep; touch deep/new; rm a; echo x > b"
    assert tinybox("run", "--name", name, "--userns", "private", image, "sh", "-ec", script).returncode == 0
    said = tinybox("diff", name).stdout.split("\n")[:-1]
    assert tinybox("rm", name).returncode == 0
    assert sorted(said) == sorted(
        ["C /data", "D /data/a", "C /data/b", "C /data/deep", "D /data/deep/d", "D /data/deep/er", "A /data/deep/new"]
    )


def fingerprint(folder: Path) -> str:
    """Return a digest of a whole tree: names, kinds, modes, owners, times, contents, attributes."""
    digest = hashlib.sha256()
    for path in [folder, *sorted(folder.rglob("*"))]:
        info = path.lstat()
        numbers = (info.st_mode, info.st_uid, info.st_gid, info.st_size, info.st_mtime_ns, info.st_nlink, info.st_rdev)
        digest.update(repr((str(path), numbers, os.listxattr(path, follow_symlinks=False))).encode())
        if stat.S_ISREG(info.st_mode):
            digest.update(path.read_bytes())
        elif stat.S_ISLNK(info.st_mode):
            digest.update(str(path.readlink()).encode())
    return digest.hexdigest()


WRECK = """
for f in $(find /data /etc /usr /home /var -xdev -type f 2>/dev/null); do echo wrecked >> $f; done
find /data -xdev -exec chown 77:77 {} + ; find / -xdev ! -type l -exec chmod 777 {} + ; mv /data/deep /data/deeper
ln /data/b /data/b2; rm -rf /data/empty /etc /usr; mkdir /etc; touch /etc/new; mknod /data/a2 c 1 3; rm /data/a
touch -t 200001010000 /data/c
"""


@pytest.mark.parametrize("options", [(), ("--privileged",), ("--userns", "private")])
def test_the_layers_are_never_changed(tinybox: Command, image: str, options: tuple[str, ...]) -> None:
    """A box writes, deletes, renames, links, chmods and chowns all it can; the layers stay as they were."""
    layers = Path(tinybox.root, "layers")
    before = fingerprint(layers)
    assert tinybox("run", "--rm", *options, image, "sh", "-c", WRECK).returncode == 0
    assert fingerprint(layers) == before
    file = next(layers.glob("*/fs/data/a"))
    file.chmod(0o600)  # the control: the smallest change is noticed
    assert fingerprint(layers) != before
    file.chmod(0o644)


def test_boxes_share_layers_but_not_changes(tinybox: Command, image: str) -> None:
    """The next box does not find the changes of the first: each has an upper directory of its own."""
    assert output(tinybox, image, "sh", "-c", "echo mine > /data/a; cat /data/a") == "mine\n"
    assert output(tinybox, image, "cat", "/data/a") == "a"


def test_only_a_box_that_is_removed_has_a_volatile_overlay(tinybox: Command) -> None:
    """With --rm the end of a box does not wait for the disk: volatile in overlayfs. Without it, fsync(2) does."""
    script, name = "grep -c 'overlay.*[,=]volatile' /proc/mounts; sync", new_name()
    assert tinybox("run", "--rm", "busybox", "sh", "-c", script).stdout == "1\n"
    assert tinybox("run", "--name", name, "busybox", "sh", "-c", script).stdout == "0\n"  # the control
    assert tinybox("rm", name).returncode == 0


def folders(top: Path) -> tuple[str, str, str, str]:
    """Make directories for an overlay below *top*: lower, upper, work, merged."""
    names = [str(top / name) for name in ("lower", "upper", "work", "merged")]
    for name in names:
        os.mkdir(name)
    return names[0], names[1], names[2], names[3]


def options(merged: str) -> str:
    """Return the options of the file system that is mounted on *merged*; see proc_pid_mountinfo(5)."""
    (line,) = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {merged} " in line]
    return line.rpartition(" ")[2]


def test_a_volatile_overlay_is_mounted_again(tmp_path: Path) -> None:
    """A volatile overlay leaves a mark, by which overlayfs refuses a later mount; a second volatile one removes it."""
    lower, upper, work, merged = folders(tmp_path)
    overlay.mount_overlay([lower], upper, work, merged, volatile=True)
    assert "volatile" in options(merged)
    (tmp_path / "merged" / "made").touch()
    mount.umount2(os.fsencode(merged))
    with pytest.raises(HostError):  # the control: the mark is there
        overlay.mount_overlay([lower], upper, work, merged)
    for volatile in (True, False):
        overlay.mount_overlay([lower], upper, work, merged, volatile=volatile)
        assert os.listdir(merged) == ["made"]
        mount.umount2(os.fsencode(merged))


@pytest.fixture
def failed_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a directory on a disk that could not write data: a loop device, whose file is on a full tmpfs."""
    backing, disk = tmp_path / "backing", tmp_path / "disk"
    backing.mkdir()
    disk.mkdir()
    with contextlib.ExitStack() as undo:

        def run(*words: str | Path) -> str:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"{words[0]}: {done.stderr.strip()}")
            return done.stdout.strip()

        mount.mount(b"tmpfs", os.fsencode(backing), b"tmpfs", 0, b"size=4m")
        undo.callback(mount.umount2, os.fsencode(backing))
        run("truncate", "--size", "32M", backing / "file")
        run("mkfs.ext4", "-q", "-O", "^has_journal", "-E", "lazy_itable_init=1", backing / "file")
        device = run("losetup", "--find", "--show", backing / "file")
        undo.callback(subprocess.run, ["losetup", "--detach", device], check=True)
        mount.mount(os.fsencode(device), os.fsencode(disk), b"ext4", 0, b"")
        undo.callback(mount.umount2, os.fsencode(disk))
        with open(disk / "large", "wb", buffering=0) as file:
            file.write(os.urandom(8 << 20))
            with pytest.raises(OSError, match=r"Input/output error|No space left"):
                os.fdatasync(file.fileno())
        yield disk


def test_a_disk_that_could_not_write_has_no_volatile_overlay(failed_disk: Path) -> None:
    """Overlayfs refuses it then (EIO), until syncfs(2) has been told; so the overlay is mounted without `volatile`."""
    lower, upper, work, merged = folders(failed_disk)
    data = os.fsencode(overlay.data([lower], upper, work, userns=False, volatile=True))
    with pytest.raises(OSError, match="Input/output error"):  # the control
        mount.mount(b"overlay", os.fsencode(merged), b"overlay", 0, data)
    overlay.mount_overlay([lower], upper, work, merged, volatile=True)
    try:
        assert "volatile" not in options(merged)
    finally:
        mount.umount2(os.fsencode(merged))
