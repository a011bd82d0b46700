"""Mounts by file descriptor, in a child's mount namespace: mountinfo shows exactly the requested mounts."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.mount_namespaces import alone
from tinybox.errors import HostError, TinyboxError, UsageError
from tinybox.isolation import device_files, entered_root, mounts, rootfs
from tinybox.linux import mount, proc, process
from tinybox.linux.filesystem import files

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

FLAGS = {"ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"}


def table() -> dict[str, set[str]]:
    """Return the mount table: path to options, the uppermost mount of each path."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return {row.point: set(row.options) for row in proc.mountinfo(file.read())}


def tmpfs(path: Path, *options: str) -> None:
    """Mount a new tmpfs on *path*."""
    path.mkdir(exist_ok=True)
    rootfs.place_over(mounts.new_filesystem(b"tmpfs", b"tmpfs", mounts.Options(options)), str(path))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a directory that stands for a container's root, and one beside it that no test may reach."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture(autouse=True)
def no_descriptor_is_lost() -> Iterator[None]:
    """Fail a test that leaves a file descriptor open."""
    before = os.listdir("/proc/self/fd")
    yield
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(
    "options", [(), ("ro",), ("nosuid", "nodev", "noexec"), ("noatime", "nosymfollow"), ("ro", "rw")]
)
def test_attributes_are_the_requested_ones(root: Path, options: tuple[str, ...]) -> None:
    """Each option of a new file system is in mountinfo, and no other; the last one of a pair holds."""

    def act() -> None:
        tmpfs(root, *options)
        expected = set(options) - {"rw"} if options != ("ro", "rw") else set()
        assert table()[str(root)] & FLAGS == expected
        writable = os.access(root, os.W_OK)
        assert writable == ("ro" not in expected)

    alone(act)
    assert str(root) not in table()


@pytest.mark.parametrize(("option", "deep"), [("ro", False), ("rro", True), ("noexec", False), ("rnoexec", True)])
def test_attributes_of_a_copied_tree_reach_as_deep_as_requested(root: Path, option: str, deep: bool) -> None:
    """`ro` applies to the top mount of a bind and `rro` to all mounts of it; the original does not change."""

    def act() -> None:
        tmpfs(root)
        tmpfs(root / "below")
        (root.parent / "copy").mkdir()
        copy = mounts.copy_tree(str(root), mounts.Options(["rbind", option]))
        rootfs.place_over(copy, str(root.parent / "copy"))
        seen, name = table(), option.removeprefix("r") if deep else option
        assert name in seen[f"{root.parent}/copy"]
        assert (name in seen[f"{root.parent}/copy/below"]) == deep
        assert name not in seen[str(root)] | seen[f"{root}/below"]

    alone(act)


def test_a_bind_without_r_leaves_out_the_mounts_below(root: Path) -> None:
    """`bind` copies one mount, `rbind` also all mounts below it."""

    def act() -> None:
        tmpfs(root)
        tmpfs(root / "below")
        for kind in ("bind", "rbind"):
            (root.parent / kind).mkdir()
            rootfs.place_over(mounts.copy_tree(str(root), mounts.Options([kind])), str(root.parent / kind))
        assert f"{root.parent}/bind/below" not in table()
        assert f"{root.parent}/rbind/below" in table()

    alone(act)


@pytest.mark.parametrize("private", [True, False])
def test_mounts_stay_private(root: Path, private: bool) -> None:
    """The original of a copied namespace sees a new mount if propagation is shared, and does not after make_private."""

    def inner() -> None:
        process.unshare(process.CLONE_NEWNS)
        if private:
            mounts.make_private()
        tmpfs(root / "below")

    def act() -> None:
        tmpfs(root)
        mount.mount_setattr(mount.AT_FDCWD, os.fsencode(root), 0, propagation=mount.MS_SHARED)
        pid = os.fork()
        if pid == 0:
            inner()
            os._exit(0)
        os.waitpid(pid, 0)
        assert (f"{root}/below" in table()) == (not private)

    alone(act)


