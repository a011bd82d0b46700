"""The file of --cidfile: it contains the id of the container, for the script that started it.

The file is empty while the container is being made, so of two commands with the same file one fails. If no container
is made, the file is removed; if the command is killed before that, the empty file stays, as in docker.
"""

from __future__ import annotations

import os

from tinybox.errors import HostError, StateError, UnfitValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class IdFile:
    """A context manager that makes the file *path* and removes it unless `write` was called; see O_EXCL in open(2)."""

    def __init__(self, path: str) -> None:
        self.path, self.is_written = path, False

    def __enter__(self) -> Self:
        try:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError as error:
            cause = f"container ID file found, make sure the other container isn't running or delete {self.path}"
            raise StateError("--cidfile", cause) from error
        except OSError as error:
            raise UnfitValueError(f"--cidfile {self.path}", f"cannot be made: {error.strerror}").after(error) from error
        return self

    def write(self, container: str) -> None:
        """Write the id *container*, without a newline, as docker does."""
        try:
            os.write(self._fd, container.encode())
        except OSError as error:
            raise HostError(f"--cidfile {self.path}", f"cannot be written: {error.strerror}") from error
        self.is_written = True

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        if not self.is_written:
            os.unlink(self.path)
