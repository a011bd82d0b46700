"""Alpine's package database (apk): take some packages out of a larger installation, and check each of their files.

The database is plain text. It lists the files of each package, with owner, mode and checksum, so each file can be
compared with that of the package. A package is a stanza of lines, each a letter, a colon and a value: P name,
V version, C checksum, t time, F directory, R file in it; after F or R, M or a gives an unusual owner and mode, and
after R, Z gives the checksum of the content or of a link's target.
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
    from tinybox.images.recipes.pack import Pack

DATABASE = "lib/apk/db"
PATHS = "etc/busybox-paths.d/busybox"  # the busybox package's own list of its commands


class Entry(NamedTuple):
    """A file or directory of a package; *time* is in seconds since 1970."""

    path: str
    is_directory: bool
    time: int
    mode: int
    owner: tuple[int, int] = (0, 0)
    checksum: str = ""


def stanzas(text: str) -> dict[str, str]:
    """Split the database *text* into its packages: name -> stanza, in the same order."""
    found = {}
    for stanza in text.strip().split("\n\n"):
        found[_value(stanza, "P")] = stanza
    return found


def entries(stanza: str) -> list[Entry]:
    """Return the directories and files of one package."""
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
    """Add to *pack* the packages of *source* from the installation *tree*, and a database of only these packages.

    ImageError: a package or a file is missing, or a file differs from that of its package.
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
    """Merge the packages' entries; of a directory in several packages, take an entry whose mode is not 0755."""
    owned: dict[str, Entry] = {}
    for stanza in kept.values():
        for entry in entries(stanza):
            if entry.path and (entry.path not in owned or entry.mode != 0o755):
                owned[entry.path] = entry
    return owned


def _add(tree: str, entry: Entry, source: dict[str, Any], pack: Pack) -> None:
    """Add one *entry* to *pack*, with the content from *tree* and the recipe's changes."""
    pack.time = entry.time
    owner = tuple(source["owners"].get(entry.path, entry.owner))
    if entry.is_directory:
        pack.directory(entry.path, entry.mode, owner)
        return
    target = source["links"].get(entry.path) or _target(tree, entry.path)
    content = target.encode() if target else _changed(tree, entry.path, source)
    if entry.path not in source["changed"] and checksum(content) != entry.checksum:
        raise ImageError(f"disk's file /{entry.path}", "it differs from that of its package", "correct the recipe")
    if target:
        pack.symlink(entry.path, target)
    else:
        pack.file(entry.path, content, entry.mode, owner)


def checksum(content: bytes) -> str:
    """Return the SHA-1 of *content* as the database writes it.

    It only shows that the file is the package's; the safety comes from the disk, which is pinned by SHA-256.
    """
    return "Q1" + base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()


def _changed(tree: str, path: str, source: dict[str, Any]) -> bytes:
    """Return the content of *path* with the recipe's changes.

    The recipe has the text of a file that the disk's builder emptied, and the users whose lines the builder added.
    """
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
    """Return the archive of installation scripts with only the packages *kept*; its members begin with NAME-VERSION."""
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
    """Return the value of the first line with the letter *key*, or ""."""
    return next((line[2:] for line in stanza.splitlines() if line.startswith(f"{key}:")), "")


def _lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _text(tree: str, path: str) -> str:
    return _bytes(tree, path).decode()


def _target(tree: str, path: str) -> str:
    """Return the target of the symbolic link *path*, or "" if it is not one."""
    path = os.path.join(tree, path)
    return os.readlink(path) if os.path.islink(path) else ""


def _bytes(tree: str, path: str) -> bytes:
    try:
        with open(os.path.join(tree, path), "rb") as file:
            return file.read()
    except OSError as error:
        raise ImageError(f"disk's file /{path}", f"{error.strerror}", "correct the recipe") from error
