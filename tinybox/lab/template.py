"""A lab to begin with: `tinybox lab new` copies catalogue/_template.py, which is a lab that passes its check."""

from __future__ import annotations

import os
import re

from tinybox.errors import UsageError
from tinybox.lab import catalogue, course

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def make_folder(path: str) -> None:
    """Make the directory *path* if it is missing; UsageError if that cannot be, such as without its parent."""
    try:
        os.mkdir(path)
        _give_away(path, os.path.dirname(os.path.abspath(path)))
    except FileExistsError:
        return
    except OSError as error:
        raise UsageError(path, (error.strerror or "it cannot be made").lower()) from error


def _give_away(path: str, folder: str) -> None:
    """As root, give *path* to the owner of the *folder* that it is in: with sudo(8), the user who will edit it."""
    if os.geteuid() == 0:
        owner = os.stat(folder)
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def write(name: str, folder: str) -> str:
    """Write the template as the lab *name* into *folder*, and return its path; UsageError if that cannot be."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"lab {name}", "it is no name of a lab", "small letters, digits and -, at most 31, a letter first"
        )
    if name in course.ids():
        raise UsageError(f"lab {name}", "there is a lab of that name", "choose another name")
    path = os.path.join(folder, f"{name.replace('-', '_')}.py")
    with open(os.path.join(*catalogue.__path__, "_template.py"), "rb") as file:
        text = file.read()
    try:
        with open(path, "xb") as file:
            file.write(text)
        _give_away(path, folder)
    except OSError as error:
        raise UsageError(path, (error.strerror or "it cannot be written").lower()) from error
    return path
