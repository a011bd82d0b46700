"""Mount placeholders: empty files in a box's upper directory that tinybox has made; diff and commit skip them.

A mount needs a file to be mounted on. If an image has no /etc/hosts, tinybox makes an empty file, which no process in
the box sees. So it is not a change that the box has made. It is where the links of the image lead: /etc may be a link.
"""

from __future__ import annotations

import os
import stat

from tinybox.container.config.networking import ETC
from tinybox.container.storage.etc import MARK
from tinybox.isolation.merged import Merged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def made(upper: str, layers: Sequence[str], mark: str, more: Sequence[str] = ()) -> set[str]:
    """Return the paths in *upper* that tinybox has made: /.dockerenv, and mount points of files of /etc and of *more*.

    Their directories are among them, if *upper* has nothing else in them and they are unchanged. *mark* is the
    overlay's attribute of opaque directories; see overlay.opaque_mark.
    """
    found: set[bytes] = set()
    layers = [layer for layer in layers if layer]
    with Merged([*layers, upper], mark) as box, Merged(layers) as image, Merged([upper]) as own:
        for path in [*ETC, MARK, *more]:
            try:
                place = box.resolve(os.fsencode(path))
            except OSError:
                continue  # the box has removed it, or has made a loop of links
            if image.stat(place) is None and (_is_empty_file(own.stat(place)) or _is_empty_directory(place, own)):
                found.add(place)
        for place in list(found):
            folder = place.rpartition(b"/")[0]
            while folder and _is_unchanged(folder, own, image, found):
                found.add(folder)
                folder = folder.rpartition(b"/")[0]
    return {f"/{os.fsdecode(place)}" for place in found}


def _is_empty_file(info: os.stat_result | None) -> bool:
    return info is not None and stat.S_ISREG(info.st_mode) and info.st_size == 0


def _is_empty_directory(place: bytes, own: Merged) -> bool:
    info = own.stat(place)
    return info is not None and stat.S_ISDIR(info.st_mode) and not own.names(own.root, place)


def _is_unchanged(folder: bytes, own: Merged, image: Merged, found: set[bytes]) -> bool:
    """Return whether *folder* in *own* has only the files *found*, and the owner and mode that the image gives it."""
    names = map(os.fsencode, own.names(own.root, folder))
    ours, theirs = own.stat(folder), image.stat(folder)
    if ours is None or not {folder + b"/" + name for name in names} <= found:
        return False
    if theirs is None or not stat.S_ISDIR(theirs.st_mode):
        return theirs is None
    return (ours.st_mode, ours.st_uid, ours.st_gid) == (theirs.st_mode, theirs.st_uid, theirs.st_gid)
