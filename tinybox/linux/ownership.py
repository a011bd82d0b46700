"""Files that tinybox obeys: only root and the user of tinybox may have been able to write them.

A config.json says which programs root runs. So no other user may be able to change it, nor a directory on the way to
it, nor a link by which the way leads: a user who may could put another one there between our look and our use.
"""

from __future__ import annotations

import os
import stat

from tinybox.errors import HostError

LINKS_MAX = 40  # as many as the kernel follows; see path_resolution(7)
OTHERS = stat.S_IWGRP | stat.S_IWOTH


def check(path: str) -> bool:
    """Tell whether the directory *path* is there. HostError: it, or one on the way to it, is another user's to change.

    Links are followed, and are judged as well. On the way a sticky directory (/var/tmp) will do: nobody renames there
    what is another's. What is not there yet cannot be judged: look again after making it. See path_resolution(7).
    """
    place, rest, links = "", path.split("/")[:0:-1], 0
    top = os.lstat("/")
    _judge("/", top, top.st_uid, is_last=not any(rest))
    while rest and links <= LINKS_MAX:
        name = rest.pop()
        here = f"{place}/{name}"
        try:
            info = os.lstat(here)
            target = os.readlink(here) if stat.S_ISLNK(info.st_mode) else ""
        except OSError:
            return False  # not there, or not for us to see: then it is not for us to use either
        if target:
            _judge_owner(here, info, top.st_uid)
            place, links = ("" if target.startswith("/") else place), links + 1
            rest += [part for part in reversed(target.split("/")) if part]
        else:
            _judge(here, info, top.st_uid, is_last=not rest)
            place = here
    return not rest


def check_inside(folder: str, names: tuple[str, ...]) -> None:
    """Raise HostError if one of *names* in the checked directory *folder* is another user's to change; see stat(2)."""
    for name in names:
        try:
            info = os.lstat(f"{folder}/{name}")
        except OSError:
            continue
        _judge(f"{folder}/{name}", info, 0, is_last=True)


def is_private(fd: int) -> bool:
    """Tell whether nobody but root and us can have written the open file *fd*; see fstat(2)."""
    info = os.fstat(fd)
    return info.st_uid in (0, os.geteuid()) and not info.st_mode & OTHERS


def _judge(path: str, info: os.stat_result, top: int, *, is_last: bool) -> None:
    _judge_owner(path, info, top)
    if info.st_mode & OTHERS and (is_last or not info.st_mode & stat.S_ISVTX):
        who = "everyone" if info.st_mode & stat.S_IWOTH else f"the group {info.st_gid}"
        is_shared = info.st_mode & stat.S_ISVTX  # as /tmp is, and is to stay
        raise _distrusted(path, f"can be written by {who}", "" if is_shared else f"chmod go-w {path}")


def _judge_owner(path: str, info: os.stat_result, top: int) -> None:
    """Refuse another user's file. The owner of / is the host's root, also where a user namespace shows it as nobody."""
    if info.st_uid not in (0, os.geteuid(), top):
        raise _distrusted(path, f"belongs to the user {info.st_uid}", f"chown -h root {path}")


def _distrusted(path: str, cause: str, cure: str) -> HostError:
    cause = f"{cause}: another user could have root run any program through it"
    other = "name a directory of root's with --root"
    return HostError(path, cause, f"look at what is in it, then {cure}; or {other}" if cure else other)
