"""What a box's upper directory has only because something is mounted there, and so is no change of the box's own.

A mount needs a file to lie on. Where an image has no /etc/hosts, the box gets an empty one, which nobody in it sees.
"""

from __future__ import annotations

import os
import stat

from tinybox.container.configure_network import ETC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def made(upper: str, layers: Sequence[str]) -> set[str]:
    """Return the paths in *upper* that were made for our three files of /etc; and /etc, if all else in it is theirs."""
    found = {path for path in ETC if _is_empty_file(upper + path) and not any(map(os.path.lexists, _in(layers, path)))}
    return found | {"/etc"} if found and _is_unchanged("/etc", upper, layers, found) else found


def _in(layers: Iterable[str], path: str) -> list[str]:
    return [layer + path for layer in layers if layer]


def _is_empty_file(path: str) -> bool:
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(info.st_mode) and info.st_size == 0


def _is_unchanged(folder: str, upper: str, layers: Sequence[str], found: Iterable[str]) -> bool:
    """Tell whether *folder* is in *upper* for the sake of those *found* alone: else it is as the image has it."""
    if {f"{folder}/{name}" for name in os.listdir(upper + folder)} - set(found):
        return False
    below = [os.lstat(place) for place in reversed(_in(layers, folder)) if os.path.isdir(place)]
    ours = os.lstat(upper + folder)
    return not below or (ours.st_mode, ours.st_uid, ours.st_gid) == (below[0].st_mode, below[0].st_uid, below[0].st_gid)
