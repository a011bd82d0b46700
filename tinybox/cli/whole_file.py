"""A file that is there when it is whole: what --output of `export` and `save` names."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


@contextmanager
def appearing(path: str) -> Iterator[BinaryIO]:
    """Give a file to write to, which becomes *path* at the end; after an error what was there before is there yet.

    A link is followed. A device or a FIFO is written to: to replace /dev/null would be the end of half of the host.
    Whoever may read the archive of a box may read all of its files: so only its owner may, as with docker; rename(2).
    """
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:
            yield file
        return
    place = os.path.realpath(path)
    fresh = f"{place}.{os.getpid()}"
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"--output {path}", f"cannot be made: {error.strerror}") from error
    try:
        with open(fd, "wb") as file:
            yield file
        os.rename(fresh, place)
    except BaseException:
        os.unlink(fresh)
        raise
