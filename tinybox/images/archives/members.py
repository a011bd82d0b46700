"""Read a directory tree as the members of a tar archive, and write these to a file (export, cp, commit, save).

Every name is opened below one directory by openat2(2), and all about the file is read from its open descriptor: so the
parts of a member belong to the same file, even while another process changes the tree.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import TinyboxError
from tinybox.images.archives import sparse
from tinybox.images.archives.metadata import XATTR
from tinybox.linux.filesystem import holes
from tinybox.linux.filesystem.files import KERNELS_OWN, LONGEST_PATH, file_system, open_regular, open_straight
from tinybox.linux.filesystem.overlay_marks import is_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol

    class Writable(Protocol):
        """An object to which an archive can be written."""

        def write(self, data: bytes, /) -> int:
            """Write all of *data*."""


CHUNK = 1 << 18
PATIENCE = 5.0  # seconds, the time for a process of the container to release its lease on a file: fcntl(2)
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}

# The errors of getxattr(2) when the attribute was removed, or when the file system lists its name but hides its value.
_HIDDEN = (errno.ENODATA, errno.EPERM, errno.EACCES, errno.ENOTSUP)
_LINKED = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE)  # not devices, because overlayfs hard-links whiteouts


class Member(NamedTuple):
    """One member: its *header*, and its *data* if it is a file; read the data before you request the next member.

    If the file has holes, *header.sparse* lists the parts that have data, and *data* has only these.
    """

    header: tarfile.TarInfo
    data: Iterable[bytes]


def members(
    top: int, name: str, skipped: Callable[[str], None] = lambda _: None, *, marks: bool = False
) -> Iterator[Member]:
    """Yield the file or tree of the open *top*, itself first, as *name* and ``NAME/...``, sorted by name.

    With the *name* ``.`` the names have no prefix, as in docker-export(1). With *marks* the overlayfs attributes are
    included.
    *skipped* is called with the name of each socket, which an archive cannot contain. TinyboxError: a path is longer
    than PATH_MAX: no program could unpack it, and without it files would be lost. See tar(5) and xattr(7).
    """
    seen: dict[tuple[int, int], str] = {}
    prefix = "" if name == "." else f"{name}/"
    pending = [b"."]
    while pending:
        path = pending.pop()
        fd = os.dup(top) if path == b"." else _open_below(top, path)
        if fd < 0:
            continue
        try:
            where = name if path == b"." else prefix + os.fsdecode(path)
            header = _header(fd, where, seen)
            if header is None:
                skipped(where)
                continue
            if not marks:
                header.pax_headers = {key: value for key, value in header.pax_headers.items() if not is_note(key)}
            if header.isdir():
                pending += _children(fd, path)
            if header.isreg() and header.size:
                _list_parts(fd, where, header)
                yield Member(header, _content(fd, where, sparse.parts(header)))
            else:
                yield Member(header, ())
        finally:
            os.close(fd)


def write(found: Iterable[Member], file: Writable, *, with_holes: bool = False) -> None:
    """Write the members to *file* as a tar archive in the PAX format; see pax(1).

    With *with_holes*, the holes of a file are only listed, for GNU tar or `cp`; else they are written as zeros.
    """
    for header, data in found:
        is_sparse = with_holes and header.sparse is not None
        if is_sparse:
            head, size = sparse.head(header)
        else:
            head, size = header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"), header.size
        file.write(head)
        if header.isreg():
            for piece in data if is_sparse else sparse.filled(header, data):
                file.write(piece)
            file.write(bytes(-size % tarfile.BLOCKSIZE))
    file.write(bytes(2 * tarfile.BLOCKSIZE))  # the end marker


def _open_below(top: int, path: bytes) -> int:
    """Open *path* below *top*, without following a link; return -1 if it was removed since; see openat2(2)."""
    try:
        return open_straight(top, path)
    except (FileNotFoundError, NotADirectoryError):
        return -1
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise too_long(os.fsdecode(path)) from error
        raise


def too_long(path: str) -> TinyboxError:
    """Return the error for a *path* in a tree that is longer than PATH_MAX; see ENAMETOOLONG in errno(3)."""
    cause = f"a path below is longer than {LONGEST_PATH} bytes, which no program could unpack"
    return TinyboxError(f"{path[:60]}...", cause, "remove it, or move it further up")


def _children(fd: int, path: bytes) -> list[bytes]:
    """Return the entries of the directory, the last name first; nothing for a file system such as proc."""
    if file_system(fd) in KERNELS_OWN:
        return []
    names = sorted((os.fsencode(name) for name in os.listdir(_by_number(fd))), reverse=True)
    return names if path == b"." else [path + b"/" + name for name in names]


def _header(fd: int, where: str, seen: dict[tuple[int, int], str]) -> tarfile.TarInfo | None:
    """Return the header of the open file *fd*; None for a socket.

    A file that is already in *seen* becomes a hard link to its first name.
    """
    info = os.fstat(fd)
    kind = _KINDS.get(stat.S_IFMT(info.st_mode))
    if kind is None:
        return None
    header = tarfile.TarInfo(where)
    header.type, header.mode = kind, stat.S_IMODE(info.st_mode)
    header.uid, header.gid, header.mtime = info.st_uid, info.st_gid, info.st_mtime_ns / 10**9
    header.pax_headers = {}
    if info.st_nlink > 1 and kind in _LINKED:
        first = seen.setdefault((info.st_dev, info.st_ino), where)
        if first != where:
            header.type, header.linkname = tarfile.LNKTYPE, first
            return header
    if kind == tarfile.SYMTYPE:
        header.linkname = os.fsdecode(os.readlink(b"", dir_fd=fd))
    elif kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        header.devmajor, header.devminor = os.major(info.st_rdev), os.minor(info.st_rdev)
    elif kind == tarfile.REGTYPE:
        header.size = info.st_size
    if kind in (tarfile.REGTYPE, tarfile.DIRTYPE):
        header.pax_headers.update(_attributes(fd))
    return header


def _attributes(fd: int) -> Iterator[tuple[str, str]]:
    """Yield the extended attributes as PAX records; see listxattr(2)."""
    path = _by_number(fd)
    for name in os.listxattr(path):
        try:
            value = os.getxattr(path, name)
        except OSError as error:
            if error.errno in _HIDDEN:
                continue
            raise
        yield XATTR + name, value.decode("utf-8", "surrogateescape")


def _list_parts(fd: int, name: str, header: tarfile.TarInfo) -> None:
    """List in its *header* the parts of the file *fd* that have data, if it has holes; see SEEK_HOLE, lseek(2)."""
    if not holes.is_sparse(os.fstat(fd)):
        return
    reading = open_regular(fd, name, PATIENCE)
    try:
        found = holes.spans(reading, header.size)
    finally:
        os.close(reading)
    if found != [(0, header.size)]:
        header.sparse = found  # type: ignore[assignment]


def _content(fd: int, name: str, parts: Iterable[holes.Span]) -> Iterator[bytes]:
    """Yield exactly the *parts* of the file *fd*: if it grows now, they stay the same; if it shrinks, zeros."""
    with open(open_regular(fd, name, PATIENCE), "rb", buffering=0) as file:
        for start, length in parts:
            file.seek(start)
            left = length
            while left:
                piece = file.read(min(CHUNK, left)) or bytes(min(CHUNK, left))
                left -= len(piece)
                yield piece


def _by_number(fd: int) -> str:
    """Return a path of the file that is open as *fd*, which may be an O_PATH descriptor."""
    return f"/proc/self/fd/{fd}"
