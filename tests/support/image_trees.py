"""What an image comes to: the files of its layers, one on top of the other, and its config, read from a docker archive.

This reads the archive with Python's tarfile and applies whiteouts itself, as the OCI image-spec has them, so that it
shares no code with tinybox.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

XATTR = "SCHILY.xattr."
OLD = 3600  # seconds: a time that is older than this, seen from the build, was taken over from somewhere


class Node(NamedTuple):
    """A file of an image: type, permissions, owner, target of a link, device, attributes, digest, hard link, time."""

    kind: str
    mode: int
    owner: tuple[int, int]
    link: str
    device: tuple[int, int]
    attributes: tuple[tuple[str, str], ...]
    digest: str
    time: int | str


class Contents(NamedTuple):
    """The *files* of an image by their path, the groups of hard links (*same*), its *config* and other facts."""

    files: dict[str, Node]
    same: set[frozenset[str]]
    config: dict[str, Any]
    about: dict[str, Any]


def read(archive: Path, now: float) -> Contents:
    """Read the only image of a docker archive; a time from an hour before *now* on counts as "new"."""
    with tarfile.open(archive) as outer:
        [manifest] = json.loads(_member(outer, "manifest.json"))
        document = json.loads(_member(outer, manifest["Config"]))
        files: dict[str, Node] = {}
        inodes: dict[str, str] = {}  # the first name of each file with several names
        for layer in manifest["Layers"]:
            opened = outer.extractfile(outer.getmember(layer))
            with tarfile.open(fileobj=opened) as tar:
                _apply(tar, files, inodes, now)
    groups: dict[str, set[str]] = {}
    for path, first in inodes.items():
        if path in files:
            groups.setdefault(first, set()).add(path)
    same = {frozenset(group) for group in groups.values() if len(group) > 1}
    about = {key: document.get(key) for key in ("architecture", "os", "author")}
    return Contents(files, same, document.get("config") or {}, about)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


def _apply(tar: tarfile.TarFile, files: dict[str, Node], inodes: dict[str, str], now: float) -> None:
    fresh: set[str] = set()
    members = [(member.name.strip("/").removeprefix("./"), member) for member in tar]
    for path, _ in members:
        folder, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            _remove(files, inodes, folder, itself=False)
        elif name.startswith(".wh."):
            _remove(files, inodes, f"{folder}/{name[4:]}".lstrip("/"), itself=True)
    for path, member in members:
        if path.rpartition("/")[2].startswith(".wh.") or path in {"", "."}:
            continue
        node = _node(tar, member, now)
        if member.islnk():
            first = member.linkname.strip("/").removeprefix("./")
            node = files[first]
            inodes[first] = inodes.get(first, f"{id(tar)} {first}")
            inodes[path] = inodes[first]
        else:
            inodes.pop(path, None)
        if node.kind != "directory":
            _remove(files, inodes, path, itself=False)
        files[path] = node
        fresh.add(path)


def _remove(files: dict[str, Node], inodes: dict[str, str], path: str, *, itself: bool) -> None:
    for each in [name for name in files if name.startswith(f"{path}/") or (itself and name == path)]:
        del files[each]
        inodes.pop(each, None)


def _node(tar: tarfile.TarFile, member: tarfile.TarInfo, now: float) -> Node:
    kinds = {
        "isreg": "file",
        "isdir": "directory",
        "issym": "link",
        "isfifo": "fifo",
        "ischr": "char",
        "isblk": "block",
    }
    kind = next((name for test, name in kinds.items() if getattr(member, test)()), "hard link")
    digest = ""
    if member.isreg():
        content = tar.extractfile(member)
        digest = hashlib.sha256(content.read() if content else b"").hexdigest()
    attributes = tuple(sorted((key.removeprefix(XATTR), value) for key, value in member.pax_headers.items()
                              if key.startswith(XATTR)))  # fmt: skip
    time = int(member.mtime) if member.mtime < now - OLD else "new"
    device = (member.devmajor, member.devminor) if kind in ("char", "block") else (0, 0)
    mode = 0 if kind == "link" else member.mode & 0o7777
    link = member.linkname if kind == "link" else ""
    return Node(kind, mode, (member.uid, member.gid), link, device, attributes, digest, time)
