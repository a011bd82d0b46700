"""Mounts of a container: make each one detached, then place it at a path inside the container's root.

The image or a program in the container chooses the links in such a path. So the path is opened with openat2(2), by
which no link leads out of the root, and the mount is placed on the open directory, not on its name.
"""

from __future__ import annotations

import os
import stat

from tinybox.errors import HostError, SyscallError, TinyboxError, UsageError
from tinybox.isolation.mount_options import Options as Options  # noqa: PLC0414  other modules use mounts.Options
from tinybox.linux import mount, process
from tinybox.linux.filesystem import files, inside

_MODE_OF_TMPFS = 0o1777  # of a new one: see tmpfs(5)


def make_private() -> None:
    """Make ``/`` and all mounts below private, so that no mount spreads to the host or back; see mount_namespaces(7).

    Under systemd ``/`` is shared. Without this step pivot_root(2) fails with EINVAL, and every other mount of the
    container would appear on the host as well: a common mistake.
    """
    mount.mount_setattr(mount.AT_FDCWD, b"/", mount.AT_RECURSIVE, propagation=mount.MS_PRIVATE)


def make_slave() -> None:
    """Make ``/`` and all mounts below slaves: they get the host's new mounts, not the reverse; mount_namespaces(7)."""
    mount.mount_setattr(mount.AT_FDCWD, b"/", mount.AT_RECURSIVE, propagation=mount.MS_SLAVE)


def set_root_propagation(flag: int) -> None:
    """Set the propagation MS_* *flag* of the root mount, for mounts made on it later; see mount_namespaces(7)."""
    mount.mount_setattr(mount.AT_FDCWD, b"/", 0, propagation=flag)


def new_filesystem(kind: bytes, source: bytes, options: Options, context: int | None = None) -> int:
    """Make a file system and return an fd of its detached mount; see fsopen(2), fsconfig(2) and fsmount(2).

    *context* is an fd of fsopen(2) from another process, if given; it is closed. HostError: the kernel refuses, with
    the kernel's message.
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
    """Do the same as `new_filesystem` for long options: mount(2) accepts DATA_MAX bytes of them.

    mount(2) needs a directory: the file system covers the directory *where* for a moment, until there is an fd of a
    copy of its mount.
    """
    data = os.fsencode(",".join(options.data))
    thing = f"{kind.decode()} file system"
    if len(data) > mount.DATA_MAX:
        raise HostError(thing, f"options of {len(data)} bytes, the kernel takes {mount.DATA_MAX}", "use shorter paths")
    try:
        mount.mount(source or kind, where, kind, 0, data)
    except SyscallError as error:
        raise HostError(thing, str(error)) from error
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
    """Change the attributes of the mount at *destination* inside *root*, and its file system's options; mount(8)."""
    target = open_existing(root, destination)
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
    """Return the kernel's messages about an error, read from the fd *fs*; see "message retrieval" in fsopen(2)."""
    lines = []
    while True:
        try:
            lines.append(os.read(fs, 4096).decode(errors="replace")[2:].strip())
        except OSError:
            return "; ".join(lines)


def copy_tree(source: str, options: Options, userns: int | None = None) -> int:
    """Return an fd of a detached copy of the mounts at *source*, with the attributes of *options*; see open_tree(2).

    *userns* is an fd of a user namespace: the copy shows file owners with its id map (MOUNT_ATTR_IDMAP, Linux 5.12).
    UsageError: there is no *source*.
    """
    deep = mount.AT_RECURSIVE if options.recursive else 0
    try:
        tree = mount.open_tree(mount.AT_FDCWD, os.fsencode(source), deep)
    except FileNotFoundError as error:
        raise UsageError(f"mount source {source}", "no such file or directory", "make it first") from error
    return _changed(tree, options, userns)


def _changed(tree: int, options: Options, userns: int | None = None) -> int:
    """Give the detached *tree* the propagation, the attributes and the id map of a bind mount, and return it."""
    try:
        # A copy of a shared mount is in the same peer group; once it was private, it could not become a slave of that.
        mount.mount_setattr(tree, b"", mount.AT_RECURSIVE, propagation=options.propagation or mount.MS_PRIVATE)
        if options.attr_set or options.attr_clr:
            mount.mount_setattr(tree, b"", 0, attr_set=options.attr_set, attr_clr=options.cleared())
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
    """A context manager: inside it, this process is in the mount namespace at path *where*; see setns(2).

    ``with`` gives the inode number of that namespace. The process must have one thread. Its root and its working
    directory are those of the namespace, and at the end its former ones.
    """

    def __init__(self, where: str) -> None:
        self._where, self._former = where, "/proc/self/ns/mnt"

    def __enter__(self) -> int:
        flags = os.O_RDONLY | os.O_CLOEXEC
        namespace = os.open(self._where, flags)
        try:
            self._namespace, self._directory = os.open(self._former, flags), os.open(".", os.O_PATH | os.O_CLOEXEC)
            process.setns(namespace, process.CLONE_NEWNS)
            return os.fstat(namespace).st_ino
        finally:
            os.close(namespace)

    def __exit__(self, *_: object) -> None:
        process.setns(self._namespace, process.CLONE_NEWNS)
        os.fchdir(self._directory)
        os.close(self._namespace)
        os.close(self._directory)


def open_target(root: bytes, destination: bytes, *, directory: bool, links: bool = True, mode: int = 0o755) -> int:
    """Open the mount point *destination* inside *root*, and make it if it is missing; see RESOLVE_IN_ROOT, openat2(2).

    Absolute links and ``..`` in it start at the container's root; the target of a dangling link is made. With *links*
    false, a symbolic link in it is ELOOP. A directory that is made has the *mode*.
    """
    resolve = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS | (0 if links else files.RESOLVE_NO_SYMLINKS)
    with inside.Root(root) as rootfd:
        try:
            return files.openat2(rootfd, destination, os.O_PATH, resolve)
        except FileNotFoundError:
            inside.make(rootfd, destination, directory=directory, mode=mode)
            return files.openat2(rootfd, destination, os.O_PATH, resolve)


