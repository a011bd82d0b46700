"""Check that only root and the user of tinybox can write a file or directory on which tinybox relies.

A config.json determines which programs root runs. So no other user may be able to change it, a directory in its path,
or a link in its path: such a user could replace the file between the check and its use.
"""

from __future__ import annotations

import os
import stat

from tinybox.errors import HostError

LINKS_MAX = 40  # the kernel's limit of links in a path; see path_resolution(7)
OTHERS = stat.S_IWGRP | stat.S_IWOTH


def check(path: str) -> bool:
    """Return whether the directory *path* exists. HostError: another user can change it or a directory in its path.

    Links are followed and are checked as well. A sticky directory (/var/tmp) is allowed in the path, because there no
    user can rename the files of another user. A directory that does not exist yet cannot be checked: the caller calls
    this again after making it. See path_resolution(7).
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
            return False  # it does not exist, or this process may not see it, and then it cannot use it either
        if target:
            _judge_owner(here, info, top.st_uid)
            place, links = ("" if target.startswith("/") else place), links + 1
            rest += [part for part in reversed(target.split("/")) if part]
        else:
            _judge(here, info, top.st_uid, is_last=not rest)
            place = here
    return not rest


def check_inside(folder: str, names: tuple[str, ...]) -> dict[str, int]:
    """Raise HostError if another user can change one of the files *names* of the directory *folder*; see stat(2).

    The directory itself was checked before. Returns the modes of the *names* that are there: one may be missing.
    """
    found = {}
    for name in names:
        try:
            info = os.lstat(f"{folder}/{name}")
        except OSError:
            continue
        _judge(f"{folder}/{name}", info, 0, is_last=True)
        found[name] = info.st_mode
    return found


def is_private(fd: int) -> bool:
    """Return whether only root and the user of this process can have written the open file *fd*; see fstat(2)."""
    info = os.fstat(fd)
    return info.st_uid in (0, os.geteuid()) and not info.st_mode & OTHERS


def _judge(path: str, info: os.stat_result, top: int, *, is_last: bool) -> None:
    _judge_owner(path, info, top)
    if info.st_mode & OTHERS and (is_last or not info.st_mode & stat.S_ISVTX):
        writers = "everyone" if info.st_mode & stat.S_IWOTH else f"the group {info.st_gid}"
        is_shared = info.st_mode & stat.S_ISVTX  # such as /tmp, which must stay so
        raise _distrusted(path, f"can be written by {writers}", "" if is_shared else f"chmod go-w {path}")


def _judge_owner(path: str, info: os.stat_result, top: int) -> None:
    """Raise HostError for a file of another user; *top*, the owner of /, is accepted.

    The owner of / is the host's root, even if this user namespace shows it as nobody.
    """
    if info.st_uid != 0 and info.st_uid not in (os.geteuid(), top):
        raise _distrusted(path, f"belongs to the user {info.st_uid}", f"chown -h root {path}")


def _distrusted(path: str, cause: str, cure: str) -> HostError:
    cause = f"{cause}: another user could make root run any program through it"
    other = "choose a directory that belongs to root with --root"
    return HostError(path, cause, f"check its content, then {cure}; or {other}" if cure else other)
