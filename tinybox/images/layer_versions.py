"""Find every version of one file in a stack of layers: the one that is seen, those that it covers, and what hides them.

A name is looked up in each layer as overlayfs does it, the top layer first: a whiteout, a file in place of a directory,
or an opaque directory hides what the layers below have; see the kernel's documentation of overlayfs.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from tinybox.linux.filesystem.files import open_straight
from tinybox.linux.filesystem.overlay_marks import has_mark, is_whiteout, mark_beside, opaque_of_layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tinybox.images.layer_report import Source

SEEN, MERGED, COVERED = "seen", "merged", "covered"
DELETED, HIDES = "deleted", "hides"


class Version(NamedTuple):
    """What the layer *number* has at a place: *state*, and the file's *info*, None if the layer has only a mark.

    The states: SEEN, the file that a container sees; MERGED, a directory whose files are seen together with those of
    a directory above it; COVERED, a version that nobody sees; DELETED, a whiteout of this file; HIDES, a whiteout, a
    file or an opaque directory further up in the path, *place*. *target* is where a symbolic link leads.
    """

    number: int
    state: str
    info: os.stat_result | None
    place: str = ""
    target: str = ""


def versions(sources: Sequence[Source], path: bytes) -> list[Version]:
    """Return the versions of the file *path*, without a slash at its beginning, the top layer first.

    *sources* are the layers, the bottom one first. OSError: a layer cannot be read.
    """
    found: list[Version] = []
    hidden = is_seen = False
    for number, source in reversed(list(enumerate(sources, 1))):
        if any(source.tree == later.tree for later in sources[number:]):
            continue  # the same layer is there once more, further up
        top = os.open(source.tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            here = list(_versions(top, number, path, source))
        finally:
            os.close(top)
        for version in here:
            state = version.state
            if state == SEEN:
                is_folder = version.info is not None and stat.S_ISDIR(version.info.st_mode)
                state = COVERED if hidden or (is_seen and not is_folder) else MERGED if is_seen else SEEN
                is_seen = is_seen or not hidden
                hidden = hidden or not is_folder
            found.append(version._replace(state=state))
        hidden = hidden or any(version.state in (DELETED, HIDES) for version in here)
    return found


def _versions(top: int, number: int, path: bytes, source: Source) -> Iterator[Version]:
    """Yield what one layer alone has at *path*: a file, or the mark that hides it in lower layers."""
    parts = path.split(b"/") if path else []
    for length in range(len(parts) + 1):
        place = b"/".join(parts[:length])
        shown = f"/{os.fsdecode(place)}"
        if shown in source.without:
            return
        try:
            fd = open_straight(top, place or b".")
        except FileNotFoundError:
            if _is_hidden(top, place):
                yield Version(number, DELETED if length == len(parts) else HIDES, None, shown)
            return
        try:
            info, is_last = os.fstat(fd), length == len(parts)
            if is_whiteout(info):
                yield Version(number, DELETED if is_last else HIDES, None, shown)
            elif is_last:
                target = os.fsdecode(os.readlink(b"", dir_fd=fd)) if stat.S_ISLNK(info.st_mode) else ""
                yield Version(number, SEEN, info, shown, target)
            elif not stat.S_ISDIR(info.st_mode):
                yield Version(number, HIDES, None, shown)
            if stat.S_ISDIR(info.st_mode) and _is_opaque(top, place, source.mark or opaque_of_layers()):
                yield Version(number, HIDES, None, shown)
            if is_whiteout(info) or not stat.S_ISDIR(info.st_mode):
                return
        finally:
            os.close(fd)


def _is_hidden(top: int, path: bytes) -> bool:
    mark = mark_beside(path)
    try:
        if mark is not None:
            os.close(open_straight(top, mark))
    except FileNotFoundError:
        return False
    return mark is not None


def _is_opaque(top: int, path: bytes, mark: str) -> bool:
    fd = open_straight(top, path or b".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        return has_mark(fd, mark)
    finally:
        os.close(fd)
