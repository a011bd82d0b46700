"""The root file system: devices, the change of root itself, and what of the kernel's own files is covered up.

pivot_root(2) makes a mount the root of a mount namespace and hangs the old one somewhere else; unmounted there, the
host's tree is not hidden but gone. chroot(2) alone would leave it within reach.
"""

from __future__ import annotations

import fcntl
import os
import stat

from tinybox.errors import HostError, SyscallError, TinyboxError, UsageError
from tinybox.isolation import mounts
from tinybox.linux import files, mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# name: (major, minor); see null(4), full(4), random(4), tty(4)
STANDARD_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
STANDARD_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
_FIONBIO = 0x5421  # O_NONBLOCK on or off; see ioctl_tty(2)
_INSIDE = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS


def find_root(path: str) -> None:
    """Raise UsageError where the directory that shall be the root is none; see "Root" in OCI's config.md, stat(2)."""
    try:
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_directory = False
    if not is_directory:
        raise UsageError(f"root.path: {path}", "no such directory")


def bind_root(rootfs: str) -> None:
    """Make *rootfs* a mount of its own, which pivot_root(2) asks for; see EINVAL there."""
    tree = mount.open_tree(mount.AT_FDCWD, os.fsencode(rootfs))
    place_over(tree, rootfs)


def place_over(tree: int, path: str) -> None:
    """Place the detached *tree* over the directory at *path*, a path of our own, and close it; see move_mount(2)."""
    target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mount.move_mount(tree, target)
    finally:
        os.close(target)
        os.close(tree)


def make_device(
    root: bytes, path: bytes, kind: str, numbers: tuple[int, int], mode: int, owner: tuple[int, int]
) -> None:
    """Make a device node of *kind* c, b or p at *path* inside *root*; see mknod(2)."""
    folder, name = os.path.split(path)
    parent = mounts.open_target(root, folder, directory=True)
    former = os.umask(0)  # chmod(2) by name, afterwards, would follow a link that another box puts there in a volume
    try:
        os.mknod(name, _TYPES[kind] | mode, os.makedev(*numbers), dir_fd=parent)
        if owner != (0, 0):
            os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
    except FileExistsError as error:
        there = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_IFMT(there.st_mode) != _TYPES[kind] or (kind != "p" and there.st_rdev != os.makedev(*numbers)):
            raise UsageError(f"device {os.fsdecode(path)}", "there is another file at this place") from error
    finally:
        os.umask(former)
        os.close(parent)


def bind_device(root: bytes, path: bytes, source: str) -> None:
    """Show the host's device *source* at *path*: in a user namespace mknod(2) of a device is EPERM."""
    mounts.bind(root, path, source, mounts.Options(["bind"]))


def make_links(root: bytes, links: dict[str, str]) -> None:
    """Make the links of /dev that programs expect, such as /dev/stdin; see "Default Devices" in OCI's config-linux."""
    dev = mounts.open_target(root, b"/dev", directory=True)
    try:
        for name, target in links.items():
            try:
                os.symlink(target, name, dir_fd=dev)
            except FileExistsError:
                continue
    finally:
        os.close(dev)


def pivot(root: bytes) -> None:
    """Make *root* the root and let the old one go; see pivot_root(".", ".") in the notes of pivot_root(2).

    Old and new root are stacked on one another for a moment, so no directory for the old one is needed inside.
    """
    os.chdir(root)
    mount.pivot_root(b".", b".")
    mount.umount2(b".", mount.MNT_DETACH)
    os.chdir("/")


def make_readonly() -> None:
    """Make the root mount read-only, the mounts below it stay as they are; see mount_setattr(2)."""
    mount.mount_setattr(mount.AT_FDCWD, b"/", 0, attr_set=mount.MOUNT_ATTR_RDONLY)


