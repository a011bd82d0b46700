"""From a tar archive to a directory: the archive says what it likes, and only what is safe and whole is believed.

Python's tarfile reads the headers; making the files is ours, because it must happen below one open directory. The end
is all or nothing: a complete tree, or an ImageError that names the member, and no trace.
"""

from __future__ import annotations

import errno
import os
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import ImageError, TinyboxError
from tinybox.images.stream import Stream, opened
from tinybox.images.tree import Tree
from tinybox.linux.files import LONGEST_PATH, remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from typing import Self

WHAT_FAILED = {
    errno.EXDEV: "its path leads outside through a link",
    errno.ELOOP: "its path goes round in links",
    errno.ENOENT: "what it links to, or is named behind, is not in the archive",
    errno.ENOSPC: "there is no space left on the device",
    errno.ENAMETOOLONG: f"a path of it is longer than {LONGEST_PATH} bytes, or a name than 255",
}


GLOBALS_MOST = 1 << 16  # bytes of global headers, which hold for every later member, so tarfile copies them for each
CURE = "a .tar, .tar.gz, .xz, .bz2 or .zst"


class Unpacked(NamedTuple):
    """What an archive turned out to be: its OCI diff id, its files' bytes, and the time of its newest file."""

    diff_id: str
    size: int
    newest: int


def unpack(source: BufferedReader, destination: str, limit: int | None = None) -> Unpacked:
    """Make the directory *destination* from the archive *source*; see tar(5) and the OCI image-spec on layers.

    At most *limit* bytes are unpacked, by default what the file system has free. Raises ImageError.
    """
    os.mkdir(destination)
    try:
        os.chmod(destination, 0o755)  # unless the archive says otherwise, and whatever the umask says
        with opened(source, free(destination) if limit is None else limit) as stream, Tree(destination) as tree:
            return fill(tree, stream)
    except BaseException as error:
        with suppress(OSError):  # the error that we have is the one to tell
            remove_tree(destination)
        if isinstance(error, TinyboxError):
            error.thing = error.thing or "archive"
        raise


def fill(tree: Tree, stream: Stream) -> Unpacked:
    """Put every member of *stream* into *tree*; blame the member at hand for what goes wrong."""
    size = newest = 0
    with ErrorContext() as blame:
        for member in headers(stream):
            blame.thing = f"archive member {member.name[:200]!r}"
            tree.add(member, stream.data(member.size))
            size += member.size if member.isreg() else 0
            newest = max(newest, int(member.mtime))
            blame.thing = f"archive, after {member.name[:200]!r}"
        for directory in tree.directories():
            blame.thing = f"archive member {directory.name[:200]!r}"
            tree.finish(directory)
        return Unpacked(stream.diff_id(), size, newest)


class ErrorContext:
    """The *thing* at hand, an archive or a member of it, which is named when reading it fails: as an ImageError.

    Archives of strangers are read in here, so that each error of tarfile becomes one line.
    """

    def __init__(self) -> None:
        self.thing = "archive"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, ImageError):
            error.thing = error.thing or self.thing
        elif isinstance(error, OSError):
            raise ImageError(self.thing, WHAT_FAILED.get(error.errno or 0, str(error.strerror))) from error
        elif isinstance(error, tarfile.TarError | ValueError | OverflowError | RecursionError):
            raise ImageError(self.thing, f"not a sound tar archive: {error}", CURE) from error


class _Header(tarfile.TarInfo):
    """A header; those of PAX are looked at before tarfile searches them. Its source allows others this method."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE):
            archive.fileobj.expect_records()  # type: ignore[attr-defined]
        member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return member


def headers(stream: Stream) -> Iterator[tarfile.TarInfo]:
    """Yield the members one by one; raise ImageError if there is no end marker where they end."""
    tar = tarfile.TarFile(fileobj=stream, tarinfo=_Header, encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
    with tar as archive:
        while True:
            stream.allow_headers()
            member = archive.next()
            if member is None:
                break
            archive.members = []  # type: ignore[attr-defined]  # tarfile would remember a million of them
            if sum(len(key) + len(value) for key, value in archive.pax_headers.items()) > GLOBALS_MOST:
                raise ImageError(
                    "", f"its global headers are larger than {GLOBALS_MOST >> 10} KiB", "the archive is unsafe"
                )
            yield member
    if not stream.ended_well():
        raise ImageError("", "the archive is cut short or damaged here", "fetch it again")


def free(path: str) -> int:
    """Return how many bytes the file system of *path* has for us; see statvfs(3)."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
