"""The ids of the home of a user without root: what its id 0 is outside, and how many others it has; see home.py."""

from __future__ import annotations

import os

from tinybox.isolation.rootless import home
from tinybox.linux import proc, user_namespaces


class HomeIds:
    """The *uid* and *gid* of the user outside, and the number of other user and group ids, from 1 on."""

    def __init__(self, uid: int, gid: int, uids: int, gids: int) -> None:
        self.uid, self.gid, self.uids, self.gids = uid, gid, uids, gids


def read() -> HomeIds:
    """Read the ids of this process's home, or, for a plan that is only shown, of the one that would be made.

    /proc/self/uid_map shows a process the ids of the namespace above its own; see user_namespaces(7).
    """
    if user_namespaces.planned:
        uid, gid = os.geteuid(), os.getegid()
        return HomeIds(uid, gid, *home.given(uid))
    (uid, uids), (gid, gids) = _read("uid_map"), _read("gid_map")
    return HomeIds(uid, gid, uids, gids)


def _read(name: str) -> tuple[int, int]:
    with open(f"/proc/self/{name}", encoding="utf-8") as file:
        rows = proc.id_map(file.read())
    own = next((outer for first, outer, _ in rows if first == 0), 0)
    return own, sum(length for first, _, length in rows if first > 0)
