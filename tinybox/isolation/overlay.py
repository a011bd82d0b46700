"""Copy-on-write: the image's layers below, read-only and shared; one empty directory above, where all changes go.

overlayfs merges them into one tree. A file is read where it is found first, and copied up when it is first written; a
deleted one is hidden by a "whiteout", a character device 0:0. So a container's changes *are* its upper directory.
"""

from __future__ import annotations

import os
import stat

from tinybox.errors import HostError, SyscallError
from tinybox.linux import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


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


def changes(upper: str, layers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield ``(kind, path)`` for each change in *upper*, sorted by path: A added, C changed, D deleted.

    Told as ``docker diff`` tells it: what was copied up and is as it was is no change; a directory is changed when
    something in it is. See "whiteouts and opaque directories" in the kernel's overlayfs documentation.
    """
    return _changes(upper, list(reversed(layers)), "", hidden=False)


def _changes(upper: str, below: list[str], path: str, *, hidden: bool) -> Iterator[tuple[str, str]]:
    """Yield the changes under *path*; *below* are the layers, top first; *hidden*: what they have here is not seen."""
    hidden = hidden or _opaque(upper + path)
    here = {entry.name: entry.stat(follow_symlinks=False) for entry in os.scandir(upper + path)}
    gone = _names(below, path) if hidden else set()
    for name in sorted(gone.union(here)):
        where, info = f"{path}/{name}", here.get(name)
        under = _seen(below, where)
        if info is None or _is_whiteout(info):
            if under is not None:
                yield "D", where
            continue
        inside: list[tuple[str, str]] = []
        if stat.S_ISDIR(info.st_mode):
            both = under is not None and stat.S_ISDIR(under.st_mode)
            inside = list(_changes(upper, below if both else [], where, hidden=hidden))
        if under is None or inside or _compared(info) != _compared(under):
            yield ("A" if under is None else "C"), where
        yield from inside


def _compared(info: os.stat_result) -> tuple[int, ...]:
    """Return what a change shows in; a directory's time and size say only that something in it has changed."""
    content = () if stat.S_ISDIR(info.st_mode) else (info.st_size, info.st_mtime_ns)
    return (info.st_mode, info.st_uid, info.st_gid, info.st_rdev, *content)


def _is_whiteout(info: os.stat_result) -> bool:
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def _seen(below: list[str], name: str) -> os.stat_result | None:
    """Return what the layers *below* show at *name*, or None where there is nothing or a whiteout."""
    for layer in below:
        try:
            info = os.lstat(layer + name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return None if _is_whiteout(info) else info
    return None


def _names(below: list[str], path: str) -> set[str]:
    names = set()
    for layer in below:
        try:
            names.update(os.listdir(layer + path))
        except (FileNotFoundError, NotADirectoryError):
            continue
    return {name for name in names if _seen(below, f"{path}/{name}") is not None}


def _opaque(directory: str) -> bool:
    for attribute in ("trusted.overlay.opaque", "user.overlay.opaque"):
        try:
            if os.getxattr(directory, attribute, follow_symlinks=False) == b"y":
                return True
        except OSError:
            continue
    return False