def place(tree: int, root: bytes, destination: bytes, *, links: bool = True, mode: int = 0o755) -> None:
    """Place the detached mount *tree* at *destination* inside *root* and close it; see move_mount(2), `open_target`.

    TinyboxError: a link in the image leads the path into /proc, whose files must stay the kernel's. Only a
    *destination* that itself begins with /proc may be there.
    """
    try:
        directory = stat.S_ISDIR(os.fstat(tree).st_mode)
        target = open_target(root, destination, directory=directory, links=links, mode=mode)
        try:
            _check_target(target, destination)
            _move(tree, target, os.fsdecode(destination), directory=directory)
        finally:
            os.close(target)
    except OSError as error:
        raise TinyboxError(f"mount on {os.fsdecode(destination)}", error.strerror or str(error)) from error
    finally:
        os.close(tree)


def _check_target(target: int, destination: bytes) -> None:
    names_proc = os.path.normpath(destination).lstrip(b"/").startswith(b"proc/")
    if not names_proc and files.file_system(target) == files.PROC_SUPER_MAGIC:
        raise TinyboxError(f"mount on {os.fsdecode(destination)}", "leads into the box's /proc")


def _move(tree: int, target: int, where: str, *, directory: bool) -> None:
    try:
        mount.move_mount(tree, target)
    except OSError as error:
        if stat.S_ISDIR(os.fstat(target).st_mode) != directory:  # the kernel returns only EINVAL or ENOTDIR
            source, there = ("a directory", "a file") if directory else ("a file", "a directory")
            raise TinyboxError(f"mount on {where}", f"{source} cannot be mounted on {there}") from error
        raise


def mount_filesystem(root: bytes, destination: bytes, kind: bytes, source: bytes, options: Options) -> None:
    """Make a new file system and place it at *destination* inside *root*; see fsopen(2) and move_mount(2).

    For proc and sysfs, a link in the path is an error. A tmpfs gets the mode of the directory that it covers, unless
    ``mode=`` sets another, and with ``tmpcopyup`` a copy of its content. A directory that is made for it gets the mode
    of a new tmpfs: so it has this mode at the next start as well.
    """
    links = kind not in (b"proc", b"sysfs")
    if kind != b"tmpfs":
        return place(_new(kind, source, options, root), root, destination, links=links)
    has_mode = any(option.startswith("mode=") for option in options.data)
    if has_mode and options.copy_up is None:  # nothing depends on the directory that it covers
        return place(_new(kind, source, options, root), root, destination)
    try:
        covered = open_existing(root, destination, os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        mode = 0o755 if has_mode else _MODE_OF_TMPFS
        return place(_new(kind, source, options, root), root, destination, mode=mode)
    try:
        if not has_mode:
            options.data.append(f"mode={stat.S_IMODE(os.fstat(covered).st_mode):o}")
        tree = _new(kind, source, options, root)
        _copy_up(tree, options, covered)
    finally:
        os.close(covered)
    return place(tree, root, destination)


def _new(kind: bytes, source: bytes, options: Options, where: bytes) -> int:
    """Make a file system by fsopen(2), or for long options by mount(2) on *where*; return an fd of its mount."""
    if any(len(value) > mount.FSCONFIG_VALUE_MAX for value in (source, *map(os.fsencode, options.data))):
        return _mounted_once(kind, source, options, os.path.realpath(where))
    return new_filesystem(kind, source, options)


def open_existing(root: bytes, path: bytes, flags: int = 0) -> int:
    """Open *path* inside *root* with O_PATH; its links are resolved there; see openat2(2)."""
    with inside.Root(root) as rootfd:
        return files.openat2(rootfd, path, os.O_PATH | flags, files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS)


def _copy_up(tree: int, options: Options, covered: int) -> None:
    """Copy the content of the directory *covered* into the new file system *tree*, also if that will be read-only."""
    if options.copy_up is None:
        return
    mount.mount_setattr(tree, b"", 0, attr_clr=mount.MOUNT_ATTR_RDONLY)
    options.copy_up(covered, tree)
    mount.mount_setattr(tree, b"", 0, attr_set=options.attr_set & mount.MOUNT_ATTR_RDONLY)


def bind(root: bytes, destination: bytes, source: str, options: Options) -> None:
    """Bind-mount the file or directory *source* of this mount namespace at *destination* in *root*; open_tree(2)."""
    place(copy_tree(source, options), root, destination)


def bind_from_inside(root: bytes, destination: bytes, source: bytes, options: Options) -> None:
    """Bind-mount *source*, a path inside *root*, where former mounts may have made it; open_tree(2), `copy_tree`."""
    try:
        fd = open_existing(root, source)
    except FileNotFoundError as error:
        raise UsageError(f"mount source {os.fsdecode(root + source)}", "no such file or directory") from error
    try:
        tree = mount.open_tree(fd, b"", mount.AT_RECURSIVE if options.recursive else 0)
        place(_changed(tree, options), root, destination)
    finally:
        os.close(fd)


def make_readonly(root: bytes, destination: bytes) -> None:
    """Make the mount at *destination* inside *root* read-only, after all was made in it; see mount_setattr(2)."""
    target = open_existing(root, destination)
    try:
        mount.mount_setattr(target, b"", 0, attr_set=mount.MOUNT_ATTR_RDONLY)
    finally:
        os.close(target)
