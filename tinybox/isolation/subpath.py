"""A part of a volume, docker's volume-subpath: open it so that links in the volume do not lead out of it."""

from __future__ import annotations

import os

from tinybox.errors import UsageError
from tinybox.linux.filesystem import files


class Part:
    """A context manager: the file or directory *subpath* in the directory *top*; ``with`` gives a path in /proc.

    Boxes write to volumes, so that a link there may lead anywhere: its target is looked up inside *top*; see
    RESOLVE_IN_ROOT in openat2(2). UsageError: there is no such file.
    """

    def __init__(self, top: str, subpath: str) -> None:
        self._top, self._subpath = top, subpath

    def __enter__(self) -> str:
        resolve = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS
        try:
            top = os.open(self._top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._fd = files.openat2(top, os.fsencode(self._subpath), os.O_PATH, resolve)
            finally:
                os.close(top)
        except OSError as error:
            thing = f"subpath {self._subpath} of {self._top}"
            raise UsageError(thing, error.strerror or str(error), "make it first") from error
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
