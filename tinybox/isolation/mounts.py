"""Mounts of a container: made detached, then placed at a path that nobody inside can bend.

Every target is a path in the container's root, written by strangers; it is opened with openat2(2) so that no link in it
leads out, and the mount is placed on the open directory, not on its name.
"""

from __future__ import annotations

import os
import stat

from tinybox.errors import HostError, SyscallError, TinyboxError, UsageError
from tinybox.isolation.mount_options import Options as Options  # noqa: PLC0414  mounts.Options is its name for others
from tinybox.linux import files, mount, process


def make_private() -> None:
    """Stop mounts here from reaching the host and back: all of ``/`` private; see mount_namespaces(7).

    Under systemd ``/`` is shared; without this step pivot_root(2) fails with EINVAL, and what it does not refuse would
    happen to the host as well. This is the classic mistake.
    """
    mount.mount_setattr(mount.AT_FDCWD, b"/", mount.AT_RECURSIVE, propagation=mount.MS_PRIVATE)


def make_slave() -> None:
    """Stop mounts here from reaching the host, and still receive the host's: all of ``/``; see mount_namespaces(7)."""
    mount.mount_setattr(mount.AT_FDCWD, b"/", mount.AT_RECURSIVE, propagation=mount.MS_SLAVE)


def set_root_propagation(flag: int) -> None:
    """Let what is mounted on the root from now on spread as the MS_* *flag* says; see mount_namespaces(7)."""
    mount.mount_setattr(mount.AT_FDCWD, b"/", 0, propagation=flag)


def new_filesystem(kind: bytes, source: bytes, options: Options, context: int | None = None) -> int:
    """Make a file system and return an fd of its detached mount; see fsopen(2), fsconfig(2) and fsmount(2).

    *context* is what another process has got of fsopen(2); it is closed.
    """
    fs = mount.fsopen(kind) if context is None else context
    try:
        mount.fsconfig_set(fs, b"source", source or kind)
        _configure(fs, options)
        mount.fsconfig_create(fs)
        made = mount.fsmount(fs, options.attr_set)
    except SyscallError as error:
        raise HostError(f"{kind.decode()} file system", _reason(fs) or str(error)) from error
    finally:
        os.close(fs)
    if options.propagation:
        mount.mount_setattr(made, b"", 0, propagation=options.propagation)
    return made


def _mounted_once(kind: bytes, source: bytes, options: Options, where: bytes) -> int:
    """Do as `new_filesystem`, for long options: mount(2) has room for DATA_MAX bytes of them, but wants a directory.

    The file system covers the directory *where* for as long as it takes to get an fd of a copy of its mount.
    """
    data = os.fsencode(",".join(options.data))
    what = f"{kind.decode()} file system"
    if len(data) > mount.DATA_MAX:
        cause = f"its options are {len(data)} bytes, the kernel takes {mount.DATA_MAX}"
        raise HostError(what, cause, "use shorter paths")
    try:
        mount.mount(source or kind, where, kind, 0, data)
    except SyscallError as error:
        raise HostError(what, str(error)) from error
    try:
        made = mount.open_tree(mount.AT_FDCWD, where, 0)
    finally:
        mount.umount2(where, mount.MNT_DETACH)
    mount.mount_setattr(made, b"", 0, attr_set=options.attr_set, propagation=options.propagation or mount.MS_PRIVATE)
    return made


def _configure(fs: int, options: Options) -> None:
    for option in options.data:
        key, equals, value = os.fsencode(option).partition(b"=")
        mount.fsconfig_set(fs, key, value if equals else None)


def remount(root: bytes, destination: bytes, options: Options) -> None:
    """Change the mount at *destination* inside *root*, and with options of its own its file system; see mount(8)."""
    target = open_target(root, destination, directory=True)
    try:
        mount.mount_setattr(target, b"", 0, attr_set=options.attr_set, attr_clr=options.attr_clr)
        if options.data and not options.bind:
            fs = mount.fspick(target)
            try:
                _configure(fs, options)
                mount.fsconfig_reconfigure(fs)
            finally:
                os.close(fs)
    except SyscallError as error:
        raise HostError(f"mount on {os.fsdecode(destination)}", f"cannot be changed: {error}") from error
    finally:
        os.close(target)


