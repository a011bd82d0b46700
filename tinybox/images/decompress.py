"""What an archive is packed with is seen by its first bytes; it is unpacked with a bound on the memory that takes.

gzip and bzip2 look back a fixed way, 32 KiB and 900 kB. The window of xz and zstd is what the archive says, up to
several GiB: 390 KB of xz asked for 2.6 GB. Both get WINDOW_MOST, which is what zstd(1) grants by itself.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from tinybox.errors import HostError, ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from io import BufferedReader

WINDOW_MOST = 128 << 20  # bytes; `xz -9` needs 64 MiB, `zstd --ultra -22` 128 MiB
_XZ_OWN = 1 << 20  # bytes that liblzma needs beside the window
CHUNK = 1 << 18
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError)
GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"


class Reader(Protocol):
    """Anything that gives bytes, and fewer than asked for only at its end."""

    def read(self, size: int, /) -> bytes:
        """Return the next *size* bytes."""


def unpacked(source: BufferedReader, stack: ExitStack) -> tuple[Reader, tuple[type[Exception], ...]]:
    """Return the reader of what is packed in *source*, and what it raises where that is damaged."""
    magic = source.peek(6)[:6]
    if magic.startswith(GZIP):
        return stack.enter_context(gzip.open(source)), DAMAGE
    if magic.startswith(BZIP2):
        return stack.enter_context(bz2.open(source)), DAMAGE
    if magic.startswith(XZ):
        return stack.enter_context(io.BufferedReader(_Xz(source), CHUNK)), DAMAGE
    if magic.startswith(ZSTD):
        return _zstd(source, stack)
    return source, DAMAGE


class _Xz(io.RawIOBase):
    """The content of xz streams, one behind the other; `lzma.open` does the same, but knows no limit of memory."""

    def __init__(self, source: BufferedReader) -> None:
        super().__init__()
        self._source = source
        self._decoder: lzma.LZMADecompressor | None = self._fresh()

    @staticmethod
    def _fresh() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW_MOST + _XZ_OWN)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill *buffer* as far as the next piece goes; 0 at the end."""
        piece = self._next(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def _next(self, size: int) -> bytes:
        while self._decoder is not None:
            packed = b""
            if self._decoder.eof:
                packed = self._behind(self._decoder.unused_data)
                self._decoder = self._fresh() if packed else None
            elif self._decoder.needs_input:
                packed = self._source.read(CHUNK)
                if not packed:
                    raise EOFError("the end of the xz stream is missing")
            if self._decoder is not None and (piece := self._unpack(packed, size)):
                return piece
        return b""

    def _unpack(self, packed: bytes, size: int) -> bytes:
        try:
            return self._decoder.decompress(packed, size) if self._decoder else b""
        except lzma.LZMAError as error:
            if "Memory usage limit" in str(error):  # LZMA_MEMLIMIT_ERROR, which has no class of its own
                raise _too_wide("xz") from error
            raise

    def _behind(self, rest: bytes) -> bytes:
        """Return the beginning of the next stream; zeros may stand between two, and at the end."""
        while not (found := rest.lstrip(b"\0")) and (rest := self._source.read(CHUNK)):
            pass
        return found


def _too_wide(packing: str) -> ImageError:
    cause = f"its {packing} needs more than {WINDOW_MOST >> 20} MiB of memory to be unpacked"
    return ImageError("", cause, f"pack it with a smaller window, as {packing} does unless told otherwise")


def _zstd(source: BufferedReader, stack: ExitStack) -> tuple[Reader, tuple[type[Exception], ...]]:
    """Read zstd by the package zstandard, else by the program zstd, whichever this host has."""
    try:
        import zstandard
    except ImportError:
        return stack.enter_context(_zstd_program(source)), DAMAGE
    decoder = zstandard.ZstdDecompressor(max_window_size=WINDOW_MOST)
    reader = decoder.stream_reader(source, read_across_frames=True, closefd=False)
    return _Zstd(stack.enter_context(reader), zstandard.ZstdError), (*DAMAGE, zstandard.ZstdError)


class _Zstd:
    """What the package zstandard unpacks; a window that is too wide is told as that, and not as damage."""

    def __init__(self, reader: Reader, damage: type[Exception]) -> None:
        self._reader, self._damage = reader, damage

    def read(self, size: int, /) -> bytes:
        """Return the next *size* bytes."""
        try:
            return self._reader.read(size)
        except self._damage as error:
            if "too much memory" in str(error):
                raise _too_wide("zstd") from error
            raise


class _ZstdProgram:
    """The output of zstd(1), which at its end tells whether the archive was sound."""

    def __init__(self, program: subprocess.Popen[bytes]) -> None:
        self._program = program

    def read(self, size: int, /) -> bytes:
        """Return the next *size* bytes."""
        said, complaints = self._program.stdout, self._program.stderr
        piece = said.read(size) if said else b""
        if len(piece) < size and self._program.wait():
            complaint = complaints.read().decode(errors="replace") if complaints else ""
            if "too much memory" in complaint:
                raise _too_wide("zstd")
            raise ImageError("", f"zstd refuses the archive, status {self._program.returncode}", "fetch it again")
        return piece


@contextmanager
def _zstd_program(source: BufferedReader) -> Iterator[_ZstdProgram]:
    """Enter the output of zstd(1), which reads *source* from its beginning."""
    if not shutil.which("zstd") or not source.seekable():
        raise HostError("", "this host cannot read zstd from here", "pip install zstandard, or apt install zstd")
    os.lseek(source.fileno(), 0, os.SEEK_SET)  # looking at the first bytes had moved it
    words = ["zstd", "-dcq", f"--memory={WINDOW_MOST >> 20}MiB"]
    with subprocess.Popen(words, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        try:
            yield _ZstdProgram(program)
        except BaseException:
            program.kill()
            raise
