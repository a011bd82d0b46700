"""``--userns keep-id``, ``nomap`` and ``auto``, podman's words, and the id maps that they mean; see podman-run(1).

A user without root has one user namespace for all boxes, the home, in which id 0 is the user, and the ids from 1 on are
those of /etc/subuid. A box with one of these words has a user namespace of its own inside the home, and its map leads
to ids of the home:

- ``keep-id``: the user has the same number in the box as outside, or that of ``uid=`` and ``gid=``;
- ``nomap``: the box has all ids of the home but the user's;
- ``auto``: the box has ``size=`` ids that no other such box has; ``uidmapping=`` and ``gidmapping=`` add chosen ones.
"""

from __future__ import annotations

import itertools
from contextlib import suppress

from tinybox.errors import HostError, UsageError
from tinybox.isolation import idmap
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.container.records.spec_types import IdMaps, User
    from tinybox.isolation.idmap import IDMapping
    from tinybox.isolation.rootless.home_ids import HomeIds

    Maps = tuple[list[IDMapping], list[IDMapping]]

WORDS = {"keep-id": ("uid", "gid"), "nomap": (), "auto": ("size", "uidmapping", "gidmapping")}  # and their options
SIZE, SIZE_MOST = 1024, 65536  # the ids of a box with `auto`: podman's least and most
_NOBODY = 65534  # of overflowuid, proc_sys_kernel(5): no reason for more ids
_MOST = (1 << 31) - 1


class PodmanUsers:
    """One of WORDS with its options: *word*, and what was given; UsageError: an option is not of this word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.word, _, options = text.partition(":")
        self.uid = self.gid = self.size = -1
        self.forced: Maps = ([], [])  # of --userns auto: uidmapping=, gidmapping=
        for part in filter(None, options.split(",")):
            name, _, value = part.partition("=")
            if name not in WORDS[self.word]:
                cure = " or ".join(f"{each}=" for each in WORDS[self.word]) or "nomap, without a colon"
                raise UsageError(f"--userns {text}", f"unknown option specified: {name!r}", cure)
            if name.endswith("mapping"):
                self.forced[name == "gidmapping"].append(_mapping(text, value))
            else:
                setattr(self, name, _number(text, name, value))
        if self.word == "auto" and self.size != -1 and not 0 < self.size <= SIZE_MOST:
            raise UsageError(f"--userns {text}", f"size={self.size} is no size of a box", f"1 to {SIZE_MOST}")

    @property
    def is_own_user(self) -> bool:
        """Return whether the box knows the user under the own name: no number was chosen."""
        return self.uid == self.gid == -1


def check_root(users: PodmanUsers) -> None:
    """Raise UsageError for what only a user without root can have; the sentence is podman's."""
    if users.word != "auto":
        cause = f"{users.word} is only supported in rootless mode"
        raise UsageError(f"--userns {users.text}", cause, "leave it out, or run tinybox as that user")
    if any(users.forced):
        cause = "as root the ids of a box are chosen from the host's ranges"
        raise UsageError(f"--userns {users.text}", cause, "leave out uidmapping= and gidmapping=")


def ids_of(users: PodmanUsers) -> HomeIds:
    """Return the ids of the home; HostError: it has no other id than 0, so a box in it cannot have a root."""
    from tinybox.isolation.rootless import home_ids

    found = home_ids.read()
    if min(found.uids, found.gids) == 0:
        cause = "the boxes of this user have no other id than 0, see /etc/subuid and /etc/subgid"
        raise HostError(f"--userns {users.text}", cause, "apt install uidmap; usermod --add-subuids, --add-subgids")
    return found


def numbers(users: PodmanUsers, ids: HomeIds) -> tuple[int, int]:
    """Return the user's uid and gid in a box with ``keep-id``."""
    return (ids.uid if users.uid < 0 else users.uid, ids.gid if users.gid < 0 else users.gid)


