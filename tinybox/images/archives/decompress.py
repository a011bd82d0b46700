"""Decompress an archive (gzip, bzip2, xz or zstd, known by its first bytes) with a limit of the memory.

The window of gzip and bzip2 is fixed: 32 KiB and 900 kB. The window of xz and zstd is in the archive, up to several
GiB: an xz file of 390 KB needed 2.6 GB. For both the limit is WINDOW_MOST, the default of zstd(1).
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
_XZ_OWN = 1 << 20  # bytes that liblzma needs in addition to the window
CHUNK = 1 << 18
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError)
GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"


class Reader(Protocol):
    """An object with a method read(), which returns fewer bytes than requested only at the end."""

    def read(self, size: int, /) -> bytes:
        """Return the next *size* bytes."""


def unpacked(source: BufferedReader, stack: ExitStack) -> tuple[Reader, tuple[type[Exception], ...]]:
    """Return a reader of the decompressed *source*, and the exceptions that it raises if the data is damaged."""
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
    """The content of one or more xz streams in sequence; `lzma.open` does the same, but has no memory limit."""

    def __init__(self, source: BufferedReader) -> None:
        super().__init__()
        self._source = source
        self._decoder: lzma.LZMADecompressor | None = self._fresh()

    @staticmethod
    def _fresh() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW_MOST + _XZ_OWN)

    def readable(self) -> bool:
        """Return True, as io.RawIOBase requires of a readable object."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Copy the next piece into *buffer* and return its length; 0 at the end."""
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
        """Return the first bytes of the next stream, or b"" at the end; zeros between streams are padding."""
        while not (found := rest.lstrip(b"\0")) and (rest := self._source.read(CHUNK)):
            pass
        return found


def _too_wide(packing: str) -> ImageError:
    cause = f"its {packing} needs more than {WINDOW_MOST >> 20} MiB of memory to be unpacked"
    return ImageError("", cause, f"pack it with a smaller window, such as the default of {packing}")


def _zstd(source: BufferedReader, stack: ExitStack) -> tuple[Reader, tuple[type[Exception], ...]]:
    """Return a reader for zstd: the Python package zstandard if this host has it, else the program zstd(1)."""
    try:
        import zstandard
    except ImportError:
        return stack.enter_context(_zstd_program(source)), DAMAGE
    decoder = zstandard.ZstdDecompressor(max_window_size=WINDOW_MOST)
    reader = decoder.stream_reader(source, read_across_frames=True, closefd=False)
    return _Zstd(stack.enter_context(reader), zstandard.ZstdError), (*DAMAGE, zstandard.ZstdError)


class _Zstd:
    """A reader with the package zstandard; its error for a too large window is not reported as damage."""

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
    """A reader of the output of zstd(1), whose exit status at the end shows whether the archive was valid."""

    def __init__(self, program: subprocess.Popen[bytes]) -> None:
        self._program = program

    def read(self, size: int, /) -> bytes:
        """Return the next *size* bytes."""
        output, errors = self._program.stdout, self._program.stderr
        piece = output.read(size) if output else b""
        if len(piece) < size and self._program.wait():
            message = errors.read().decode(errors="replace") if errors else ""
            if "too much memory" in message:
                raise _too_wide("zstd")
            raise ImageError("", f"zstd refuses the archive, status {self._program.returncode}", "fetch it again")
        return piece


@contextmanager
def _zstd_program(source: BufferedReader) -> Iterator[_ZstdProgram]:
    """Run zstd(1) with the file *source* as its input, and yield a reader of its output.

    HostError: this host does not have zstd(1), or *source* is a pipe, whose first bytes are already read.
    """
    if not shutil.which("zstd") or not source.seekable():
        raise HostError("", "this host cannot unpack zstd here", "pip install zstandard, or apt install zstd")
    os.lseek(source.fileno(), 0, os.SEEK_SET)  # reading the first bytes has moved the position
    command = ["zstd", "-dcq", f"--memory={WINDOW_MOST >> 20}MiB"]
    with subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        try:
            yield _ZstdProgram(program)
        except BaseException:
            program.kill()
            raise
