"""Add an image to the store: unpack its layers in a workspace below ROOT/tmp, then move them into place by rename(2).

The workspace is a directory that its process holds locked by flock(2). If the process is killed, the kernel releases
the lock, and the next import removes every workspace without a lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import ImageError, Reported
from tinybox.images import image_events
from tinybox.images.archives.archive import Unpacked, unpack
from tinybox.images.original import Recorder, move_missing
from tinybox.images.reference import parse
from tinybox.images.removal import REMOVAL, collect, containers_using
from tinybox.images.store import RECORD, Image, Store, layer_key, layer_record, this_architecture
from tinybox.linux import quick_json
from tinybox.linux.filesystem import files, locks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from io import BufferedReader

    from tinybox.images.reference import Reference

LAYER = "layer-"  # the prefix of the directories in a workspace that become layers
RECORD_NAME = "record"  # of a new image, in its workspace
PUBLIC, PRIVATE = 0o644, 0o600  # the modes of an image's record
SAVED = ("oci-layout", "manifest.json")  # the marks of `docker save` and of an OCI layout


class Workspace(NamedTuple):
    """A directory of this process alone: its *path*, and the locked *fd*, which programs that it starts inherit."""

    path: str
    fd: int


@contextlib.contextmanager
def workspace(store: Store) -> Iterator[Workspace]:
    """Yield a new directory below the store's tmp/, and remove it at the end; first sweep those of killed processes."""
    with store.locked():
        sweep(store)
        path = f"{store.root}/tmp/import-{os.urandom(8).hex()}"
        fd = locks.make_locked(path)
    try:
        yield Workspace(path, fd)
    finally:
        files.remove_tree(path)
        os.close(fd)


def import_archive(
    store: Store,
    source: str | BufferedReader,
    reference: str | None,
    config: dict[str, Any] | None = None,
    *,
    more: Mapping[str, Any] | None = None,
    public: bool = False,
) -> Image:
    """Make the image *reference* with one layer, the tar archive *source*, and *config*, an OCI image config.

    Without a *reference* it has no name. *more* has further fields of the document: its platform or its history. With
    *public*, every user may read the image's record: *config* comes from a recipe, which is public, too.
    """
    names = [] if reference is None else [parse(reference)]
    with workspace(store) as work:
        unpacked = add_layer(work, source)
        _check_content(f"{work.path}/{LAYER}0/fs")
        document = {**_document(unpacked, config or {}), **(more or {})}
        image_id = put(store, work, document, names, public=public)
    if public:
        image_events.emit_of_name(store.root, "pull", names[0], image_id)
    else:
        image_events.emit(store.root, "import", image_id)
    return store.image(str(names[0]) if names else image_id)


def add_layer(
    work: Workspace,
    source: str | BufferedReader,
    number: int = 0,
    limit: int | None = None,
    *,
    blob: str = "",
    proven: bool = False,
) -> Unpacked:
    """Unpack the tar archive *source* as the layer *number* in *work*, which `put` moves into the store.

    *limit* is the most that it may unpack to, in bytes, by default the free space. *blob* is the digest of the packed
    archive if the store keeps that; else the archive itself is recorded: see original.py. For *proven* see
    archive.unpack.
    """
    layer = f"{work.path}/{LAYER}{number}"
    os.mkdir(layer, 0o700)
    with contextlib.ExitStack() as stack:
        recorder = None if blob else stack.enter_context(Recorder(layer))
        unpacked = _unpack(source, f"{layer}/fs", limit, recorder, proven=proven)
    record = {"diff_id": unpacked.diff_id, "size": unpacked.size}
    _write(f"{layer}/layer.json", _canonical({**record, "blob": blob} if blob else record))
    return unpacked


def put(
    store: Store,
    work: Workspace,
    document: dict[str, Any],
    names: Iterable[Reference],
    *,
    content: bytes = b"",
    public: bool = False,
) -> str:
    """Make an image with the config *document*, whose layers are in *work* or in the store already; return its id.

    All *names* name it from then on. The id is the digest of the config: so if *document* was read from another
    program's file, *content* has the bytes of the file, which are kept. An image that is here already stays as it is.

    Every image is added by this function, so it checks the whole document: ImageError names the wrong part. The record
    has the image's environment, which may contain secrets: unless it is *public*, only root may read it.
    """
    if wrong := quick_json.misfit(document, RECORD):
        raise ImageError("image config", wrong, "make the image again with a valid config")
    record = f"{work.path}/{RECORD_NAME}"
    fresh = sorted(f"{work.path}/{name}" for name in os.listdir(work.path) if name.startswith(LAYER))
    content = content or _canonical(document)
    new_id = hashlib.sha256(content).hexdigest()
    _write(record, content)
    os.chmod(record, PUBLIC if public else PRIVATE)
    with store.locked():
        for layer in fresh:
            place(store, layer, layer_record(layer)["diff_id"])
        there = store.layers()
        missing = [key for key in map(layer_key, document["rootfs"]["diff_ids"]) if key not in there]
        if missing:
            cause = "another command has just removed it with its image"
            raise ImageError(f"layer {missing[0]}", cause, "try again")
        if public or not _has(f"{store.root}/images/{new_id}", content):
            _place_record(record, f"{store.root}/images/{new_id}")
        for name in names:
            store.point(name, new_id)
        files.discard(record)
    return new_id