def maps(users: PodmanUsers, ids: HomeIds, layers: Sequence[str], user: User) -> Maps:
    """Return the box's uid and gid map to ids of the home.

    For ``auto`` it is an example: the ids are chosen when the box gets its place in the store; records/home_ranges.py.
    """
    if users.word == "keep-id":
        uid, gid = numbers(users, ids)
        return idmap.keep_id(uid, ids.uids), idmap.keep_id(gid, ids.gids)
    if users.word == "nomap":
        return idmap.shifted(1, ids.uids), idmap.shifted(1, ids.gids)
    users.size = size(users, layers, user)
    for kind, forced, most in zip(("uid", "gid"), users.forced, (ids.uids, ids.gids), strict=True):
        _check(users.text, f"{kind}mapping", forced, most)
    return idmap.shifted(1, users.size, users.forced[0]), idmap.shifted(1, users.size, users.forced[1])


def annotation(users: PodmanUsers, ids: HomeIds, layers: Sequence[str], user: User) -> IdMaps:
    """Return what config.json has to say about these maps, besides OCI's mappings."""
    uids, gids = maps(users, ids, layers, user)
    made: IdMaps = {"uids": uids, "gids": gids}
    if users.word == "auto":
        made |= {"auto": users.size, "forced": [*users.forced]}
    elif users.word == "keep-id":
        made["lines"] = lines(users, ids, layers)
    return made


def lines(users: PodmanUsers, ids: HomeIds, layers: Sequence[str]) -> list[str]:
    """Return the lines by which programs in a box with ``keep-id`` find a name for the user; "": the image has one."""
    import pwd

    from tinybox.container.config import user_option

    uid, gid = numbers(users, ids)
    name, comment = str(uid), "container user"
    if users.is_own_user:
        with suppress(KeyError):  # a user that the host has forgotten since
            row = pwd.getpwuid(uid)
            name, comment = row.pw_name, row.pw_gecos
    passwd, group = user_option.has_numbers(layers, uid, gid)
    return ["" if passwd else f"{name}:*:{uid}:{gid}:{comment}:/:/bin/sh",
            "" if group else f"{name if users.is_own_user else gid}:x:{gid}:{name}"]  # fmt: skip


def size(users: PodmanUsers, layers: Sequence[str], user: User) -> int:
    """Return how many ids a box with ``auto`` has: as given, or enough for the users and groups of its image."""
    if users.size != -1:
        return users.size
    from tinybox.container.config import user_option

    numbers = [number for number in user_option.numbers(layers) if number < _NOBODY]
    return max(SIZE, *(number + 1 for number in [*numbers, user["uid"], user["gid"]]))


def _number(text: str, name: str, value: str) -> int:
    if not is_whole(value) or int(value) > _MOST:
        raise UsageError(f"--userns {text}", f"{name}={value} is no whole number", f"0 to {_MOST}")
    return int(value)


def _check(text: str, option: str, forced: list[IDMapping], most: int) -> None:
    """Raise UsageError if two of the *forced* mappings overlap, or lead to an id that the home does not have."""
    for inside in ("containerID", "hostID"):
        spans = sorted((entry[inside], entry[inside] + entry["size"]) for entry in forced)
        if any(start < end for (_, end), (start, _) in itertools.pairwise(spans)):
            raise UsageError(f"--userns {text}", f"two of {option}= have an id in common", "give each id once")
    if any(entry["hostID"] + entry["size"] > most + 1 for entry in forced):
        cause = f"{option}= leads to an id that the boxes of this user do not have"
        raise UsageError(f"--userns {text}", cause, f"0, the user, to {most}")


def _mapping(text: str, value: str) -> IDMapping:
    """Return the mapping ``CONTAINER:HOST:SIZE``; HOST is an id of the home."""
    fields: Sequence[str] = value.removeprefix("_").split(":")
    if len(fields) != 3 or not all(is_whole(field) and int(field) <= _MOST for field in fields) or not int(fields[2]):
        raise UsageError(f"--userns {text}", f"{value!r} is no mapping", "CONTAINER:HOST:SIZE, three numbers")
    return {"containerID": int(fields[0]), "hostID": int(fields[1]), "size": int(fields[2])}
