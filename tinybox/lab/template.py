"""A lab to begin with: `tinybox lab new` copies catalogue/_template.py, which is a lab that passes its check."""

from __future__ import annotations

import os
import re

from tinybox.errors import UsageError
from tinybox.lab import catalogue, course

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


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
        if os.geteuid() == 0:  # the file gets the owner of its directory: with sudo(8), the user who will edit it
            owner = os.stat(folder)
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    except OSError as error:
        raise UsageError(path, (error.strerror or "it cannot be written").lower()) from error
    return path