def _unpack(
    source: str | BufferedReader, destination: str, limit: int | None, recorder: Recorder | None, *, proven: bool
) -> Unpacked:
    if not isinstance(source, str):
        return unpack(source, destination, limit, recorder, proven=proven)
    try:
        file = open(source, "rb")  # noqa: SIM115 - only this call's errors are translated, and "with" is two lines below
    except OSError as error:
        raise ImageError(f"archive {source}", f"cannot be opened: {error.strerror}", "give a .tar file") from error
    with file:
        return unpack(file, destination, limit, recorder, proven=proven)


def _check_content(tree: str) -> None:
    """Raise ImageError if *tree* is empty, or has saved images instead of a root file system."""
    if any(os.path.isfile(f"{tree}/{mark}") for mark in SAVED):
        cause = "it has saved images (docker save, or an OCI layout), not a root file system"
        raise ImageError("archive", cause, "use tinybox load")
    if not os.listdir(tree):
        raise ImageError("archive", "it is empty", "give the archive of a root file system")


def _document(unpacked: Unpacked, config: dict[str, Any]) -> dict[str, Any]:
    """Return an OCI image config for the layer; the same content gives the same text, and so the same image id."""
    newest = max(0, min(unpacked.newest, int(time.time())))
    return {
        "architecture": this_architecture(),
        "os": "linux",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(newest)),
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [unpacked.diff_id]},
    }


def place(store: Store, layer: str, diff_id: str) -> None:
    """Move *layer* into the store, unless it is there; ImageError: another layer has the same short name.

    The caller holds the store's lock.
    """
    place = f"{store.root}/layers/{layer_key(diff_id)}"
    if not os.path.isdir(place):
        os.rename(layer, place)
        return
    present = layer_record(place)["diff_id"]
    if present != diff_id:
        raise ImageError(f"layer {diff_id}", f"its short name is taken by {present}", "remove the other image first")
    move_missing(layer, place)  # an older tinybox has not kept its archive


def image_id(document: dict[str, Any]) -> str:
    """Return the id that `put` gives the image with the config *document*."""
    return hashlib.sha256(_canonical(document)).hexdigest()


def _canonical(document: dict[str, Any]) -> bytes:
    """Return *document* as JSON in one canonical form, so that the same image always has the same id."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _place_record(record: str, place: str) -> None:
    """Move the *record* of an image to its *place*; a new one is in the workspace, too, until the image has a name.

    By that a sweep recognizes an image that was not finished; see _unfinished.
    """
    if os.path.exists(place):
        os.rename(record, place)
    else:
        os.link(record, place)


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def _has(path: str, content: bytes) -> bool:
    """Return whether the file *path* has this *content*: a damaged record is written again."""
    return os.path.exists(path) and _content(path) == content


def sweep(store: Store) -> None:
    """Remove unlocked workspaces below tmp/, and layers without an image; the caller holds the store's lock."""
    _close_records(store)
    for name in os.listdir(f"{store.root}/tmp"):
        with Reported(f"the rest of an import, {name}"):
            _sweep(store, f"{store.root}/tmp/{name}")
    collect(store)


def _sweep(store: Store, path: str) -> None:
    """Remove the directory *path*, if no process has locked it, with a lock on it: see locks.make_locked()."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # its process has just removed it
    except NotADirectoryError:
        os.unlink(path)  # the link of a name, left by a killed `Store.point`; this process has the lock for it
        return
    try:
        if locks.share(fd):
            for image_id in _unfinished(path):
                _forget(store, image_id)
            files.remove_tree(path)
    except FileNotFoundError:
        pass  # its process has removed it after this open(2)
    finally:
        os.close(fd)


def _unfinished(path: str) -> list[str]:
    """Return the ids of the images that a killed command had not yet given a name, or was removing."""
    if os.path.basename(path) == REMOVAL:
        return os.listdir(path)
    record = f"{path}/{RECORD_NAME}"
    if not os.path.isfile(record) or os.stat(record).st_nlink == 1:
        return []
    return [hashlib.sha256(_content(record)).hexdigest()]


def _forget(store: Store, image_id: str) -> None:
    """Remove an image, unless it has a name, or a container uses it; the caller holds the lock."""
    has_name = any(image.reference for image in store.images() if image.id == image_id)
    if not has_name and not containers_using(store, image_id):
        files.discard(f"{store.root}/images/{image_id}")


def _close_records(store: Store) -> None:
    """Set mode 0600 on records that an earlier version of tinybox left readable for every user.

    A record without a history is that of a recipe's image, which is public.
    """
    for name in os.listdir(f"{store.root}/images"):
        path = f"{store.root}/images/{name}"
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode) and stat.S_IMODE(mode) != PRIVATE and b'"history"' in _content(path):
            os.chmod(path, PRIVATE)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def held(path: str) -> bool:
    """Return whether a process holds a lock on the directory *path*; see flock(2)."""
    return locks.is_locked(path, os.O_DIRECTORY | os.O_NOFOLLOW)
