"""Archives built in memory, good and hostile, and a place to unpack them where every write outside is noticed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tinybox.images.archives.archive import Unpacked, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Member(NamedTuple):
    """One member to be written: its name, its type, and its header fields."""

    name: str
    kind: bytes = tarfile.REGTYPE
    content: bytes = b""
    link: str = ""
    fields: dict[str, Any] = {}  # noqa: RUF012 - never changed; a NamedTuple has no other default


def directory(name: str, **fields: Any) -> Member:
    """Describe a directory for an archive."""
    return Member(name, tarfile.DIRTYPE, fields=fields)


def symlink(name: str, target: str, **fields: Any) -> Member:
    """Describe a symbolic link for an archive."""
    return Member(name, tarfile.SYMTYPE, link=target, fields=fields)


def hard_link(name: str, target: str) -> Member:
    """Describe a hard link for an archive."""
    return Member(name, tarfile.LNKTYPE, link=target)


def regular(name: str, content: bytes = b"evil", **fields: Any) -> Member:
    """Describe a regular file for an archive."""
    return Member(name, content=content, fields=fields)


def archive(members: Iterable[Member], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Build a whole archive of *members*."""
    result = io.BytesIO()
    with tarfile.open(fileobj=result, mode="w", format=form, errors="surrogateescape") as tar:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.linkname, info.size, info.mode = member.kind, member.link, len(member.content), 0o644
            if member.kind == tarfile.DIRTYPE:
                info.mode = 0o755
            if os.geteuid() == 0:
                info.uid, info.gid = os.getuid(), os.getgid()
            for field, value in member.fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(member.content))
    return result.getvalue()


def saved(path: Path, layers: Sequence[bytes], name: str) -> Path:
    """Write an archive of `docker save` with these *layers*, bottom first, and return its path."""
    files = {f"{number}.tar": layer for number, layer in enumerate(layers)}
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    listed = [{"Config": "config.json", "RepoTags": [name], "Layers": list(files)}]
    files |= {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(listed).encode()}
    with tarfile.open(path, "w") as tar:
        for member, content in files.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def header(name: str, kind: bytes, size: int) -> bytes:
    """Build one header that claims *size*, whatever follows it."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


class Place:
    """A directory with ``inside`` to unpack into and ``outside`` that must not change."""

    def __init__(self, path: Path) -> None:
        self.path, self.inside, self.outside = path, path / "inside", path / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_text("secret")

    def unpack(self, content: bytes, limit: int | None = 1 << 30) -> Unpacked:
        """Unpack the archive *content* into ``inside``."""
        with io.BufferedReader(io.BytesIO(content)) as source:
            return unpack(cast("io.BufferedReader", source), str(self.inside), limit)

    def seen(self) -> list[tuple[str, int, int, bytes]]:
        """List all entries here except ``inside``: path, mode, number of links, content."""
        paths = [self.path, *sorted(path for path in self.path.rglob("*") if self.inside not in {path, *path.parents})]
        return [
            (str(path), path.lstat().st_mode, path.lstat().st_nlink if path.is_file() else 0, content_of(path))
            for path in paths
        ]


def content_of(path: Path) -> bytes:
    """Return the content of a file, or the target of a link."""
    if path.is_symlink():
        return bytes(path.readlink())
    return path.read_bytes() if path.is_file() else b""