def test_targets_are_opened_inside(root: Path) -> None:
    """Links and `..` stay in the root; missing targets are made, as a directory or a file; without links: ELOOP."""
    (root / "etc").mkdir()
    for name, target in (("up", "../../outside"), ("absolute", "/etc"), ("outside", str(root.parent / "outside"))):
        (root / name).symlink_to(target)
    for path, where in (("/../../etc", "etc"), ("absolute/new/deep", "etc/new/deep"), ("/etc/../x", "x")):
        fd = mounts.open_target(os.fsencode(root), path.encode(), directory=True)
        assert os.readlink(f"/proc/self/fd/{fd}") == str(root / where)
        os.close(fd)
    os.close(mounts.open_target(os.fsencode(root), b"/etc/file", directory=False))
    assert (root / "etc" / "file").is_file()
    for path, where in (("up/x", "x"), ("outside/y", "y"), ("up", "")):
        os.close(mounts.open_target(os.fsencode(root), path.encode(), directory=True))
        assert Path(f"{root}{root.parent}/outside/{where}").is_dir()
    with pytest.raises(OSError, match="symbolic links"):
        mounts.open_target(os.fsencode(root), b"/absolute", directory=True, links=False)
    assert os.listdir(root.parent / "outside") == []


def test_a_mount_that_cannot_be_placed_is_an_error_and_closed(root: Path) -> None:
    """A directory on a file, and a target below a file: an error that names the target; the tree's fd is closed."""
    (root / "file").touch()
    (root / "folder").mkdir()

    def act() -> None:
        before = len(os.listdir("/proc/self/fd"))
        causes = {b"/file": "a directory cannot be mounted on a file", b"/file/below": "Not a directory"}
        for destination, cause in causes.items():
            tree = mounts.new_filesystem(b"tmpfs", b"tmpfs", mounts.Options([]))
            with pytest.raises(TinyboxError, match=f"mount on {destination.decode()}: {cause}"):
                mounts.place(tree, os.fsencode(root), destination)
        tree = mounts.copy_tree(str(root / "file"), mounts.Options(["bind"]))
        with pytest.raises(TinyboxError, match="mount on /folder: a file cannot be mounted on a directory"):
            mounts.place(tree, os.fsencode(root), b"/folder")
        assert len(os.listdir("/proc/self/fd")) == before

    alone(act)


def test_procfs_is_a_target_only_by_its_own_path(root: Path) -> None:
    """A link in the root that leads into procfs is refused as a target; the path itself, written out, is accepted."""
    (root / "link").symlink_to("proc/fs")

    def act() -> None:
        mounts.mount_filesystem(os.fsencode(root), b"/proc", b"proc", b"proc", mounts.Options([]))
        for destination in (b"/link", b"/proc/../link", b"/link/../fs"):
            with pytest.raises(TinyboxError, match="leads into the box's /proc"):
                mounts.mount_filesystem(os.fsencode(root), destination, b"tmpfs", b"tmpfs", mounts.Options([]))
        mounts.mount_filesystem(os.fsencode(root), b"/proc/fs", b"tmpfs", b"tmpfs", mounts.Options([]))
        assert f"{root}/proc/fs" in table()

    alone(act)


def test_the_kernel_s_reason_is_reported(tmp_path: Path) -> None:
    """An error of fsconfig(2) has the kernel's own text; a missing source has tinybox's."""
    with pytest.raises(HostError, match="tmpfs: Unknown parameter 'colour'"):
        mounts.new_filesystem(b"tmpfs", b"tmpfs", mounts.Options(["colour=red"]))
    with pytest.raises(UsageError, match="no such file or directory"):
        mounts.copy_tree(str(tmp_path / "none"), mounts.Options(["bind"]))


def test_after_pivot_root_the_old_root_is_gone(root: Path) -> None:
    """The new root is /, the host's mounts are out of the table, and no directory leads back."""

    def act() -> None:
        tmpfs(root)
        for name in ("proc", "here"):
            (root / name).mkdir()
        mounts.mount_filesystem(os.fsencode(root), b"/proc", b"proc", b"proc", mounts.Options([]))
        assert len(table()) > 2
        rootfs.pivot(os.fsencode(root))
        assert set(table()) == {"/", "/proc"}
        assert sorted(os.listdir("/../../..")) == ["here", "proc"]

    alone(act)


