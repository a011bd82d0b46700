"""Alpine's package database: plain text that says which file belongs to which package, with owner, mode and checksum.

So a larger installation can be cut down to some of its packages, and each file taken can be proved to be the package's.
A stanza's lines are letter, colon, value: P name, V version, C checksum, t time, F directory, R file in it; after these
M or a, owner and mode where they are not the usual ones, and Z, the checksum of the content or of a link's target.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import tarfile
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import ImageError

if TYPE_CHECKING:
    from tinybox.images.pack import Pack

DATABASE = "lib/apk/db"
PATHS = "etc/busybox-paths.d/busybox"  # the busybox package's own list of its commands


class Entry(NamedTuple):
    """One path that a package owns."""

    path: str
    is_directory: bool
    time: int
    mode: int
    owner: tuple[int, int] = (0, 0)
    checksum: str = ""


def stanzas(text: str) -> dict[str, str]:
    """Part the database *text* into its packages: name -> stanza, in the same order."""
    found = {}
    for stanza in text.strip().split("\n\n"):
        found[_value(stanza, "P")] = stanza
    return found


def entries(stanza: str) -> list[Entry]:
    """List the directories and files of one package."""
    folder, time = "", int(_value(stanza, "t") or 0)
    found: list[Entry] = []
    for line in stanza.splitlines():
        key, _, value = line.partition(":")
        if key == "F":
            folder = value
            found.append(Entry(folder, is_directory=True, time=time, mode=0o755))
        elif key == "R":
            found.append(Entry(f"{folder}/{value}".lstrip("/"), is_directory=False, time=time, mode=0o644))
        elif key in {"M", "a"}:
            uid, gid, mode = value.split(":")[:3]
            found[-1] = found[-1]._replace(owner=(int(uid), int(gid)), mode=int(mode, 8))
        elif key == "Z":
            found[-1] = found[-1]._replace(checksum=value)
    return found


def compose(tree: str, source: dict[str, Any], pack: Pack) -> None:
    """Put into *pack* the packages of *source* from the installation *tree*, and a database of exactly these.

    Raises ImageError if a package or a file is missing, or if a file is not the one its package brought.
    """
    installed = stanzas(_text(tree, f"{DATABASE}/installed"))
    missing = set(source["packages"]) - set(installed)
    if missing:
        raise ImageError("disk", f"it has no package {', '.join(sorted(missing))}", "correct the recipe")
    kept = {name: stanza for name, stanza in installed.items() if name in source["packages"]}
    owned = _owned(kept)
    for path in sorted(owned):
        _add(tree, owned[path], source, pack)
    for path in _text(tree, PATHS).split():
        if path.lstrip("/") not in owned:
            pack.symlink(path.lstrip("/"), "/bin/busybox")
    _add_database(tree, kept, pack)
    for path in source["unowned"]:
        pack.file(path, _bytes(tree, path))


def _owned(kept: dict[str, str]) -> dict[str, Entry]:
    """Merge the packages' entries; of a shared directory, the one with a mode of its own counts."""
    owned: dict[str, Entry] = {}
    for stanza in kept.values():
        for entry in entries(stanza):
            if entry.path and (entry.path not in owned or entry.mode != 0o755):
                owned[entry.path] = entry
    return owned


def _add(tree: str, entry: Entry, source: dict[str, Any], pack: Pack) -> None:
    """Put one *entry* into *pack*, with the content from *tree* as the recipe mends it."""
    pack.time = entry.time
    owner = tuple(source["owners"].get(entry.path, entry.owner))
    if entry.is_directory:
        pack.directory(entry.path, entry.mode, owner)
        return
    target = source["links"].get(entry.path) or _target(tree, entry.path)
    content = target.encode() if target else _mended(tree, entry.path, source)
    if entry.path not in source["changed"] and checksum(content) != entry.checksum:
        raise ImageError(f"disk's file /{entry.path}", "it is not what its package brought", "correct the recipe")
    if target:
        pack.symlink(entry.path, target)
    else:
        pack.file(entry.path, content, entry.mode, owner)


def checksum(content: bytes) -> str:
    """Write the SHA-1 of *content* as the database does; it proves origin here, not safety (the disk is pinned)."""
    return "Q1" + base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()


def _mended(tree: str, path: str, source: dict[str, Any]) -> bytes:
    """Read *path*; give back a text the disk's builder blanked, take away the lines of users the builder added."""
    if path in source["texts"]:
        return str(source["texts"][path]).encode()
    content = _bytes(tree, path)
    added = tuple(f"{user}:".encode() for user in source["without"].get(path, []))
    return (
        b"".join(line for line in content.splitlines(keepends=True) if not line.startswith(added)) if added else content
    )


def _add_database(tree: str, kept: dict[str, str], pack: Pack) -> None:
    """Write lib/apk/db and the world file for the packages *kept*."""
    world = [name for name in _text(tree, "etc/apk/world").split() if name in kept]
    sums = tuple(_value(stanza, "C") for stanza in kept.values())
    triggers = [line for line in _text(tree, f"{DATABASE}/triggers").splitlines() if line.startswith(sums)]
    pack.file("etc/apk/world", _lines(world))
    pack.file(f"{DATABASE}/installed", "".join(f"{stanza}\n\n" for stanza in kept.values()).encode())
    pack.file(f"{DATABASE}/triggers", _lines(triggers))
    pack.file(f"{DATABASE}/scripts.tar.gz", _scripts(tree, kept))
    pack.file(f"{DATABASE}/lock", b"", 0o600)


def _scripts(tree: str, kept: dict[str, str]) -> bytes:
    """Cut the archive of installation scripts down to the packages *kept*; its members begin with NAME-VERSION."""
    prefixes = tuple(f"{name}-{_value(stanza, 'V')}." for name, stanza in kept.items())
    result = io.BytesIO()
    with (
        tarfile.open(os.path.join(tree, f"{DATABASE}/scripts.tar.gz")) as scripts,
        tarfile.open(fileobj=result, mode="w", format=tarfile.USTAR_FORMAT) as cut,
    ):
        for member in scripts:
            if member.name.startswith(prefixes):
                cut.addfile(member, scripts.extractfile(member))
    return gzip.compress(result.getvalue(), mtime=0)  # no date: the same packages give the same image


def _value(stanza: str, key: str) -> str:
    """Return the value of the first line with the letter *key*, or nothing."""
    return next((line[2:] for line in stanza.splitlines() if line.startswith(f"{key}:")), "")


def _lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _text(tree: str, path: str) -> str:
    return _bytes(tree, path).decode()


def _target(tree: str, path: str) -> str:
    """Return where *path* points to, or nothing if it is no symbolic link."""
    path = os.path.join(tree, path)
    return os.readlink(path) if os.path.islink(path) else ""


def _bytes(tree: str, path: str) -> bytes:
    try:
        with open(os.path.join(tree, path), "rb") as file:
            return file.read()
    except OSError as error:
        raise ImageError(f"disk's file /{path}", f"{error.strerror}", "correct the recipe") from error
