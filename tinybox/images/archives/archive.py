"""Unpack a tar archive, from an untrusted source, into a new directory: completely, or not at all.

Python's tarfile reads the headers. `Tree` makes the files, because each must be made below one open directory. The
result is a complete tree, or an ImageError that names the member, and no directory.
"""

from __future__ import annotations

import errno
import os
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import ImageError, TinyboxError
from tinybox.images.archives import sparse
from tinybox.images.archives.stream import Stream, opened
from tinybox.images.archives.tree import Tree
from tinybox.linux.filesystem.files import LONGEST_PATH, remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from typing import Self

    from tinybox.images.original import Recorder

CAUSES = {
    errno.EXDEV: "its path leads outside through a link",
    errno.ELOOP: "the links in its path form a loop",
    errno.ENOENT: "its directory, or the file to which it links, is not in the archive",
    errno.ENOSPC: "there is no space left on the device",
    errno.ENAMETOOLONG: f"a path of it is longer than {LONGEST_PATH} bytes, or a name than 255",
}


GLOBALS_MOST = 1 << 16  # bytes of global headers, which apply to every later member: tarfile copies them for each
CURE = "a .tar, .tar.gz, .xz, .bz2 or .zst"


class Unpacked(NamedTuple):
    """The result of unpacking: the OCI diff id, the *size* of all files in bytes, and the time of the newest file."""

    diff_id: str
    size: int
    newest: int


def unpack(
    source: BufferedReader,
    destination: str,
    limit: int | None = None,
    recorder: Recorder | None = None,
    *,
    proven: bool = False,
) -> Unpacked:
    """Make the directory *destination* from the archive *source*; see tar(5) and the OCI image-spec on layers.

    At most *limit* bytes are unpacked, by default the free space of the file system. ImageError: the archive is
    damaged, unsafe or too large; then the directory is removed. The *recorder* gets the archive. With *proven* the
    caller compares the diff id with the one that it should be: then the archive may lack its end marker.
    """
    os.mkdir(destination)
    try:
        os.chmod(destination, 0o755)  # with any umask; the archive may set another mode
        with opened(source, free(destination) if limit is None else limit) as stream, Tree(destination) as tree:
            stream.recorder = tree.recorder = recorder
            stream.is_proven = proven
            return fill(tree, stream)
    except BaseException as error:
        with suppress(OSError):  # report the first error, not this one
            remove_tree(destination)
        if isinstance(error, TinyboxError):
            error.thing = error.thing or "archive"
        raise


def fill(tree: Tree, stream: Stream) -> Unpacked:
    """Put every member of *stream* into *tree*; an error names the current member."""
    size = newest = 0
    with ErrorContext() as context:
        for member in headers(stream):
            context.thing = f"archive member {member.name[:200]!r}"
            tree.add(member, stream.data(sparse.stored(member)))
            size += member.size if member.isreg() else 0
            newest = max(newest, int(member.mtime))
            context.thing = f"archive, after {member.name[:200]!r}"
        tree.end()
        for directory in tree.directories():
            context.thing = f"archive member {directory.name[:200]!r}"
            tree.finish(directory)
        return Unpacked(stream.diff_id(), size, newest)


class ErrorContext:
    """A context manager that turns every error of reading an archive into an ImageError about its current *thing*.

    *thing* is the archive, or a member of it. With an untrusted archive tarfile may raise many kinds of errors: each
    becomes an error of one line.
    """

    def __init__(self) -> None:
        self.thing = "archive"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, ImageError):
            error.thing = error.thing or self.thing
        elif isinstance(error, OSError):
            raise ImageError(self.thing, CAUSES.get(error.errno or 0, str(error.strerror))) from error
        elif isinstance(error, tarfile.TarError | ValueError | OverflowError | RecursionError):
            raise ImageError(self.thing, f"not a valid tar archive: {error}", CURE) from error


class _Header(tarfile.TarInfo):
    """A tar header; PAX headers are checked before tarfile searches them.

    The comments in tarfile's source allow subclasses to override this method.
    """

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE):
            archive.fileobj.expect_records()  # type: ignore[attr-defined]
        member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        sparse.correct(member, archive)
        return member


def headers(stream: Stream) -> Iterator[tarfile.TarInfo]:
    """Yield the header of each member; ImageError: the end marker is missing after the last one."""
    tar = tarfile.TarFile(fileobj=stream, tarinfo=_Header, encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
    with tar as archive:
        while True:
            stream.allow_headers()
            member = archive.next()
            if member is None:
                break
            if member.size < 0:
                raise ImageError("", f"its size is {member.size}", "the archive is damaged or unsafe")
            archive.members = []  # type: ignore[attr-defined]  # tarfile would keep a million of them in memory
            if sum(len(key) + len(value) for key, value in archive.pax_headers.items()) > GLOBALS_MOST:
                raise ImageError(
                    "", f"its global headers are larger than {GLOBALS_MOST >> 10} KiB", "the archive is unsafe"
                )
            yield member
    if not stream.ended_well():
        raise ImageError("", "the archive is cut short or damaged here", "fetch it again")


def free(path: str) -> int:
    """Return the bytes that this process may use in the file system of *path*; see statvfs(3)."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
