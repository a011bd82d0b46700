"""Resolve --user and --group-add: look names up in the image's own /etc/passwd and /etc/group; passwd(5), group(5).

The host's user list has no meaning in the box. The kernel knows only numbers; a name is a line in a file.
"""

from __future__ import annotations

import os
import stat

from tinybox.errors import TinyboxError, UnfitFileError, UnfitValueError
from tinybox.isolation import merged
from tinybox.linux.filesystem import files
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tinybox.container.records.spec_types import User

MOST = (1 << 31) - 1  # the largest number, as in docker; the kernel's largest is near 2**32
_MOST_BYTES = 1 << 20  # of each file, enough for 15000 users; a box may have put a sparse file of any size there


def resolve(text: str, layers: Sequence[str]) -> tuple[User, str]:
    """Return ``USER[:GROUP]``, names or numbers, as OCI's user and its home directory.

    The primary group is one of the supplementary groups, too. Otherwise a set-group-ID program, which changes the
    primary group, could read a file whose mode denies it to the user's group: CVE-2022-36109, credentials(7).

    UsageError is raised for a name that is not in the image. If both are numbers, no file is needed. Otherwise a file
    that exists, but cannot be read, raises TinyboxError.
    """
    name, _, group_name = text.partition(":")
    if is_whole(name) and is_whole(group_name):
        uid, gid = _number("--user", text, name), _number("--user", text, group_name)
        return _user(uid, gid), home(uid, layers)
    users, groups = _tables(layers, ("/etc/passwd", 7), ("/etc/group", 4))
    row = _row(users, name or "0")
    if row is None and not is_whole(name) and name:
        raise UnfitValueError(f"--user {text}", f"no user {name} in the image's /etc/passwd")
    uid, gid, folder = (int(row[2]), int(row[3]), row[5]) if row else (_number("--user", text, name or "0"), 0, "/")
    if group_name:
        return _user(uid, _group("--user", text, group_name, groups)), folder
    return _user(uid, gid, [int(line[2]) for line in groups if row and row[0] in line[3].split(",")]), folder


def add_groups(user: User, names: Sequence[str], layers: Sequence[str]) -> None:
    """Add *user* to further groups, given by their names in the image or their numbers; see credentials(7)."""
    table = [] if all(map(is_whole, names)) else _table(layers, "/etc/group", 4)
    more = [_group("--group-add", name, name, table) for name in names]
    user["additionalGids"] = sorted({*user.get("additionalGids", []), *more})


def owner(option: str, text: str, layers: Sequence[str]) -> tuple[int, int]:
    """Return the numbers of ``USER[:GROUP]``, the new owner of a file; *option* is for errors; see `resolve`.

    Without a group, a number is that of the group, too, and a name means the user's primary group, as in docker.
    """
    name, _, group_name = text.partition(":")
    if not name:
        raise UnfitValueError(f"{option} {text}", "it has no user", "USER[:GROUP]")
    row = None if is_whole(name) else _row(_table(layers, "/etc/passwd", 7), name)
    if row is None and not is_whole(name):
        raise UnfitValueError(f"{option} {text}", f"no user {name} in the image's /etc/passwd")
    uid, gid = (int(row[2]), int(row[3])) if row else (_number(option, text, name),) * 2
    if group_name:
        groups = [] if is_whole(group_name) else _table(layers, "/etc/group", 4)
        gid = _group(option, text, group_name, groups)
    return uid, gid


def _user(uid: int, gid: int, more: Sequence[int] = ()) -> User:
    return {"uid": uid, "gid": gid, "additionalGids": sorted({gid, *more})}


def home(uid: int, layers: Sequence[str]) -> str:
    """Return the home directory of user number *uid*; ``/`` if /etc/passwd has no such user, or cannot be read safely.

    So a program can be run even in a box that has ruined its own file.
    """
    try:
        row = _row(_table(layers, "/etc/passwd", 7), str(uid))
    except UnfitFileError:
        return "/"
    return row[5] if row else "/"


def numbers(layers: Sequence[str]) -> list[int]:
    """Return the numbers of all users and groups in the image's /etc/passwd and /etc/group; passwd(5), group(5)."""
    users, groups = _tables(layers, ("/etc/passwd", 7), ("/etc/group", 4))
    return [*(int(number) for row in users for number in row[2:4]), *(int(row[2]) for row in groups)]


def has_numbers(layers: Sequence[str], uid: int, gid: int) -> tuple[bool, bool]:
    """Return whether the image's /etc/passwd has the user *uid*, and its /etc/group the group *gid*."""
    users, groups = _tables(layers, ("/etc/passwd", 7), ("/etc/group", 4))
    return _row(users, str(uid)) is not None, _row(groups, str(gid)) is not None


def _group(option: str, text: str, name: str, groups: list[list[str]]) -> int:
    row = _row(groups, name)
    if row is None and not is_whole(name):
        raise UnfitValueError(f"{option} {text}", f"no group {name} in the image's /etc/group")
    return int(row[2]) if row else _number(option, text, name)


def _number(option: str, text: str, digits: str) -> int:
    if int(digits) > MOST:
        raise UnfitValueError(f"{option} {text}", f"user and group numbers go from 0 to {MOST}")
    return int(digits)


def _row(table: list[list[str]], word: str) -> list[str] | None:
    """Return the line of the user or group with the name or number *word*; None if there is no such line."""
    column = 2 if is_whole(word) else 0
    return next((row for row in table if row[column] == word), None)


def _table(layers: Sequence[str], path: str, width: int) -> list[list[str]]:
    """Return the lines of one file, as `_tables` does."""
    return _tables(layers, (path, width))[0]


def _tables(layers: Sequence[str], *wanted: tuple[str, int]) -> list[list[list[str]]]:
    """Return the lines of each path in what *layers* come to; no link leads out of it; see merged.py.

    The image's author may have written anything: a line with fewer fields than the width beside the path, or with
    numbers that no user or group can have, is skipped, as in the C library. The last field may be missing.
    """
    try:
        image = merged.Merged(layers)
    except PermissionError:
        if os.geteuid() != 0:  # a dry run without root: only numbers can be resolved
            return [[] for _ in wanted]
        raise
    with image:
        return [_lines(image, path, width) for path, width in wanted]


def _lines(image: merged.Merged, path: str, width: int) -> list[list[str]]:
    try:
        fd = image.open(path.encode())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise TinyboxError(path, f"cannot be looked up in the box: {error.strerror}") from error
    try:
        return [*_rows(fd, path, width)]
    finally:
        os.close(fd)


def _is_sound(row: list[str], width: int) -> bool:
    numbers = row[2:4] if width == 7 else row[2:3]
    return len(row) >= width and all(is_whole(number) and int(number) <= MOST for number in numbers)


def _rows(fd: int, path: str, width: int) -> Iterator[list[str]]:
    """Yield the sound lines of the file *fd* (O_PATH); none for a whiteout (deleted by a layer) or another non-file."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return
    text = files.read_regular(fd, path, _MOST_BYTES).decode("utf-8", "surrogateescape")
    for line in text.split("\n"):
        row = line.removesuffix("\r").split(":")
        if len(row) == width - 1:
            row.append("")
        if _is_sound(row, width):
            yield row
