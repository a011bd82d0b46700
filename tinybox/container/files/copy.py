"""cp and export: copy files into and out of containers, always as a tar archive through a pipe.

A child process on the container's side reads or writes the archive; tinybox is at the other end of the pipe.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import chain
from tarfile import BLOCKSIZE
from typing import TYPE_CHECKING

from tinybox.container.files import view
from tinybox.container.files.copy_target import CopyTarget, Side
from tinybox.container.records import events, naming
from tinybox.errors import ImageError, StateError, TinyboxError
from tinybox.images.archives.archive import fill
from tinybox.images.archives.members import members, write
from tinybox.images.archives.stream import Stream, opened
from tinybox.linux.filesystem.holes import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO, Self

    from tinybox.container.records.paths import Paths
    from tinybox.images.archives.members import Member

    Told = Callable[[str], None]

ROOT = (0, 0)
OUT, IN = "archive-path", "extract-to-dir"  # docker's events of `cp`
_NO_LIMIT = 1 << 62


class CountingWriter:
    """Writes to a file and counts the bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.bytes = file, 0

    def write(self, data: bytes) -> int:
        """Write *data*, and count it."""
        self.bytes += len(data)
        return self._file.write(data)


class Pipe:
    """Both ends of a pipe(2), as files; an end that is still open at the end of the ``with`` block is closed."""

    def __enter__(self) -> Self:
        reading, writing = os.pipe()
        self.out, self.into = open(reading, "rb"), open(writing, "wb")
        return self

    def __exit__(self, *_: object) -> None:
        self.out.close()
        with suppress(BrokenPipeError):
            self.into.close()


def copy_out(paths: Paths, word: str, path: str, destination: str, *, archive: bool, follow: bool, told: Told) -> int:
    """Copy *path* of a container to *destination* on the host; return the bytes of the archive; see docker-cp(1).

    *told* is called with the name of each file that is skipped, here as in the functions below.
    """
    target = CopyTarget(Side(), destination, as_is=False, owner=None if archive else (os.geteuid(), os.getegid()))

    def send(root: int) -> None:
        _send(Side(root), path, pipe.into, follow=follow, told=told)

    with Pipe() as pipe, view.visit(paths, word, send, mounted=True, not_mine=[pipe.out]):
        pipe.into.close()
        with pipe.out:
            size = _unpack(Stream(pipe.out, (), _NO_LIMIT), target)
    _tell(paths, word, OUT)
    return size


def copy_out_as_tar(paths: Paths, word: str, path: str, fd: int, *, follow: bool, told: Told) -> None:
    """Write *path* of a container as a tar archive to *fd*."""

    def send(root: int) -> None:
        with open(fd, "wb", closefd=False) as file:
            _send(Side(root), path, file, follow=follow, told=told)

    with view.visit(paths, word, send, mounted=True):
        pass
    _tell(paths, word, OUT)


def copy_in(paths: Paths, word: str, source: str, path: str, *, archive: bool, follow: bool, told: Told) -> int:
    """Copy *source* on the host to *path* in a container; return the bytes of the archive; see docker-cp(1)."""
    incoming = Side().members(source, follow=follow, skipped=told)
    first = next(incoming)  # an error about the source comes before anything else

    def take(root: int) -> None:
        target = CopyTarget(Side(root), path, as_is=False, owner=None if archive else ROOT)
        _unpack(Stream(pipe.out, (), _NO_LIMIT), target)

    with Pipe() as pipe, view.visit(paths, word, take, mounted=True, not_mine=[pipe.into]):
        pipe.out.close()
        with pipe.into:
            counted = CountingWriter(pipe.into)
            failure = _write_until_error(chain([first], incoming), counted)
    if failure is not None:
        raise failure
    _tell(paths, word, IN)
    return counted.bytes


def _write_until_error(incoming: Iterable[Member], file: CountingWriter) -> TinyboxError | None:
    """Write the archive, and its end mark even after an error; return that error, or None.

    Without the end mark the other side would report a damaged archive instead of the real error.
    """
    try:
        write(incoming, file, with_holes=True)
    except TinyboxError as error:
        file.write(bytes(2 * BLOCKSIZE))
        return error
    return None


def copy_in_tar(paths: Paths, word: str, fd: int, path: str, *, archive: bool) -> None:
    """Unpack the tar archive that is read from *fd* in the directory *path* of a container."""

    def take(root: int) -> None:
        target = CopyTarget(Side(root), path, as_is=True, owner=None if archive else ROOT)
        with open(fd, "rb", closefd=False) as file, opened(file, _NO_LIMIT) as stream:
            _unpack(stream, target)

    with view.visit(paths, word, take, mounted=True):
        pass
    _tell(paths, word, IN)


def copy_into_new(paths: Paths, container: str, fd: int) -> None:
    """Unpack the tar archive from *fd* at / of a container that this process owns, and that does not run yet."""

    def take(root: int) -> None:
        with open(fd, "rb", closefd=False) as file, opened(file, _NO_LIMIT) as stream:
            _unpack(stream, CopyTarget(Side(root), "/", as_is=True, owner=None))

    with view.assembled(paths, container, take, mounted=True):
        pass


def export(paths: Paths, word: str, fd: int, told: Told) -> None:
    """Write a container's own files, without its mounts, to *fd* as a tar archive; see docker-export(1)."""

    def send(root: int) -> None:
        with Writer(fd) as file:
            write(members(root, ".", told), file)

    with view.visit(paths, word, send, mounted=False):
        pass
    _tell(paths, word, "export")


def _tell(paths: Paths, word: str, action: str) -> None:
    """Append the event that files were copied; a container that was removed meanwhile has none."""
    with suppress(StateError):
        events.emit(paths, naming.find(paths, word), action)


def _send(side: Side, path: str, file: BinaryIO, *, follow: bool, told: Told) -> None:
    """Write *path* to *file* without devices: a copy of a device node would give access to the device."""
    write(side.members(path, follow=follow, skipped=told), file, with_holes=True)
    file.flush()


def _unpack(stream: Stream, target: CopyTarget) -> int:
    """Unpack the archive *stream* at its *target*; return the archive's length in bytes."""
    with target:
        try:
            fill(target, stream)
        except ImageError as error:
            raise TinyboxError(error.thing, error.cause) from error
        return stream.tell()