def test_an_open_directory_of_the_old_root_is_no_working_directory(root: Path) -> None:
    """A descriptor from before pivot_root leads out of the new root: enter_directory refuses it."""

    def act() -> None:
        tmpfs(root)
        (root / "proc").mkdir()
        mounts.mount_filesystem(os.fsencode(root), b"/proc", b"proc", b"proc", mounts.Options([]))
        host = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        rootfs.pivot(os.fsencode(root))
        assert os.access(f"/proc/self/fd/{host}/etc", os.F_OK), "the control: it does lead out"
        with pytest.raises((TinyboxError, OSError)):
            entered_root.enter_directory(f"/proc/self/fd/{host}")
        entered_root.enter_directory("/made/now")
        assert os.getcwd() == "/made/now"

    alone(act)


def test_masks_and_read_only_paths(root: Path) -> None:
    """A masked file or directory is empty, the directory read-only; a read-only path is read-only with all below it."""

    def act() -> None:
        tmpfs(root)
        for name in ("dev", "secret", "fixed"):
            (root / name).mkdir()
        tmpfs(root / "fixed" / "below")
        (root / "secret" / "x").touch()
        (root / "file").write_text("secret")
        device_files.make_device(os.fsencode(root), b"/dev/null", "c", (1, 3), 0o666, (0, 0))
        (root / "proc").mkdir()
        mounts.mount_filesystem(os.fsencode(root), b"/proc", b"proc", b"proc", mounts.Options([]))
        rootfs.pivot(os.fsencode(root))
        rootfs.mask(["/secret", "/file", "/not-there"])
        rootfs.make_paths_readonly(["/fixed", "/not-there"])
        with open("/file", encoding="utf-8") as file:
            assert file.read() == ""
        assert os.listdir("/secret") == []
        for path in ("/secret/x", "/fixed/x", "/fixed/below/x"):
            with pytest.raises(OSError, match="Read-only"):
                os.mkdir(path)
        os.mkdir("/elsewhere")

    alone(act)


def test_a_mask_needs_the_real_null_device(root: Path) -> None:
    """If /dev/null is another file nothing is masked: the error names the reason."""

    def act() -> None:
        tmpfs(root)
        (root / "dev").mkdir()
        (root / "dev" / "null").write_text("not null")
        (root / "file").touch()
        rootfs.pivot(os.fsencode(root))
        with pytest.raises(TinyboxError, match="is not the null device"):
            rootfs.mask(["/file"])

    alone(act)


def test_kernel_parameters_are_written_to_procfs_alone(root: Path) -> None:
    """On a /proc that is a tmpfs with a file of that name nothing is written."""

    def act() -> None:
        tmpfs(root)
        tmpfs(root / "proc")
        (root / "proc" / "sys").mkdir()
        (root / "proc" / "sys" / "it").write_text("before")
        rootfs.pivot(os.fsencode(root))
        with pytest.raises(TinyboxError, match="is not the proc file system"):
            entered_root.set_sysctl("it", "after")
        with open("/proc/sys/it", encoding="utf-8") as file:
            assert file.read() == "before"

    alone(act)


def test_procfs_is_known_by_its_number(tmp_path: Path) -> None:
    """/proc is procfs; a tmpfs is not, although its root has inode number 1, too."""
    for path, expected in (("/proc", True), ("/proc/sys/kernel", True), ("/dev/shm", False), (str(tmp_path), False)):
        fd = os.open(path, os.O_PATH)
        assert (files.file_system(fd) == files.PROC_SUPER_MAGIC) == expected, path
        os.close(fd)


def test_another_process_s_namespace_is_left_again(tmp_path: Path) -> None:
    """Inside `InNamespace` the mounts are that process's; afterwards mounts and working directory are as before."""
    gate, hold = os.pipe()
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(hold)
        process.unshare(process.CLONE_NEWNS)
        mounts.make_private()
        tmpfs(tmp_path / "theirs")
        os.write(told, b"x")
        os.read(gate, 1)
        os._exit(0)
    try:
        os.read(ready, 1)
        here = os.getcwd()
        with contextlib.chdir(tmp_path):
            with mounts.InNamespace(f"/proc/{pid}/ns/mnt"):
                assert f"{tmp_path}/theirs" in table()
            assert f"{tmp_path}/theirs" not in table()
            assert os.getcwd() == str(tmp_path)
        assert os.getcwd() == here
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for fd in (gate, hold, ready, told):
            os.close(fd)