def _open_inside(path: str) -> int | None:
    """Open *path* below the new root for a cover, through the links of the container's own; None when it is not there.

    By such a link the path may lead into /proc, which must stay the kernel's: only who says /proc may mean it.
    """
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        target = files.openat2(root, os.fsencode(path), os.O_PATH, _INSIDE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    finally:
        os.close(root)
    said = os.path.normpath(f"/{path}").lstrip("/").startswith("proc/")
    if files.file_system(target) == files.PROC_SUPER_MAGIC and not said:
        os.close(target)
        raise TinyboxError(f"cover on {path}", "leads into the box's /proc")
    return target


def open_null() -> int:
    """Open the /dev/null of this root, checked to be the real one: character device 1:3, no link (CVE-2025-31133)."""
    fd = os.open("/dev/null", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    return _checked_null(fd)


def open_null_below(root: bytes) -> int:
    """Open the /dev/null of the box at *root* to read and write; TinyboxError: it has none that is real; openat2(2).

    A pipe of that name would keep us waiting, and a terminal would become ours: hence O_NONBLOCK and O_NOCTTY.
    """
    rootfd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = files.openat2(rootfd, b"/dev/null", os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY, _INSIDE)
    except OSError as error:
        raise TinyboxError("/dev/null", f"{(error.strerror or '').lower()} in the box") from error
    finally:
        os.close(rootfd)
    fcntl.ioctl(_checked_null(fd), _FIONBIO, bytes(4))
    return fd


def is_null(info: os.stat_result) -> bool:
    """Tell from its *info* whether a file is the null device, whichever name it has; see null(4)."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == os.makedev(*STANDARD_DEVICES["null"])


def _checked_null(fd: int) -> int:
    if not is_null(os.fstat(fd)):
        os.close(fd)
        raise TinyboxError("/dev/null", "is not the null device", "the image or a volume has replaced it")
    return fd


def mask(paths: Sequence[str]) -> None:
    """Cover files with /dev/null and directories with an empty read-only tmpfs: ``linux.maskedPaths`` of OCI."""
    null = open_null()
    try:
        for path in paths:
            target = _open_inside(path)
            if target is None:
                continue
            try:
                mount.move_mount(cover := _cover(target, null), target)
                os.close(cover)
            finally:
                os.close(target)
    finally:
        os.close(null)


def _cover(target: int, null: int) -> int:
    if stat.S_ISDIR(os.fstat(target).st_mode):
        return mounts.new_filesystem(b"tmpfs", b"tmpfs", mounts.Options(["ro", "nosuid", "nodev", "noexec", "size=0k"]))
    return mount.open_tree(null, b"", 0)


def make_paths_readonly(paths: Sequence[str]) -> None:
    """Bind each path on itself, read-only with all below: ``linux.readonlyPaths`` of OCI; see mount_setattr(2)."""
    for path in paths:
        target = _open_inside(path)
        if target is None:
            continue
        tree = mount.open_tree(target, b"")
        try:
            mount.mount_setattr(tree, b"", mount.AT_RECURSIVE, attr_set=mount.MOUNT_ATTR_RDONLY)
            mount.move_mount(tree, target)
        finally:
            os.close(tree)
            os.close(target)


def open_proc() -> int:
    """Open this root's /proc, checked to be the kernel's and no link; TinyboxError: it is not (CVE-2025-52881)."""
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    if files.file_system(proc) == files.PROC_SUPER_MAGIC:
        return proc
    os.close(proc)
    raise TinyboxError("/proc", "is not the proc file system")


def has_proc() -> bool:
    """Tell whether this root's /proc is the kernel's; see proc(5)."""
    try:
        os.close(open_proc())
    except (OSError, TinyboxError):
        return False
    return True


def set_sysctl(name: str, value: str) -> None:
    """Write one kernel parameter of this container's namespaces; see sysctl(8) and proc_sys(5).

    It follows no link below /proc.
    """
    proc = open_proc()
    try:
        path = b"sys/" + os.fsencode(name.replace(".", "/"))
        resolve = files.RESOLVE_BENEATH | files.RESOLVE_NO_SYMLINKS | files.RESOLVE_NO_XDEV
        files.write_once(files.openat2(proc, path, os.O_WRONLY, resolve), value.encode())
    except SyscallError as error:
        raise HostError(f"sysctl {name}", error.strerror or "", "see /proc/sys for what this kernel has") from error
    except OSError as error:
        raise HostError(f"sysctl {name}={value}", error.strerror or "") from error
    finally:
        os.close(proc)


def enter_directory(path: str) -> None:
    """Go to the working directory, making it where it is missing; see chdir(2).

    getcwd(3) must then give an absolute path: a directory that is not below the new root shows as "(unreachable)", and
    a program that starts there is on the host (CVE-2024-21626).
    """
    try:
        os.chdir(path)
    except FileNotFoundError:
        os.makedirs(path, 0o755)
        os.chdir(path)
    except OSError as error:
        raise TinyboxError(f"working directory {path}", error.strerror or str(error)) from error
    if not os.getcwd().startswith("/"):
        raise TinyboxError(f"working directory {path}", "lies outside the container")
