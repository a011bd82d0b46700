"""Copy-on-write: the image's layers below, read-only and shared; one empty directory above, where all changes go.

overlayfs merges them into one tree. A file is read where it is found first, and copied up when it is first written; a
deleted one is hidden by a "whiteout", a character device 0:0. So a container's changes *are* its upper directory.
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

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # a layer that has a link on the way has nothing behind it


def escape(path: str) -> str:
    """Return *path* as overlayfs reads it in an option: colons, commas and backslashes escaped."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def stack(layers: Sequence[str]) -> list[str]:
    """Return *layers*, bottom first, each once: of two the upper one, which covers all of the lower one's files.

    An image may list the same content twice, and overlayfs refuses a directory that lies in its stack twice (ELOOP).
    """
    return list(dict.fromkeys(reversed(layers)))[::-1]


def data(layers: Sequence[str], upper: str, work: str, *, userns: bool) -> str:
    """Return the options of an overlay whose *layers* lie bottom first; ``lowerdir`` wants the top one first.

    In a user namespace overlayfs keeps its notes in ``user.overlay.*`` attributes (userxattr, Linux 5.11), and makes no
    redirects: a directory is then renamed by copying it. Elsewhere a host may have made redirects its default; they
    are switched off, for the upper directory is to be readable as a layer.
    """
    lower = ":".join(escape(layer) for layer in reversed(stack(layers)))
    options = f"lowerdir={lower},upperdir={escape(upper)},workdir={escape(work)}"
    return f"{options},userxattr" if userns else f"{options},redirect_dir=nofollow,metacopy=off"


def mount_overlay(layers: Sequence[str], upper: str, work: str, target: str, *, userns: bool = False) -> None:
    """Mount the overlay of *layers* and *upper* on *target*; see mount(2) and overlayfs in the kernel's documentation.

    mount(2) and not fsconfig(2), which takes at most 255 bytes a value, while ``lowerdir`` names every layer. Raises
    HostError where the store itself lies on a file system that cannot carry an upper directory.
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
    """Mount two or more *layers*, bottom first, on *target* to be read only; see overlayfs, "multiple lower layers"."""
    lower = ":".join(escape(layer) for layer in reversed(stack(layers)))
    mount.mount(b"overlay", os.fsencode(target), b"overlay", 0, os.fsencode(f"lowerdir={lower}"))


def opaque_mark(*, userns: bool) -> str:
    """Name the attribute by which overlayfs marks an opaque directory; the other one is a box's to set; see `data`."""
    return "user.overlay.opaque" if userns else "trusted.overlay.opaque"


def changes(upper: str, layers: Sequence[str], mark: str) -> Iterator[tuple[str, str]]:
    """Yield ``(kind, path)`` for each change in *upper*, sorted by path: A added, C changed, D deleted.

    Only a directory with overlayfs's own *mark* is opaque: the attribute of the other kind, any program can set.

    Told as ``docker diff`` tells it: what was copied up and is as it was is no change; a directory is changed when
    something in it is. See "whiteouts and opaque directories" in the kernel's overlayfs documentation. Where a path is
    longer than any program can name, TinyboxError says so.
    """
    fds = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in (upper, *reversed(layers)) if path]
    try:
        yield from _changes(fds[0], fds[1:], mark)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        cause = f"a path in it is longer than {files.LONGEST_PATH} bytes, and neither it nor what follows can be listed"
        raise TinyboxError("diff", cause, "remove it, or move it further up") from error
    finally:
        for fd in fds:
            os.close(fd)


class _Level:
    """One directory of the upper tree on the way down: what is in it, and what it covers."""

    def __init__(self, top: int, path: str, below: list[int], mark: str, *, hidden: bool) -> None:
        self.path, self.below = path, below  # below are the layers, top first
        fd = _opened(top, path, os.O_RDONLY | os.O_DIRECTORY)
        self.hidden, self.here = hidden, {}
        if fd is not None:  # it may have gone meanwhile
            try:
                self.hidden = hidden or _opaque(fd, mark)  # what the layers have here is not seen
                self.here = dict(_infos(fd))
            finally:
                os.close(fd)
        gone = _names(below, path) if self.hidden else set()
        self.names = iter(sorted(gone.union(self.here)))


def _changes(top: int, layers: list[int], mark: str) -> Iterator[tuple[str, str]]:
    """Yield the changes below the open *top*, against the open *layers*, however deep the tree is."""
    way = [_Level(top, "", layers, mark, hidden=False)]
    unchanged: list[str] = []  # directories on the way that are as they were, unless something in them has changed
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
    """Tell in a letter how what is *under* became *info*, each without what is in it; nothing if it has not changed."""
    if info is None or _is_whiteout(info):
        return "" if under is None else "D"
    if under is None:
        return "A"
    return "" if _compared(info) == _compared(under) else "C"


def _compared(info: os.stat_result) -> tuple[int, ...]:
    """Return what a change shows in; a directory's time and size say only that something in it has changed."""
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
    """Open *path*, with a slash before it, below *top*; None where it is not, or lies behind a link; see openat2(2)."""
    try:
        return files.open_straight(top, os.fsencode(path[1:]) or b".", flags)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return None


def _seen(below: list[int], path: str) -> os.stat_result | None:
    """Return what the layers *below* show at *path*, or None where there is nothing or a whiteout."""
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
