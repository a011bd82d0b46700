"""Mount system calls: mount, umount2, pivot_root, and the newer ones on fds, such as open_tree, fsopen and move_mount.

A mount shows a file system (or a part of one) at a directory; each mount namespace has its own list of mounts. With the
newer calls a mount is first made detached, known only by its file descriptor, and then placed at a path. If a process
is killed before that, the kernel removes the detached mount with the descriptor.
"""

from __future__ import annotations

import ctypes

from tinybox.linux.abi import Syscall

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = 0o2000000
MOVE_MOUNT_F_EMPTY_PATH = 0x04
MOVE_MOUNT_T_EMPTY_PATH = 0x40

FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_CMD_CREATE = 6
FSCONFIG_CMD_RECONFIGURE = 7
FSPICK_CLOEXEC = 1
FSPICK_EMPTY_PATH = 8
FSCONFIG_VALUE_MAX = 255  # bytes: 256 with the zero at its end

MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x100000
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20

MNT_DETACH = 2

DATA_MAX = 4095  # bytes: a page without the zero at its end; the kernel cuts off anything longer


class MountAttr(ctypes.Structure):
    """``struct mount_attr`` of mount_setattr(2): 32 bytes."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


_mount = Syscall("mount", *[ctypes.c_char_p] * 3, ctypes.c_ulong, ctypes.c_char_p)
_open_tree = Syscall("open_tree", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_move_mount = Syscall("move_mount", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_fsopen = Syscall("fsopen", ctypes.c_char_p, ctypes.c_uint)
_fsconfig = Syscall("fsconfig", ctypes.c_int, ctypes.c_uint, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int)
_fsmount = Syscall("fsmount", ctypes.c_int, ctypes.c_uint, ctypes.c_uint)
_fspick = Syscall("fspick", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_mount_setattr = Syscall(
    "mount_setattr", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint, ctypes.POINTER(MountAttr), ctypes.c_size_t
)
_pivot_root = Syscall("pivot_root", ctypes.c_char_p, ctypes.c_char_p)
_umount2 = Syscall("umount2", ctypes.c_char_p, ctypes.c_int)


def mount(source: bytes, target: bytes, filesystemtype: bytes, flags: int, data: bytes) -> None:
    """Make the file system and place it on *target* in one call; see mount(2). *data*: at most DATA_MAX bytes."""
    _mount(source, target, filesystemtype, flags, data)


def open_tree(dirfd: int, path: bytes, flags: int = AT_RECURSIVE) -> int:
    """Return an fd of a detached copy of the mounts at *path*, with AT_RECURSIVE also those below; see open_tree(2)."""
    return _open_tree(dirfd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | flags)


def move_mount(tree: int, target: int, name: bytes = b"") -> None:
    """Place the detached mount *tree* on the directory or file open as *target*, or on *name* in it; move_mount(2)."""
    _move_mount(tree, b"", target, name, MOVE_MOUNT_F_EMPTY_PATH | (0 if name else MOVE_MOUNT_T_EMPTY_PATH))


def fsopen(filesystemtype: bytes) -> int:
    """Begin to make a file system of this type; return the fd for its configuration; see fsopen(2)."""
    return _fsopen(filesystemtype, FSOPEN_CLOEXEC)


def fsconfig_set(fs: int, key: bytes, value: bytes | None = None) -> None:
    """Set an option of a file system that is being made: a flag *key*, or *key* = *value*; see fsconfig(2).

    A value has at most FSCONFIG_VALUE_MAX bytes.
    """
    _fsconfig(fs, FSCONFIG_SET_FLAG if value is None else FSCONFIG_SET_STRING, key, value, 0)


def fsconfig_create(fs: int) -> None:
    """Make the file system with the options set so far; see FSCONFIG_CMD_CREATE in fsconfig(2)."""
    _fsconfig(fs, FSCONFIG_CMD_CREATE, None, None, 0)


def fspick(target: int) -> int:
    """Return an fd to change the options of the file system that is mounted at the fd *target*; see fspick(2)."""
    return _fspick(target, b"", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH)


def fsconfig_reconfigure(fs: int) -> None:
    """Apply the options set so far to the existing file system; see FSCONFIG_CMD_RECONFIGURE in fsconfig(2)."""
    _fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, None, None, 0)


def fsmount(fs: int, attributes: int = 0) -> int:
    """Return an fd of a detached mount of the file system, with MOUNT_ATTR_* *attributes*; see fsmount(2)."""
    return _fsmount(fs, FSMOUNT_CLOEXEC, attributes)


def mount_setattr(
    dirfd: int,
    path: bytes,
    flags: int,
    *,
    attr_set: int = 0,
    attr_clr: int = 0,
    propagation: int = 0,
    userns_fd: int = 0,
) -> None:
    """Change attributes or the propagation of the mount at *path*; see mount_setattr(2), Linux 5.12.

    With AT_RECURSIVE in *flags* it also changes all mounts below.
    """
    attr = MountAttr(attr_set, attr_clr, propagation, userns_fd)
    _mount_setattr(dirfd, path, flags | AT_EMPTY_PATH, ctypes.byref(attr), ctypes.sizeof(attr))


def pivot_root(new_root: bytes, put_old: bytes) -> None:
    """Make *new_root* the root mount of this namespace and move the old root to *put_old*; see pivot_root(2)."""
    _pivot_root(new_root, put_old)


def umount2(target: bytes, flags: int = 0) -> None:
    """Unmount *target*; MNT_DETACH: remove it from the tree now, and end it when it is unused; see umount2(2)."""
    _umount2(target, flags)
