"""The file of --output (`export`, `save`): it appears under its name only when it is complete, by rename(2)."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinybox.errors import UsageError
from tinybox.linux.filesystem import files, unnamed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


@contextmanager
def appearing(path: str) -> Iterator[BinaryIO]:
    """Yield a temporary file, and rename it to *path* at the end; after an error the former *path* is unchanged.

    A link is followed. A device or a FIFO is written to directly: replacing /dev/null by a file would break the host.
    The mode is 0600, as with docker, because the archive of a box contains all of its files. Until it is complete, the
    file has no name: so nothing stays if this process is killed. A file system without O_TMPFILE has PATH.PID instead,
    which then stays; a former PATH is replaced by way of that name, too. See open(2), linkat(2) and rename(2).
    """
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:
            yield file
        return
    place = os.path.realpath(path)
    fresh = f"{place}.{os.getpid()}"
    try:
        nameless = unnamed.open_unnamed(os.path.dirname(place))
        fd = nameless if nameless >= 0 else os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"--output {path}", f"cannot be made: {error.strerror}") from error
    try:
        with open(fd, "wb") as file:
            yield file
            file.flush()
            if nameless >= 0:
                _appear(fd, place, fresh)
        if nameless < 0:
            os.rename(fresh, place)
    except BaseException:
        files.discard(fresh)
        raise


def _appear(fd: int, place: str, fresh: str) -> None:
    """Give the complete file *fd* the name *place*; where a file has that name, it is replaced by way of *fresh*."""
    try:
        unnamed.give_name(fd, place)
    except FileExistsError:
        unnamed.give_name(fd, fresh)
        os.rename(fresh, place)
