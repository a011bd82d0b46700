"""Mounts: a file system is first made or copied, attached to nothing; then it is placed where everyone can see it.

A mount is a file system (or a part of one) seen at a directory, and which mounts there are is a matter of the mount
namespace. The newer calls work on file descriptors: what is not yet placed cannot be seen, and goes away by itself.
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

DATA_MAX = 4095  # bytes: a page, less the zero at its end; the kernel would cut off the rest


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


def move_mount(tree: int, target: int) -> None:
    """Place the detached mount *tree* on the directory or file open as *target*; see move_mount(2)."""
    _move_mount(tree, b"", target, b"", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)


def fsopen(filesystemtype: bytes) -> int:
    """Begin to make a file system of this type; return the fd of the half-made one; see fsopen(2)."""
    return _fsopen(filesystemtype, FSOPEN_CLOEXEC)


def fsconfig_set(fs: int, key: bytes, value: bytes | None = None) -> None:
    """Give the half-made file system an option: a flag, or *key* = *value* (FSCONFIG_VALUE_MAX); see fsconfig(2)."""
    _fsconfig(fs, FSCONFIG_SET_FLAG if value is None else FSCONFIG_SET_STRING, key, value, 0)


def fsconfig_create(fs: int) -> None:
    """Let the kernel make the file system as configured; see FSCONFIG_CMD_CREATE in fsconfig(2)."""
    _fsconfig(fs, FSCONFIG_CMD_CREATE, None, None, 0)


def fspick(target: int) -> int:
    """Pick the file system of the mount open as *target*, to configure it anew; return an fd of it; see fspick(2)."""
    return _fspick(target, b"", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH)


def fsconfig_reconfigure(fs: int) -> None:
    """Let the kernel put what has been set into effect; see FSCONFIG_CMD_RECONFIGURE in fsconfig(2)."""
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
    """Change attributes or propagation of the mount at *path*; AT_RECURSIVE: of all below; mount_setattr(2), 5.12."""
    attr = MountAttr(attr_set, attr_clr, propagation, userns_fd)
    _mount_setattr(dirfd, path, flags | AT_EMPTY_PATH, ctypes.byref(attr), ctypes.sizeof(attr))


def pivot_root(new_root: bytes, put_old: bytes) -> None:
    """Make *new_root* the root mount of this namespace and hang the old one on *put_old*; see pivot_root(2)."""
    _pivot_root(new_root, put_old)


def umount2(target: bytes, flags: int = 0) -> None:
    """Unmount *target*; MNT_DETACH: now from sight, for good when nobody uses it any more; see umount2(2)."""
    _umount2(target, flags)
