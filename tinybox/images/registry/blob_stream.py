"""The bytes of a blob while they come: counted, hashed, copied into a file, and fetched from where they broke off.

The size and the digest are known before the first byte. No byte beyond the size is taken, and `finish` must be called:
until then nothing proves that the bytes are those of the digest.
"""

from __future__ import annotations

import hashlib
import io
import time
from typing import TYPE_CHECKING

from tinybox.errors import HostError, ImageError
from tinybox.images.registry.transport import BROKEN, PAUSE, PAUSE_MOST, TRIES, reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from tinybox.images.registry.manifests import Descriptor
    from tinybox.images.registry.transport import Response

PIECE = 1 << 18
SLOW_TIME, SLOW_BYTES = 60.0, 60_000  # a connection that brings fewer bytes in this many seconds counts as stalled


class BlobStream(io.RawIOBase):
    """The blob of *descriptor*; *open_at* gives its bytes from an offset on; each byte read also goes to *copy*.

    *told* is called with the number of bytes so far. A broken or stalled connection is opened again at the same place,
    at most TRIES times for SLOW_BYTES new bytes: a byte for each try would take for ever. ImageError: the content is
    not that of the digest. HostError: the registry is gone.
    """

    def __init__(
        self, descriptor: Descriptor, open_at: Callable[[int], Response], copy: BinaryIO, told: Callable[[int], None]
    ) -> None:
        super().__init__()
        self._wanted, self._open_at, self._copy, self._told = descriptor, open_at, copy, told
        self._hash, self._at = hashlib.sha256(), 0
        self._response: Response | None = None
        self._failures, self._failed_at = 0, 0
        self._waited, self._mark = 0.0, 0  # the time in reads, and the offset at its start

    def readable(self) -> bool:
        """Return True, as io.RawIOBase requires of a readable object."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Copy the next bytes into *buffer* and return their number; 0 at the end of the blob."""
        left = self._wanted.size - self._at
        piece = self._next(min(len(buffer), left, PIECE)) if left else b""
        buffer[: len(piece)] = piece
        return len(piece)

    def finish(self) -> None:
        """Read the rest, and check size and digest; ImageError: this is not the blob that was asked for."""
        while (left := self._wanted.size - self._at) > 0:
            self._next(min(PIECE, left))
        if self._response is not None and self._response.read(1):
            self._response.close()
            raise self._wrong(f"is longer than its {self._wanted.size} bytes")
        if f"sha256:{self._hash.hexdigest()}" != self._wanted.digest:
            raise self._wrong("has another digest")
        self._drop()

    def close(self) -> None:
        """Close the connection, which cannot be used again in the middle of a body."""
        if self._response is not None:
            self._response.close()
            self._response = None
        super().close()

    def _next(self, size: int) -> bytes:
        """Return at least one byte, and at most *size*."""
        while True:
            try:
                piece = self._read(size)
            except BROKEN as error:
                piece, cause = b"", reason(error)
            else:
                cause = "the connection ended early"
            if piece:
                self._take(piece)
                return piece
            self._fail(cause)

    def _read(self, size: int) -> bytes:
        if self._response is None:
            self._response = self._open_at(self._at)
        start = time.monotonic()
        piece = self._response.read1(size)
        self._waited += time.monotonic() - start
        if self._waited > SLOW_TIME:
            if self._at - self._mark < SLOW_BYTES:
                raise TimeoutError(0, "it sends almost nothing")
            self._waited, self._mark = 0.0, self._at
        return piece

    def _take(self, piece: bytes) -> None:
        self._at += len(piece)
        self._hash.update(piece)
        self._copy.write(piece)
        self._told(self._at)

    def _fail(self, cause: str) -> None:
        """Close the broken connection, and wait before the next one; HostError after TRIES without a byte."""
        if self._response is not None:
            self._response.close()
            self._response = None
        if self._at - self._failed_at >= SLOW_BYTES:
            self._failures, self._failed_at = 0, self._at
        self._failures += 1
        if self._failures >= TRIES:
            raise HostError(
                f"blob {self._wanted.digest[7:19]}", f"{cause}, {TRIES} times near byte {self._at}", "try again later"
            )
        self._waited, self._mark = 0.0, self._at
        time.sleep(min(PAUSE * 2 ** (self._failures - 1), PAUSE_MOST))

    def _drop(self) -> None:
        if self._response is not None:
            self._response.release_conn()
            self._response = None

    def _wrong(self, cause: str) -> ImageError:
        return ImageError(
            f"blob {self._wanted.digest[7:19]}",
            f"what the registry sends {cause}",
            "its registry, or something between, is at fault",
        )