def _reason(fs: int) -> str:
    """Return what the kernel wrote about its refusal on the file system's fd; see "message retrieval" in fsopen(2)."""
    lines = []
    while True:
        try:
            lines.append(os.read(fs, 4096).decode(errors="replace")[2:].strip())
        except OSError:
            return "; ".join(lines)


def copy_tree(source: str, options: Options, userns: int | None = None) -> int:
    """Return an fd of a detached copy of the mounts at *source*, with the attributes wanted; see open_tree(2).

    *userns* is an fd of a user namespace whose id mapping the copy shall show (MOUNT_ATTR_IDMAP, Linux 5.12).
    """
    deep = mount.AT_RECURSIVE if options.recursive else 0
    try:
        tree = mount.open_tree(mount.AT_FDCWD, os.fsencode(source), deep)
    except FileNotFoundError as error:
        raise UsageError(f"mount source {source}", "no such file or directory", "make it first") from error
    try:
        # A copy of a shared mount is its peer; made private once, it could not become its slave any more.
        mount.mount_setattr(tree, b"", mount.AT_RECURSIVE, propagation=options.propagation or mount.MS_PRIVATE)
        if options.attr_set or options.attr_clr:
            mount.mount_setattr(tree, b"", 0, attr_set=options.attr_set, attr_clr=options.attr_clr)
        if options.deep_set or options.deep_clr:
            mount.mount_setattr(tree, b"", mount.AT_RECURSIVE, attr_set=options.deep_set, attr_clr=options.deep_clr)
        if userns is not None:
            below = mount.AT_RECURSIVE if options.deep_idmap else 0
            mount.mount_setattr(tree, b"", below, attr_set=mount.MOUNT_ATTR_IDMAP, userns_fd=userns)
    except OSError:
        os.close(tree)
        raise
    return tree


class InNamespace:
    """Be, while this is entered, in the mount namespace at path *where*; entering tells its number; see setns(2).

    It needs a process of one thread, whose root and working directory become that namespace's and then ours again.
    """

    def __init__(self, where: str) -> None:
        self._theirs, self._ours = where, "/proc/self/ns/mnt"

    def __enter__(self) -> int:
        flags = os.O_RDONLY | os.O_CLOEXEC
        theirs = os.open(self._theirs, flags)
        try:
            self._home, self._here = os.open(self._ours, flags), os.open(".", os.O_PATH | os.O_CLOEXEC)
            process.setns(theirs, process.CLONE_NEWNS)
            return os.fstat(theirs).st_ino
        finally:
            os.close(theirs)

    def __exit__(self, *_: object) -> None:
        process.setns(self._home, process.CLONE_NEWNS)
        os.fchdir(self._here)
        os.close(self._home)
        os.close(self._here)


def open_target(root: bytes, destination: bytes, *, directory: bool, links: bool = True) -> int:
    """Open *destination* inside *root* as a place to mount on, making what is missing; see RESOLVE_IN_ROOT, openat2(2).

    Absolute links and ``..`` in it mean the container's root. With *links* false any symbolic link is refused (ELOOP).
    """
    resolve = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS | (0 if links else files.RESOLVE_NO_SYMLINKS)
    rootfd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            return files.openat2(rootfd, destination, os.O_PATH, resolve)
        except FileNotFoundError:
            _make_target(rootfd, destination, resolve, directory=directory)
            return files.openat2(rootfd, destination, os.O_PATH, resolve)
    finally:
        os.close(rootfd)


