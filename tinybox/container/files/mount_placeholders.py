"""Mount placeholders: empty files in a box's upper directory that are only mount points; diff and commit skip them.

A mount needs a file to be mounted on. If an image has no /etc/hosts, tinybox makes an empty file, which no process in
the box sees. So it is not a change that the box has made.
"""

from __future__ import annotations

import errno
import os
import stat

from tinybox.container.config.networking import ETC
from tinybox.linux import files, inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_STRAIGHT = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_SYMLINKS


def made(upper: str, layers: Sequence[str]) -> set[str]:
    """Return the paths in *upper* that were made as mount points for the three files of /etc.

    If the image has a dangling link there, the file was made where the link leads. A directory is among the paths if
    *upper* has nothing else in it and it is unchanged.
    """
    found = set()
    for path in ETC:
        end = _end_of(path, [upper, *reversed(layers)])
        if _is_empty_file(_look(upper, end)) and not any(_in(layers, end)):
            found.add(end)
    folders = {path[:at] for path in found for at in range(1, len(path)) if path[at] == "/"}
    for folder in sorted(folders, key=lambda path: path.count("/"), reverse=True):
        if _is_unchanged(folder, upper, layers, found):
            found.add(folder)
    return found


def _end_of(path: str, stack: Sequence[str]) -> str:
    """Return the path to which *path* leads, by the links in the directories *stack*, top first; path_resolution(7)."""
    pending, done = path.split("/")[::-1], list[str]()
    for _ in range(inside.LINKS_MAX):
        while pending:
            name = pending.pop()
            if name in ("", ".", ".."):
                done = done[:-1] if name == ".." else done
                continue
            target = _target(stack, "/".join(["", *done, name]))
            if target is not None:
                break
            done.append(name)
        else:
            break
        pending += target.split("/")[::-1]
        done = [] if target.startswith("/") else done
    return "/" + "/".join(done)


def _target(stack: Sequence[str], path: str) -> str | None:
    """Return the target of the topmost file *path* in the directories *stack*, if that is a link."""
    for top in stack:
        info = _look(top, path) if top else None
        if info is not None:
            return os.readlink(top + path) if stat.S_ISLNK(info.st_mode) else None
    return None


def _in(layers: Iterable[str], path: str) -> list[os.stat_result]:
    """Return the stat results of *path* in the *layers* that have it, bottom first."""
    return [info for info in (_look(layer, path) for layer in layers if layer) if info]


def _look(top: str, path: str) -> os.stat_result | None:
    """Return the stat result of *path* below the directory *top*, with no link followed; None if there is no such file.

    See openat2(2).
    """
    root = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = files.openat2(root, os.fsencode(path), os.O_PATH | os.O_NOFOLLOW, _STRAIGHT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a directory of the path is a link: its target is another path
            return None
        raise
    finally:
        os.close(root)
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def _is_empty_file(info: os.stat_result | None) -> bool:
    return info is not None and stat.S_ISREG(info.st_mode) and info.st_size == 0


def _is_unchanged(folder: str, upper: str, layers: Sequence[str], found: Iterable[str]) -> bool:
    """Return whether *folder* in *upper* has only the files *found*, and the owner and mode that the image gives it."""
    if {f"{folder}/{name}" for name in os.listdir(upper + folder)} - set(found):
        return False
    below = [info for info in reversed(_in(layers, folder)) if stat.S_ISDIR(info.st_mode)]
    ours = os.lstat(upper + folder)
    return not below or (ours.st_mode, ours.st_uid, ours.st_gid) == (below[0].st_mode, below[0].st_uid, below[0].st_gid)
