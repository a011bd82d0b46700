"""The file that --cidfile names: a container's id for those who start it from a script.

It is there, empty, while the container is being made: so of two commands with one file one fails. A container that came
to nothing leaves no file.
"""

from __future__ import annotations

import os

from tinybox.errors import HostError, StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class IdFile:
    """``with IdFile(path) as file:`` make a container, then `write` its id; see O_EXCL in open(2)."""

    def __init__(self, path: str) -> None:
        self.path, self.is_written = path, False

    def __enter__(self) -> Self:
        try:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError as error:
            cause = f"container ID file found, make sure the other container isn't running or delete {self.path}"
            raise StateError("--cidfile", cause) from error
        except OSError as error:
            raise HostError(f"--cidfile {self.path}", f"cannot be made: {error.strerror}") from error
        return self

    def write(self, container: str) -> None:
        """Write the id of the *container*, without a line's end, as docker does."""
        try:
            os.write(self._fd, container.encode())
        except OSError as error:
            raise HostError(f"--cidfile {self.path}", f"cannot be written: {error.strerror}") from error
        self.is_written = True

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        if not self.is_written:
            os.unlink(self.path)
