"""Read an archive as one decompressed stream, forwards only, and compute its size and its SHA-256 (OCI's diff id).

The diff id is the layer's name in OCI: two archives with the same content have the same diff id, with any compression.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tinybox.errors import ImageError
from tinybox.images.archives import pax
from tinybox.images.archives.decompress import CHUNK, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from tinybox.images.archives.decompress import Reader
    from tinybox.images.original import Recorder

HEADERS_MAX = 1 << 18  # bytes of one member's headers: names, links and attributes are at most 64 KiB each


class Stream:
    """The decompressed bytes of an archive, at most *limit* bytes; tarfile uses it like a seekable file.

    It moves only forwards. ImageError: a header points backwards, or needs more memory than a header should; the error
    is raised before tarfile uses the header.
    """

    def __init__(self, reader: Reader, damage: tuple[type[Exception], ...], limit: int) -> None:
        self._reader, self._damage, self._limit = reader, damage, limit
        self._hash = hashlib.sha256()
        self._at = 0
        self._allowance = HEADERS_MAX
        self._last = b""
        self._expects_records = False
        self.is_proven = False  # whether the digest of the whole stream is known, and will be checked
        self.recorder: Recorder | None = None  # it gets all bytes but those that `data` yields

    def tell(self) -> int:
        """Return the number of bytes read so far."""
        return self._at

    def allow_headers(self) -> None:
        """Set the size limit for the headers of the next member."""
        self._allowance = HEADERS_MAX

    def expect_records(self) -> None:
        """Check the next bytes as a PAX header, before tarfile searches them."""
        self._expects_records = True

    def read(self, size: int) -> bytes:
        """Return *size* bytes of headers, fewer only at the end; ImageError: the headers are too large."""
        self._allowance -= size
        if size < 0 or self._allowance < 0:
            raise ImageError("", f"its headers are larger than {HEADERS_MAX >> 10} KiB", "the archive is unsafe")
        piece = self._take(size)
        if self._expects_records:
            self._expects_records = False
            pax.check(piece)
        return piece

    def seek(self, position: int) -> None:
        """Skip forwards to *position*."""
        if position < self._at:
            raise ImageError("", "its headers point backwards", "the archive is unsafe")
        while self._at < position and self._take(min(CHUNK, position - self._at)):
            pass

    def data(self, size: int) -> Iterator[bytes]:
        """Yield the next *size* bytes in pieces; ImageError: there are fewer, or they exceed the limit."""
        if size > self._limit - self._at:
            raise ImageError(
                "", f"its {size} bytes would not fit; {self._limit - self._at} are left", "make room first"
            )
        while size > 0:
            piece = self._take(min(CHUNK, size), is_data=True)
            if not piece:
                raise ImageError("", "the archive ends in the middle of it", "fetch it again")
            size -= len(piece)
            yield piece

    def ended_well(self) -> bool:
        """Return whether the last header was the end marker, a block of zeros: otherwise the archive is cut short.

        Some tools (umoci) write no end marker: without one, only a digest proves that the archive is complete.
        """
        is_marker = len(self._last) == 512 and not any(self._last)
        return is_marker or (self.is_proven and not self._last)

    def diff_id(self) -> str:
        """Read the rest, so that the hash is that of the whole stream, and return it as ``sha256:HEX``."""
        while self._take(CHUNK):
            pass
        return f"sha256:{self._hash.hexdigest()}"

    def _take(self, size: int, *, is_data: bool = False) -> bytes:
        try:
            piece = self._reader.read(size)
        except self._damage as error:
            raise ImageError("", f"the archive is damaged or cut short: {error}", "fetch it again") from error
        self._at += len(piece)
        if self._at > self._limit:
            raise ImageError("", f"the archive unpacks to more than {self._limit} bytes", "make room first")
        self._hash.update(piece)
        if self.recorder is not None and not is_data:
            self.recorder.raw(piece)
        self._last = piece
        return piece


@contextmanager
def opened(source: BufferedReader, limit: int) -> Iterator[Stream]:
    """Yield the decompressed stream of *source*; its first bytes, not its name, determine the compression."""
    with ExitStack() as stack:
        reader, damage = unpacked(source, stack)
        yield Stream(reader, damage, limit)
