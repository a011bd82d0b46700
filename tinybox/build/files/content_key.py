"""The digest of what COPY and ADD copy, for the cache: two trees with the same content have the same one.

Times do not count. Each part is written with its length, so that no two trees give the same bytes.
"""

from __future__ import annotations

import hashlib
import stat
from typing import TYPE_CHECKING

from tinybox.build.files.selection import LEAVE, attributes

if TYPE_CHECKING:
    from tinybox.build.files.selection import Entry

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
}


class Key:
    """A SHA-256 that files are added to; with *keeps_owners* their owners count.

    The `stamp` is one of their numbers, sizes and times: it is another one if a file was changed meanwhile, because
    every change sets the time ctime; see inode(7). *reads* tells whether the content is read, too.
    """

    def __init__(self, *, keeps_owners: bool, reads: bool = True) -> None:
        self._hash, self._stamp, self._reads = hashlib.sha256(), hashlib.sha256(), reads
        self._keeps_owners = keeps_owners
        self._seen: dict[tuple[int, int], str] = {}

    def hexdigest(self) -> str:
        """Return the digest, 64 hexadecimal digits."""
        return self._hash.hexdigest()

    def stamp(self) -> str:
        """Return the stamp, 64 hexadecimal digits."""
        return self._stamp.hexdigest()

    def words(self, *words: str | bytes) -> None:
        """Add words."""
        for word in words:
            data = word if isinstance(word, bytes) else word.encode("utf-8", "surrogateescape")
            self._hash.update(b"%d:" % len(data))
            self._hash.update(data)

    def entry(self, entry: Entry) -> None:
        """Add a file, or the begin or the end of a directory; sockets and devices do not count: they are not copied."""
        info = entry.info
        kind = _KINDS.get(stat.S_IFMT(info.st_mode))
        if kind is None:
            return
        if entry.kind == LEAVE:
            self.words("end")
            return
        looks = (entry.path, info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        self._stamp.update(repr(looks).encode())
        if not self._reads:
            return
        self.words(kind, entry.path, f"{stat.S_IMODE(info.st_mode):o}")
        if self._keeps_owners:
            self.words(f"{info.st_uid}:{info.st_gid}")
        if info.st_nlink > 1 and kind != "directory":
            first = self._seen.setdefault((info.st_dev, info.st_ino), entry.path)
            if first != entry.path:
                self.words("is", first)
                return
        if kind == "link":
            self.words(entry.target())
        elif kind == "file":
            self._file(entry)
        else:
            self._attributes(entry.attributes)

    def _attributes(self, found: dict[str, bytes]) -> None:
        for name in sorted(found):
            self.words(name, found[name])

    def _file(self, entry: Entry) -> None:
        fd = entry.open()
        with open(fd, "rb", buffering=0) as file:
            self._attributes(attributes(fd))
            self.words(hashlib.file_digest(file, "sha256").digest())