def _make_target(rootfd: int, destination: bytes, resolve: int, *, directory: bool) -> None:
    """Make the missing directories of *destination*, and the file or directory at its end, one name at a time."""
    names = [name for name in destination.split(b"/") if name not in (b"", b".")]
    for depth, name in enumerate(names):
        parent = files.openat2(rootfd, b"/" + b"/".join(names[:depth]), os.O_PATH | os.O_DIRECTORY, resolve)
        try:
            if depth < len(names) - 1 or directory:
                os.mkdir(name, 0o755, dir_fd=parent)
            else:
                os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent))
        except FileExistsError:
            pass
        finally:
            os.close(parent)


def place(tree: int, root: bytes, destination: bytes, *, links: bool = True) -> None:
    """Place the detached mount *tree* at *destination* inside *root* and close it; see move_mount(2).

    By a link in the image the path may lead into /proc, which must stay the kernel's: only who says /proc may mean it.
    """
    try:
        directory = stat.S_ISDIR(os.fstat(tree).st_mode)
        target = open_target(root, destination, directory=directory, links=links)
        try:
            _check_target(target, destination, directory=directory)
            mount.move_mount(tree, target)
        finally:
            os.close(target)
    except OSError as error:
        where = os.fsdecode(destination)
        raise TinyboxError(f"mount on {where}", error.strerror or str(error)) from error
    finally:
        os.close(tree)


def _check_target(target: int, destination: bytes, *, directory: bool) -> None:
    where = os.fsdecode(destination)
    said = os.path.normpath(destination).lstrip(b"/").startswith(b"proc/")
    if files.file_system(target) == files.PROC_SUPER_MAGIC and not said:
        raise TinyboxError(f"mount on {where}", "leads into the box's /proc")
    if stat.S_ISDIR(os.fstat(target).st_mode) != directory:  # the kernel says no more than EINVAL or ENOTDIR
        what, there = ("a directory", "a file") if directory else ("a file", "a directory")
        raise TinyboxError(f"mount on {where}", f"{what} cannot be mounted on {there}")


def mount_filesystem(root: bytes, destination: bytes, kind: bytes, source: bytes, options: Options) -> None:
    """Make a new file system and place it; /proc and /sys must not be links; see fsopen(2) and move_mount(2).

    A tmpfs has the mode of the directory that it covers, where ``mode=`` does not say another, and with ``tmpcopyup``
    what is in it, too.
    """
    links = kind not in (b"proc", b"sysfs")
    if any(len(word) > mount.FSCONFIG_VALUE_MAX for word in (source, *map(os.fsencode, options.data))):
        return place(_mounted_once(kind, source, options, root), root, destination, links=links)
    covered = _existing(root, destination) if kind == b"tmpfs" else None
    if covered is None:
        return place(new_filesystem(kind, source, options), root, destination, links=links)
    try:
        if not any(word.startswith("mode=") for word in options.data):
            options.data.append(f"mode={stat.S_IMODE(os.fstat(covered).st_mode):o}")
        tree = new_filesystem(kind, source, options)
        _copy_up(tree, options, covered)
    finally:
        os.close(covered)
    return place(tree, root, destination, links=links)


def _existing(root: bytes, destination: bytes) -> int | None:
    """Open the directory *destination* inside *root*, if there is one."""
    rootfd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        resolve = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS
        return files.openat2(rootfd, destination, os.O_PATH | os.O_DIRECTORY, resolve)
    except (FileNotFoundError, NotADirectoryError):
        return None
    finally:
        os.close(rootfd)


def _copy_up(tree: int, options: Options, covered: int) -> None:
    """Copy what is in the directory *covered* into the new file system *tree*, whatever its attributes will be."""
    if options.copy_up is None:
        return
    mount.mount_setattr(tree, b"", 0, attr_clr=mount.MOUNT_ATTR_RDONLY)
    options.copy_up(covered, tree)
    mount.mount_setattr(tree, b"", 0, attr_set=options.attr_set & mount.MOUNT_ATTR_RDONLY)


def bind(root: bytes, destination: bytes, source: str, options: Options) -> None:
    """Make part of the present tree visible at *destination* inside *root*, too; see open_tree(2)."""
    place(copy_tree(source, options), root, destination)
