"""How an archive becomes an image: unpacked where nobody looks, then moved into the store in one instant.

The work is done in a directory of our own below ROOT/tmp, which we hold by flock(2). If we are killed the kernel drops
the lock, and whoever imports next sees a directory that nobody holds and sweeps it away.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import ImageError, Reported
from tinybox.images.archive import Unpacked, unpack
from tinybox.images.reference import parse
from tinybox.images.store import RECORD, Image, Store, layer_key, read_json
from tinybox.linux import files, quick_json
from tinybox.linux.locks import is_locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from tinybox.images.reference import Reference

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # OCI says it as Go does
LAYER = "layer-"  # how the directories of a workspace begin that become layers
PUBLIC, PRIVATE = 0o644, 0o600  # the modes of an image's record
SAVED = ("oci-layout", "manifest.json")  # the marks of `docker save` and of an OCI layout


class Workspace(NamedTuple):
    """A directory that is ours alone: its *path*, and the *fd* that holds its lock, also for programs we start."""

    path: str
    fd: int


@contextmanager
def workspace(store: Store) -> Iterator[Workspace]:
    """Enter a fresh directory below the store's tmp/; sweep what the dead left there. It is removed at the end."""
    with store.locked():
        sweep(store)
        path = tempfile.mkdtemp(prefix="import-", dir=f"{store.root}/tmp")
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield Workspace(path, fd)
    finally:
        files.remove_tree(path)
        os.close(fd)


def import_archive(
    store: Store,
    source: str | BufferedReader,
    reference: str,
    config: dict[str, Any] | None = None,
    *,
    public: bool = False,
) -> Image:
    """Make the image *reference* with one layer, the tar archive *source*, and *config* in OCI's words.

    With *public*, everyone may read the image's record: *config* comes from a recipe, which everyone may read, too.
    """
    name = parse(reference)
    with workspace(store) as work:
        unpacked = add_layer(work, source)
        _check_content(f"{work.path}/{LAYER}0/fs")
        put(store, work, _document(unpacked, config or {}), name, public=public)
    return store.image(str(name))


def add_layer(work: Workspace, source: str | BufferedReader, number: int = 0) -> Unpacked:
    """Unpack the tar archive *source* as a layer that `put` will move into the store; each has another *number*."""
    layer = f"{work.path}/{LAYER}{number}"
    os.mkdir(layer, 0o700)
    unpacked = _unpack(source, f"{layer}/fs")
    _write(f"{layer}/layer.json", {"diff_id": unpacked.diff_id, "size": unpacked.size})
    return unpacked


def put(
    store: Store, work: Workspace, document: dict[str, Any], reference: Reference | None, *, public: bool = False
) -> str:
    """Make an image of *document*, whose layers are in *work* unless the store has them; return its id.

    This is the one door into the store, so here the whole document is looked at: ImageError names what is wrong in it.
    The record has the image's environment, which may hold secrets: unless it is *public*, root alone may read it.
    """
    if wrong := quick_json.misfit(document, RECORD):
        raise ImageError("image config", wrong, "make the image anew with a sound config")
    record = f"{work.path}/record"
    fresh = sorted(f"{work.path}/{name}" for name in os.listdir(work.path) if name.startswith(LAYER))
    image_id = _write(record, document)
    os.chmod(record, PUBLIC if public else PRIVATE)
    with store.locked():
        for layer in fresh:
            _place(store, layer, read_json(f"{layer}/layer.json")["diff_id"])
        there = store.layers()
        missing = [key for key in map(layer_key, document["rootfs"]["diff_ids"]) if key not in there]
        if missing:
            raise ImageError(f"layer {missing[0]}", "has been removed meanwhile", "another command removed its image")
        os.rename(record, f"{store.root}/images/{image_id}")
        if reference is not None:
            store.point(reference, image_id)
    return image_id


def _unpack(source: str | BufferedReader, destination: str) -> Unpacked:
    if not isinstance(source, str):
        return unpack(source, destination)
    try:
        file = open(source, "rb")  # noqa: SIM115 - only this call's errors are translated, and "with" is two lines below
    except OSError as error:
        raise ImageError(f"archive {source}", f"cannot be opened: {error.strerror}", "give a .tar file") from error
    with file:
        return unpack(file, destination)


def _check_content(tree: str) -> None:
    """Raise ImageError for archives that are sound and yet no root file system."""
    if any(os.path.isfile(f"{tree}/{mark}") for mark in SAVED):
        cause = "it holds saved images (docker save, or an OCI layout), not a root file system"
        raise ImageError("archive", cause, "tinybox load takes it")
    if not os.listdir(tree):
        raise ImageError("archive", "there is nothing in it", "give the archive of a root file system")


def _document(unpacked: Unpacked, config: dict[str, Any]) -> dict[str, Any]:
    """Describe the image as the OCI image-spec does; the same content gives the same words, hence the same id."""
    machine = os.uname().machine
    newest = max(0, min(unpacked.newest, int(time.time())))
    return {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(newest)),
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [unpacked.diff_id]},
    }


def _place(store: Store, layer: str, diff_id: str) -> None:
    """Move *layer* to its name, unless the store has it already; two digests with one short name are an ImageError."""
    place = f"{store.root}/layers/{layer_key(diff_id)}"
    if not os.path.isdir(place):
        os.rename(layer, place)
        return
    standing = read_json(f"{place}/layer.json")["diff_id"]
    if standing != diff_id:
        raise ImageError(f"layer {diff_id}", f"its short name is taken by {standing}", "remove the other image first")


def _write(path: str, document: dict[str, Any]) -> str:
    """Write *document* in one canonical form and return the sha256 of what was written, in hex."""
    content = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    with open(path, "wb") as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()


def sweep(store: Store) -> None:
    """Remove what nobody holds any more below tmp/, and layers whose image was never finished; under the lock."""
    _close_records(store)
    for name in os.listdir(f"{store.root}/tmp"):
        with Reported(f"what is left of an import, {name}"):
            _sweep(f"{store.root}/tmp/{name}")
    store.collect()


def _sweep(path: str) -> None:
    try:
        if not held(path):
            files.remove_tree(path)
    except FileNotFoundError:
        pass  # its owner has just removed it
    except NotADirectoryError:
        os.unlink(path)  # the link of a name that was never put in place; we hold the lock that it needs


def _close_records(store: Store) -> None:
    """Close the records that a former tinybox has left open to everyone; only a recipe's image has no history."""
    for name in os.listdir(f"{store.root}/images"):
        path = f"{store.root}/images/{name}"
        if stat.S_IMODE(os.stat(path).st_mode) != PRIVATE and b'"history"' in _content(path):
            os.chmod(path, PRIVATE)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def held(path: str) -> bool:
    """Tell whether a living process has the directory *path* locked; see flock(2)."""
    return is_locked(path, os.O_DIRECTORY | os.O_NOFOLLOW)
