"""Who ``--user`` is: names are looked up in the image's own /etc/passwd and /etc/group; see passwd(5) and group(5).

The host's user list means nothing in the box. The kernel knows only numbers; a name is a line in a file.
"""

from __future__ import annotations

import os
import stat

from tinybox.container.words import is_whole
from tinybox.errors import UsageError
from tinybox.linux import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.container.spec import User

MOST = (1 << 31) - 1  # docker's; the kernel's own is near 2**32


def resolve(text: str, layers: Sequence[str]) -> tuple[User, str]:
    """Return ``USER[:GROUP]``, names or numbers, as OCI's user and its home directory; else UsageError."""
    name, _, group_name = text.partition(":")
    users, groups = _table(layers, b"/etc/passwd", 7), _table(layers, b"/etc/group", 4)
    row = _row(users, name or "0")
    if row is None and not is_whole(name) and name:
        raise UsageError(f"--user {text}", f"no user {name} in the image's /etc/passwd")
    uid, gid, home = (int(row[2]), int(row[3]), row[5]) if row else (_number("--user", text, name or "0"), 0, "/")
    if group_name:
        return {"uid": uid, "gid": _group("--user", text, group_name, groups)}, home
    more = [int(line[2]) for line in groups if row and row[0] in line[3].split(",")]
    return {"uid": uid, "gid": gid, "additionalGids": sorted(set(more) - {gid})}, home


def add_groups(user: User, names: Sequence[str], layers: Sequence[str]) -> None:
    """Put *user* into more groups, by their names in the image or their numbers; see credentials(7)."""
    table = _table(layers, b"/etc/group", 4)
    more = [_group("--group-add", name, name, table) for name in names]
    user["additionalGids"] = sorted({*user.get("additionalGids", []), *more} - {user["gid"]})


def home(uid: int, layers: Sequence[str]) -> str:
    """Return the home directory of user number *uid*, whom /etc/passwd need not know: then it is ``/``."""
    row = _row(_table(layers, b"/etc/passwd", 7), str(uid))
    return row[5] if row else "/"


def _group(option: str, text: str, name: str, groups: list[list[str]]) -> int:
    row = _row(groups, name)
    if row is None and not is_whole(name):
        raise UsageError(f"{option} {text}", f"no group {name} in the image's /etc/group")
    return int(row[2]) if row else _number(option, text, name)


def _number(option: str, text: str, digits: str) -> int:
    if int(digits) > MOST:
        raise UsageError(f"{option} {text}", f"user and group numbers go from 0 to {MOST}")
    return int(digits)


def _row(table: list[list[str]], word: str) -> list[str] | None:
    """Find the line of a user or group by its name, or by its number in the third field."""
    column = 2 if is_whole(word) else 0
    return next((row for row in table if row[column] == word), None)


def _table(layers: Sequence[str], path: bytes, width: int) -> list[list[str]]:
    """Read *path* from the uppermost layer that has it, following no link out of that layer; see openat2(2).

    The image's maker may have written anything: a line of fewer fields than *width*, or whose numbers are none that
    a user or group can have, is passed over, as the C library does. The last field may be missing.
    """
    for layer in reversed(layers):
        try:
            root = os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError:  # a dry run by someone who is not root: numbers will do
            return []
        try:
            fd = files.openat2(root, path, os.O_PATH, files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS)
        except OSError:
            continue
        finally:
            os.close(root)
        try:
            return [row for row in _rows(fd, width) if _is_sound(row, width)]
        finally:
            os.close(fd)
    return []


def _is_sound(row: list[str], width: int) -> bool:
    numbers = row[2:4] if width == 7 else row[2:3]
    return len(row) >= width and all(is_whole(number) and int(number) <= MOST for number in numbers)


def _rows(fd: int, width: int) -> list[list[str]]:
    """Read the file that is open as a place; no rows where a layer has deleted it (a whiteout), or it is no file."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return []
    with open(f"/proc/self/fd/{fd}", encoding="utf-8", errors="surrogateescape") as file:
        rows = [line.rstrip("\n").split(":") for line in file]
    return [[*row, ""] if len(row) == width - 1 else row for row in rows]
