"""Files on their way in and out of containers: `cp` and `export`. What travels is always a tar archive, in a pipe.

A child at the container's side reads or writes it there; we are at the other end of the pipe.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import chain
from tarfile import BLOCKSIZE
from typing import TYPE_CHECKING

from tinybox.container.files import view
from tinybox.container.files.copy_target import CopyTarget, Side
from tinybox.errors import ImageError, TinyboxError
from tinybox.images.archive import fill
from tinybox.images.members import members, write
from tinybox.images.stream import Stream, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO, Self

    from tinybox.container.records.paths import Paths
    from tinybox.images.members import Member

    Told = Callable[[str], None]

ROOT = (0, 0)
_NO_LIMIT = 1 << 62


class CountingWriter:
    """A file to write to that counts the bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.bytes = file, 0

    def write(self, data: bytes) -> int:
        """Write *data*, and count it."""
        self.bytes += len(data)
        return self._file.write(data)


class Pipe:
    """Both ends of a pipe(2), as files; what is still open at the end of the ``with`` is closed."""

    def __enter__(self) -> Self:
        reading, writing = os.pipe()
        self.out, self.into = open(reading, "rb"), open(writing, "wb")
        return self

    def __exit__(self, *_: object) -> None:
        self.out.close()
        with suppress(BrokenPipeError):
            self.into.close()


def copy_out(paths: Paths, word: str, path: str, destination: str, *, archive: bool, follow: bool, told: Told) -> int:
    """Copy *path* of a container to *destination* on the host, as docker-cp(1); return how many bytes went by."""
    landing = CopyTarget(Side(), destination, as_is=False, owner=None if archive else (os.geteuid(), os.getegid()))

    def send(root: int) -> None:
        _send(Side(root), path, pipe.into, follow=follow, told=told)

    with Pipe() as pipe, view.visit(paths, word, send, mounted=True, not_mine=[pipe.out]):
        pipe.into.close()
        with pipe.out:
            return _land(Stream(pipe.out, (), _NO_LIMIT), landing)


def copy_out_as_tar(paths: Paths, word: str, path: str, fd: int, *, follow: bool, told: Told) -> None:
    """Write *path* of a container as a tar archive to *fd*."""

    def send(root: int) -> None:
        with open(fd, "wb", closefd=False) as file:
            _send(Side(root), path, file, follow=follow, told=told)

    with view.visit(paths, word, send, mounted=True):
        pass


def copy_in(paths: Paths, word: str, source: str, path: str, *, archive: bool, follow: bool, told: Told) -> int:
    """Copy *source* on the host to *path* in a container, as docker-cp(1); return how many bytes went by."""
    coming = Side().members(source, follow=follow, skipped=told)
    first = next(coming)  # an error about the source comes before anything else

    def take(root: int) -> None:
        landing = CopyTarget(Side(root), path, as_is=False, owner=None if archive else ROOT)
        _land(Stream(pipe.out, (), _NO_LIMIT), landing)

    with Pipe() as pipe, view.visit(paths, word, take, mounted=True, not_mine=[pipe.into]):
        pipe.out.close()
        with pipe.into:
            counted = CountingWriter(pipe.into)
            failure = _write_as_far_as_it_goes(chain([first], coming), counted)
    if failure is not None:
        raise failure
    return counted.bytes


def _write_as_far_as_it_goes(coming: Iterable[Member], file: CountingWriter) -> TinyboxError | None:
    """Write the archive to its end, and return the error that has made it end too soon, if there was one.

    The other side would call it damaged, which is not what is wrong.
    """
    try:
        write(coming, file)
    except TinyboxError as error:
        file.write(bytes(2 * BLOCKSIZE))
        return error
    return None


def copy_in_tar(paths: Paths, word: str, fd: int, path: str, *, archive: bool) -> None:
    """Unpack the tar archive that is read from *fd* in the directory *path* of a container."""

    def take(root: int) -> None:
        landing = CopyTarget(Side(root), path, as_is=True, owner=None if archive else ROOT)
        with open(fd, "rb", closefd=False) as file, opened(file, _NO_LIMIT) as stream:
            _land(stream, landing)

    with view.visit(paths, word, take, mounted=True):
        pass


def export(paths: Paths, word: str, fd: int, told: Told) -> None:
    """Write a container's own files to *fd* as a tar archive, without what is mounted there; see docker-export(1)."""

    def send(root: int) -> None:
        with open(fd, "wb", closefd=False) as file:
            write(members(root, ".", told), file)

    with view.visit(paths, word, send, mounted=False):
        pass


def _send(side: Side, path: str, file: BinaryIO, *, follow: bool, told: Told) -> None:
    """Write *path* to *file*; devices stay where they are: a copy would be a door to what they stand for."""
    write(side.members(path, follow=follow, skipped=told), file)
    file.flush()


def _land(stream: Stream, landing: CopyTarget) -> int:
    """Unpack the archive *stream* at its *landing*; return its length in bytes."""
    with landing:
        try:
            fill(landing, stream)
        except ImageError as error:
            raise TinyboxError(error.thing, error.cause) from error
        return stream.tell()
