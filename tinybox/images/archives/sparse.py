"""Sparse members of a tar archive: a file with holes, and only its data in the archive; see "Sparse Formats" of tar(1).

tarfile reads all four formats of GNU tar into a list of parts. `head` writes the newest, PAX 1.0, which GNU tar,
bsdtar, Python and Go read. A layer never has it: the OCI image-spec advises against sparse members in layers.
"""

from __future__ import annotations

import copy
import tarfile
from typing import TYPE_CHECKING, cast

from tinybox.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tinybox.linux.filesystem.holes import Span

_ZEROS = bytes(1 << 18)


def parts(member: tarfile.TarInfo) -> list[Span]:
    """Return the parts of a file that have data in the archive, in order; ImageError: they are no such list."""
    if member.sparse is None:
        return [(0, member.size)]
    end, listed = 0, cast("list[Span]", member.sparse)  # not bytes, as the types of tarfile claim
    for start, length in listed:
        if not length:
            continue  # the end of the file, or an unused place in an old header
        if start < end or length < 0 or start + length > member.size:
            raise _wrong(member)
        end = start + length
    return [(start, length) for start, length in listed if length]


def stored(member: tarfile.TarInfo) -> int:
    """Return the number of bytes of the member's data that are in the archive."""
    return sum(length for _, length in parts(member)) if member.isreg() else member.size


def correct(member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
    """Check a sparse *member* of the *archive*, and correct what tarfile makes of a PAX record for its size.

    That is the record for more than 8 GiB of data; tarfile takes it for the file's size, or looks for the next member
    at a wrong offset.
    """
    if member.sparse is None:
        return
    member.size = int(member.pax_headers.get("GNU.sparse.realsize", member.size))
    blocks = -(-stored(member) // tarfile.BLOCKSIZE)
    end = member.offset_data + blocks * tarfile.BLOCKSIZE
    if archive.offset != end and "size" not in member.pax_headers:
        raise _wrong(member)
    archive.offset = end


def _wrong(member: tarfile.TarInfo) -> ImageError:
    thing = f"archive member {member.name[:200]!r}"
    return ImageError(thing, "its list of holes is wrong", "the archive is damaged or unsafe")


def head(header: tarfile.TarInfo) -> tuple[bytes, int]:
    """Return the headers and the list of parts of a sparse file, and how many bytes of data and list follow them.

    Programs that do not know the format extract a file with the list and the data, in a directory GNUSparseFile.0.
    """
    listed = [*parts(header), (header.size, 0)]
    text = "".join(f"{number}\n" for number in [len(listed), *(number for part in listed for number in part)]).encode()
    text += bytes(-len(text) % tarfile.BLOCKSIZE)
    stand_in = copy.copy(header)
    stand_in.name = f"GNUSparseFile.0/{_plain(header.name)}"
    stand_in.size = len(text) + stored(header)
    stand_in.pax_headers = {
        **header.pax_headers,
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": header.name,
        "GNU.sparse.realsize": str(header.size),
    }
    return stand_in.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape") + text, stand_in.size


def filled(header: tarfile.TarInfo, data: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the whole content of a file whose *data* is only in its parts: zeros for its holes."""
    if header.sparse is None:
        yield from data
        return
    at, pieces = 0, iter(data)
    for start, length in [*parts(header), (header.size, 0)]:
        while at < start:
            piece = _ZEROS[: start - at]
            at += len(piece)
            yield piece
        while at < start + length:
            piece = next(pieces)
            at += len(piece)
            yield piece


def _plain(name: str) -> str:
    """Return the last part of *name* if every old header can contain it; a PAX record for it would replace the name."""
    last = name.rpartition("/")[2]
    return last if last.isascii() and len(last) < 80 else "file"
