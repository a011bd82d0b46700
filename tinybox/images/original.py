"""The original archive of a layer, so that `save` writes the same bytes again, and the image keeps its id.

The same files can be packed in many ways: in another order, with other headers, padding or names of users. But a
layer's diff id is the digest of its archive, and the image's id is the digest of a config that lists the diff ids. So
the store keeps, beside the unpacked files, everything of the archive but their content:

    archive.gz      records: R some bytes; F the content of a file (its path, and the parts of it that have data);
                    M a file or directory that a later member replaced, and that is in replaced/ now
    replaced/0 ...  these files: their content is a part of the archive, too

A layer that was pulled has no such record: the store keeps the blob of the registry, the packed archive itself.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import struct
import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tinybox.errors import ImageError
from tinybox.images.archives.decompress import unpacked
from tinybox.images.content import BLOBS
from tinybox.images.store import layer_record
from tinybox.linux.filesystem.files import open_straight, remove_tree
from tinybox.linux.filesystem.trees import tree_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from tinybox.linux.filesystem.holes import Span

_NAME, _REPLACED, _FILES = "archive.gz", "replaced", "fs"
_RAW, _FILE, _MOVED = b"R", b"F", b"M"
_CHUNK = 1 << 18
_RECORD_MOST = 1 << 24  # bytes; the longest one is that of a file with many holes, whose headers have a limit


class Recorder:
    """Records the archive of the layer in the directory *layer* while its files are unpacked in ``fs``."""

    def __init__(self, layer: str) -> None:
        self._layer, self._top = layer, os.path.realpath(os.fsencode(f"{layer}/{_FILES}"))
        self._file = open(f"{layer}/{_NAME}", "wb")  # noqa: SIM115 - closed by __exit__
        self._records = gzip.GzipFile("", "wb", 1, self._file, 0)
        self._raw = bytearray()
        self._moved = 0
        self._is_complete = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._file, self._records:
            self._flush()
        if not self._is_complete:
            os.unlink(f"{self._layer}/{_NAME}")
            remove_tree(f"{self._layer}/{_REPLACED}")

    def raw(self, data: bytes) -> None:
        """Record bytes of the archive that are not the content of a file."""
        self._raw += data
        if len(self._raw) >= _CHUNK:
            self._flush()

    def file(self, parent: int, name: bytes, parts: Sequence[Span]) -> None:
        """Record that the content of the file *name* in the open directory *parent* comes now, of these *parts*."""
        path = self._path(parent, name)
        if path is not None:
            self.content(path, parts)

    def content(self, path: bytes, parts: Sequence[Span]) -> None:
        """Record that the content of the file *path* of the tree comes now, of these *parts*."""
        self._flush()
        self._write(_FILE, path + b"\0" + struct.pack(f"<{2 * len(parts)}Q", *(n for part in parts for n in part)))

    def take(self, parent: int, name: bytes) -> bool:
        """Move *name*, which a later member replaces, out of the tree; False: the caller has to remove it."""
        path = self._path(parent, name)
        if path is None:
            return False
        if not self._moved:
            os.mkdir(f"{self._layer}/{_REPLACED}", 0o700)
        os.rename(name, f"{self._layer}/{_REPLACED}/{self._moved}", src_dir_fd=parent)
        self._moved += 1
        self._flush()
        self._write(_MOVED, path)
        return True

    def _path(self, parent: int, name: bytes) -> bytes | None:
        """Return the path of a file below the tree; None: it is too long for proc(5), and nothing is recorded."""
        try:
            folder = os.readlink(f"/proc/self/fd/{parent}".encode())
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            self._is_complete = False
            return None
        return os.path.join(folder[len(self._top) + 1 :], name)

    def _flush(self) -> None:
        if self._raw:
            self._write(_RAW, bytes(self._raw))
            self._raw.clear()

    def _write(self, kind: bytes, content: bytes) -> None:
        self._records.write(kind + struct.pack("<Q", len(content)) + content)


def move_missing(fresh: str, layer: str) -> None:
    """Move the record of the layer *fresh* to the same *layer* in the store, if that has none; see rename(2)."""
    if os.path.exists(f"{fresh}/{_NAME}") and not os.path.exists(f"{layer}/{_NAME}"):
        remove_tree(f"{layer}/{_REPLACED}")
        if os.path.exists(f"{fresh}/{_REPLACED}"):
            os.rename(f"{fresh}/{_REPLACED}", f"{layer}/{_REPLACED}")
        os.rename(f"{fresh}/{_NAME}", f"{layer}/{_NAME}")


def record_size(layer: str) -> int:
    """Return how many bytes the record of the archive takes in the directory *layer*; 0 if a blob stands for it."""
    try:
        return os.stat(f"{layer}/{_NAME}").st_size + tree_size(f"{layer}/{_REPLACED}")
    except FileNotFoundError:
        return 0


class Original:
    """The archive of the stored layer whose files are in the directory *tree*; its *digest*, and its *size* in bytes.

    ImageError: the files are not those of the archive any more.
    """

    def __init__(self, tree: str) -> None:
        self._layer = os.path.dirname(tree)
        self._blob = _blob(tree)
        self.digest: str = layer_record(self._layer)["diff_id"]
        self.size, found = 0, hashlib.sha256()
        try:
            for piece in self.pieces():
                self.size += len(piece)
                found.update(piece)
        except OverflowError as error:  # a damaged record has a number that no file can have
            raise self._changed() from error
        if f"sha256:{found.hexdigest()}" != self.digest:
            raise self._changed()

    @staticmethod
    def is_kept(tree: str) -> bool:
        """Return whether the store has the archive; tinybox did not keep it at first."""
        return os.path.isfile(f"{os.path.dirname(tree)}/{_NAME}") or os.path.isfile(_blob(tree))

    def pieces(self) -> Iterator[bytes]:
        """Yield the archive; the content of files is read as it is on the disk, with zeros for holes."""
        if not os.path.isfile(f"{self._layer}/{_NAME}"):
            yield from self._unpacked()
            return
        moves, number = self._moves(), 0
        top = os.open(self._layer, os.O_PATH | os.O_DIRECTORY)
        try:
            for kind, content in self._read():
                if kind == _RAW:
                    yield content
                elif kind == _FILE:
                    path, _, packed = content.partition(b"\0")
                    if len(packed) % 16:
                        raise self._changed()
                    numbers = struct.unpack(f"<{len(packed) // 8}Q", packed)
                    yield from self._content(
                        top, moves.find(path, number), zip(numbers[::2], numbers[1::2], strict=True)
                    )
                    number += 1
        finally:
            os.close(top)

    def _unpacked(self) -> Iterator[bytes]:
        """Yield the archive in the blob."""
        try:
            with open(self._blob, "rb") as packed, ExitStack() as stack:
                reader, damage = unpacked(packed, stack)
                try:
                    while piece := reader.read(_CHUNK):
                        yield piece
                except damage as error:
                    raise self._changed() from error
        except FileNotFoundError as error:
            raise self._changed() from error

    def _content(self, top: int, path: bytes, parts: Iterator[Span]) -> Iterator[bytes]:
        try:
            fd = open_straight(top, path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise self._changed() from error
        try:
            for start, length in parts:
                at, end = start, start + length
                while at < end:
                    piece = os.pread(fd, min(_CHUNK, end - at), at)
                    if not piece:
                        raise self._changed()
                    at += len(piece)
                    yield piece
        finally:
            os.close(fd)

    def _moves(self) -> _Moves:
        moves, number = _Moves(), 0
        if os.path.exists(f"{self._layer}/{_REPLACED}"):
            for kind, content in self._read():
                number += kind == _FILE
                if kind == _MOVED:
                    moves.add(content, number)
        return moves

    def _read(self) -> Iterator[tuple[bytes, bytes]]:
        with gzip.open(f"{self._layer}/{_NAME}", "rb") as records:
            while True:
                try:
                    head = records.read(9)
                    length = struct.unpack("<Q", head[1:])[0] if head else 0
                    content = records.read(min(length, _RECORD_MOST))
                except (OSError, EOFError, zlib.error, struct.error) as error:
                    raise self._changed() from error
                if not head:
                    return
                if len(content) < length:
                    raise self._changed()
                yield head[:1], content

    def _changed(self) -> ImageError:
        cure = "remove its images (tinybox rmi), and load them again"
        return ImageError(f"layer {self._layer}", "its files have changed since it was stored", cure)


def _blob(tree: str) -> str:
    """Return the path of the blob that the layer *tree* was unpacked from, or "" if it has none; see content.py."""
    layer = os.path.dirname(tree)
    digest = layer_record(layer).get("blob", "")
    return f"{os.path.dirname(os.path.dirname(layer))}/{BLOBS}/{digest.removeprefix('sha256:')}" if digest else ""


class _Moves:
    """Which files were moved out of the tree, and after how many files of the archive."""

    def __init__(self) -> None:
        self._moves: dict[bytes, list[tuple[int, int]]] = {}
        self._count = 0

    def add(self, path: bytes, number: int) -> None:
        """Add the next move: *path* was moved when *number* files had been recorded."""
        self._moves.setdefault(path, []).append((self._count, number))
        self._count += 1

    def find(self, path: bytes, number: int) -> bytes:
        """Return where the file *path*, the archive's file *number*, is now, from the layer's directory."""
        found, above = None, path if self._moves else b""
        while above:
            later = next((count for count, moved in self._moves.get(above, ()) if moved > number), None)
            if later is not None and (found is None or later < found[0]):
                found = (later, path[len(above) :])
            above = above.rpartition(b"/")[0]
        return b"%s/%d%s" % (_REPLACED.encode(), *found) if found else b"%s/%s" % (_FILES.encode(), path)
