"""A directory tree told as the members of a tar archive, one by one: headers, content, links, attributes.

Every name is opened below one directory by openat2(2) and looked at through its open file, so what is told is what is
there, even while others change the tree.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import TinyboxError
from tinybox.images.metadata import XATTR
from tinybox.linux.files import KERNELS_OWN, LONGEST_PATH, file_system, open_regular, open_straight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol

    class Writable(Protocol):
        """What an archive can be written to."""

        def write(self, data: bytes, /) -> int:
            """Write all of *data*."""


CHUNK = 1 << 18
PATIENCE = 5.0  # seconds, for a process in the box to give up its lease on a file: fcntl(2)
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}

# What getxattr(2) answers when the attribute has gone, or when the file system shows its name and not its value.
_HIDDEN = (errno.ENODATA, errno.EPERM, errno.EACCES, errno.ENOTSUP)
_LINKED = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE)  # overlayfs links its whiteouts, too: devices stay apart


class Member(NamedTuple):
    """One member: its *header*, and its *data* if it is a file; to be used up before the next one is asked for."""

    header: tarfile.TarInfo
    data: Iterable[bytes]


def members(
    top: int, name: str, skipped: Callable[[str], None] = lambda _: None, *, marks: bool = False
) -> Iterator[Member]:
    """Yield all that is at the open *top*, itself first, as *name* and ``NAME/...``; children sorted by their names.

    Below ``.`` names stand alone, as docker-export(1) writes them. With *marks* the attributes by which overlayfs
    speaks to itself are told, too.
    Sockets, which no archive can hold, are told to *skipped*. A path longer than any program can name is a
    TinyboxError: nothing could unpack it, and to leave it out would lose files. See tar(5) and xattr(7).
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
                header.pax_headers = {key: value for key, value in header.pax_headers.items() if "overlay." not in key}
            if header.isdir():
                pending += _children(fd, path)
            if header.isreg() and header.size:
                yield Member(header, _content(fd, where, header.size))
            else:
                yield Member(header, ())
        finally:
            os.close(fd)


def write(told: Iterable[Member], file: Writable) -> None:
    """Write the members to *file* as a tar archive in the PAX format; see pax(1)."""
    for header, data in told:
        file.write(header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        if header.isreg():
            for piece in data:
                file.write(piece)
            file.write(bytes(-header.size % tarfile.BLOCKSIZE))
    file.write(bytes(2 * tarfile.BLOCKSIZE))  # the end marker


def _open_below(top: int, path: bytes) -> int:
    """Open *path* itself, be it a link, below *top*; -1 if it has gone meanwhile; see openat2(2)."""
    try:
        return open_straight(top, path)
    except (FileNotFoundError, NotADirectoryError):
        return -1
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise too_long(os.fsdecode(path)) from error
        raise


def too_long(path: str) -> TinyboxError:
    """Return the error that a *path* in a tree is longer than the kernel takes one in a call; see ENAMETOOLONG."""
    cause = f"a path below is longer than {LONGEST_PATH} bytes, which no archive can bring back"
    return TinyboxError(f"{path[:60]}...", cause, "remove it, or move it further up")


def _children(fd: int, path: bytes) -> list[bytes]:
    """List what is in the directory, last name first; nothing in a file system of the kernel's own."""
    if file_system(fd) in KERNELS_OWN:
        return []
    names = sorted((os.fsencode(name) for name in os.listdir(_by_number(fd))), reverse=True)
    return names if path == b"." else [path + b"/" + name for name in names]


def _header(fd: int, where: str, seen: dict[tuple[int, int], str]) -> tarfile.TarInfo | None:
    """Describe the open *fd*; a file met before, in *seen*, is a link to that name; None for a socket."""
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
    """Return the extended attributes as PAX records; see listxattr(2)."""
    path = _by_number(fd)
    for name in os.listxattr(path):
        try:
            value = os.getxattr(path, name)
        except OSError as error:
            if error.errno in _HIDDEN:
                continue
            raise
        yield XATTR + name, value.decode("utf-8", "surrogateescape")


def _content(fd: int, name: str, size: int) -> Iterator[bytes]:
    """Read exactly *size* bytes: of a file that grows meanwhile the beginning, of one that shrinks zeros at the end."""
    with open(open_regular(fd, name, PATIENCE), "rb", buffering=0) as file:
        while size:
            piece = file.read(min(CHUNK, size)) or bytes(min(CHUNK, size))
            size -= len(piece)
            yield piece


def _by_number(fd: int) -> str:
    """Return a path that means the file open as *fd*, also one that is open only as a place (O_PATH)."""
    return f"/proc/self/fd/{fd}"
