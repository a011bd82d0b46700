"""Overlay file system: mount an image's layers and a container's upper directory, and list the changes (diff).

The layers are read-only and shared; the upper directory is empty at first and gets all changes (copy-on-write).
overlayfs merges them into one tree. A file is read from the uppermost directory that has it, and copied up when it is
first written. A deleted file is hidden by a "whiteout", a character device 0:0. So the upper directory contains exactly
the container's changes.
"""

from __future__ import annotations

import errno
import os
import stat

from tinybox.errors import HostError, SyscallError, TinyboxError
from tinybox.linux import files, mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # a layer with a link in the path has no file at that path


def escape(path: str) -> str:
    """Return *path* for an option of overlayfs: with colons, commas and backslashes escaped."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def stack(layers: Sequence[str]) -> list[str]:
    """Return *layers*, bottom first, without duplicates: only the upper one of two equal layers is kept.

    An image may list the same layer twice, and overlayfs refuses a directory that is twice in its stack (ELOOP). The
    upper one covers all files of the lower one.
    """
    return list(dict.fromkeys(reversed(layers)))[::-1]


def data(layers: Sequence[str], upper: str, work: str, *, userns: bool) -> str:
    """Return the mount options of an overlay of *layers*, bottom first; in ``lowerdir`` the top layer is first.

    In a user namespace overlayfs keeps its metadata in ``user.overlay.*`` attributes (userxattr, Linux 5.11), and makes
    no redirects: a directory is then renamed by copying it. Otherwise the host's default may allow redirects; they are
    switched off, because the upper directory must be usable as a layer.
    """
    lower = ":".join(escape(layer) for layer in reversed(stack(layers)))
    options = f"lowerdir={lower},upperdir={escape(upper)},workdir={escape(work)}"
    return f"{options},userxattr" if userns else f"{options},redirect_dir=nofollow,metacopy=off"


def mount_overlay(layers: Sequence[str], upper: str, work: str, target: str, *, userns: bool = False) -> None:
    """Mount the overlay of *layers* and *upper* on *target*; see mount(2) and overlayfs in the kernel's documentation.

    It uses mount(2), because fsconfig(2) accepts at most 255 bytes for a value, and ``lowerdir`` names every layer.
    HostError: the options are too long, or the store is on a file system that cannot have an upper directory.
    """
    options = os.fsencode(data(layers, upper, work, userns=userns))
    if len(options) > mount.DATA_MAX:
        cause = f"{len(layers)} layers need {len(options)} bytes of options, the kernel takes {mount.DATA_MAX}"
        raise HostError("overlay", cause)
    try:
        mount.mount(b"overlay", os.fsencode(target), b"overlay", 0, options)
    except SyscallError as error:
        cure = "put the store on ext4, xfs, btrfs or tmpfs: --root DIR or TINYBOX_ROOT"
        raise HostError(f"overlay on {os.path.dirname(upper)}", str(error), cure) from error


def mount_merged(layers: Sequence[str], target: str) -> None:
    """Mount two or more *layers*, bottom first, read-only on *target*; see overlayfs, "multiple lower layers"."""
    lower = ":".join(escape(layer) for layer in reversed(stack(layers)))
    mount.mount(b"overlay", os.fsencode(target), b"overlay", 0, os.fsencode(f"lowerdir={lower}"))


def opaque_mark(*, userns: bool) -> str:
    """Return the attribute that marks an opaque directory in overlayfs; a container may set the other one; see `data`.

    An opaque directory hides the directories of the same path in the layers below.
    """
    return "user.overlay.opaque" if userns else "trusted.overlay.opaque"


def changes(upper: str, layers: Sequence[str], mark: str) -> Iterator[tuple[str, str]]:
    """Yield ``(kind, path)`` for each change in *upper*, sorted by path: A added, C changed, D deleted.

    *mark* is the attribute of opaque directories that this overlay uses: any program can set the other one.

    The result is that of ``docker diff``: a file that was copied up and is unchanged is no change; a directory is
    changed if a file in it is. See "whiteouts and opaque directories" in the kernel's overlayfs documentation.
    TinyboxError: a path is longer than PATH_MAX.
    """
    fds = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in (upper, *reversed(layers)) if path]
    try:
        yield from _changes(fds[0], fds[1:], mark)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        cause = f"a path in it is longer than {files.LONGEST_PATH} bytes; it and the paths after it cannot be listed"
        raise TinyboxError("diff", cause, "remove it, or move it further up") from error
    finally:
        for fd in fds:
            os.close(fd)


class _Level:
    """A directory of the upper tree during the walk: the files in it, and the names of those that it hides."""

    def __init__(self, top: int, path: str, below: list[int], mark: str, *, hidden: bool) -> None:
        self.path, self.below = path, below  # below are the layers, top first
        fd = _opened(top, path, os.O_RDONLY | os.O_DIRECTORY)
        self.hidden, self.here = hidden, {}
        if fd is not None:  # it may have been removed since its name was read
            try:
                self.hidden = hidden or _opaque(fd, mark)  # this directory of the layers is hidden
                self.here = dict(_infos(fd))
            finally:
                os.close(fd)
        gone = _names(below, path) if self.hidden else set()
        self.names = iter(sorted(gone.union(self.here)))


def _changes(top: int, layers: list[int], mark: str) -> Iterator[tuple[str, str]]:
    """Yield the changes below the open *top*, compared with the open *layers*, for a tree of any depth."""
    way = [_Level(top, "", layers, mark, hidden=False)]
    unchanged: list[str] = []  # directories on the current path without a change of their own or in them so far
    while way:
        level = way[-1]
        name = next(level.names, None)
        if name is None:
            way.pop()
            if unchanged and unchanged[-1] == level.path:
                unchanged.pop()
            continue
        where, info = f"{level.path}/{name}", level.here.get(name)
        under = _seen(level.below, where)
        kind = _kind(info, under)
        if kind:
            yield from (("C", path) for path in unchanged)
            unchanged.clear()
            yield kind, where
        if info is not None and stat.S_ISDIR(info.st_mode):
            if not kind:
                unchanged.append(where)
            both = under is not None and stat.S_ISDIR(under.st_mode)
            way.append(_Level(top, where, level.below if both else [], mark, hidden=level.hidden))


def _kind(info: os.stat_result | None, under: os.stat_result | None) -> str:
    """Return the letter of the change from the file *under* to the file *info*; "" if there is none.

    Of two directories it compares the attributes, not the content.
    """
    if info is None or _is_whiteout(info):
        return "" if under is None else "D"
    if under is None:
        return "A"
    return "" if _compared(info) == _compared(under) else "C"


def _compared(info: os.stat_result) -> tuple[int, ...]:
    """Return the fields that differ after a change; without the time and size of a directory.

    These two change with every entry of the directory.
    """
    content = () if stat.S_ISDIR(info.st_mode) else (info.st_size, info.st_mtime_ns)
    return (info.st_mode, info.st_uid, info.st_gid, info.st_rdev, *content)


def _is_whiteout(info: os.stat_result) -> bool:
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def _infos(fd: int) -> Iterator[tuple[str, os.stat_result]]:
    for name in os.listdir(fd):
        try:
            yield name, os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            continue


def _opened(top: int, path: str, flags: int) -> int | None:
    """Open *path*, which begins with a slash, below *top*; None: it is missing, or behind a link; see openat2(2)."""
    try:
        return files.open_straight(top, os.fsencode(path[1:]) or b".", flags)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return None


def _seen(below: list[int], path: str) -> os.stat_result | None:
    """Return the stat of *path* in the layers *below*, the top one first; None if it is missing or a whiteout."""
    for layer in below:
        fd = _opened(layer, path, os.O_PATH)
        if fd is None:
            continue
        try:
            info = os.fstat(fd)
        finally:
            os.close(fd)
        return None if _is_whiteout(info) else info
    return None


def _names(below: list[int], path: str) -> set[str]:
    names = set()
    for layer in below:
        fd = _opened(layer, path, os.O_RDONLY | os.O_DIRECTORY)
        if fd is None:
            continue
        try:
            names.update(os.listdir(fd))
        finally:
            os.close(fd)
    return {name for name in names if _seen(below, f"{path}/{name}") is not None}


def _opaque(directory: int, mark: str) -> bool:
    try:
        return os.getxattr(directory, mark) == b"y"
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise
        return False
