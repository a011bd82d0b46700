"""Load images (`tinybox load`) from an OCI image layout or an archive of `docker save`.

The archive is not trusted. Its members are stored under names that tinybox chooses; a blob must have the digest of its
name; each JSON document must have its shape; and each unpacked layer must have the diff id of the image's config. Each
blob is read and unpacked only once, even if the documents name it many times.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import ImageError, UsageError
from tinybox.images import image_events, intake, saved
from tinybox.images.archives.archive import ErrorContext, free, headers
from tinybox.images.archives.stream import opened
from tinybox.images.archives.tree import ENTRIES_MAX
from tinybox.images.reference import parse
from tinybox.images.store import RECORD, this_architecture
from tinybox.linux import quick_json
from tinybox.linux.filesystem.holes import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import BufferedReader

    from tinybox.images.intake import Workspace
    from tinybox.images.reference import Reference
    from tinybox.images.store import Store

MOST = 1 << 22  # bytes of a JSON document
LAYERS_MOST = 128  # of one image, the limit of docker on overlay2; the mount options of overlayfs have room for fewer
DESCRIPTORS_MOST = 10_000  # in an index and all indexes in it
CURE = "give an archive of tinybox save or docker save"
# The shapes of the documents, except an image's config: see quick_json.misfit, and the OCI image-spec.
INDEX = {"manifests!": [{"digest!": str, "platform": {"architecture": str}, "annotations": {"*": str}}]}
MANIFEST = {"config!": {"digest!": str}, "layers!": [{"digest!": str}]}
DOCKERS = [{"Config!": str, "Layers!": [str], "RepoTags": [str]}]


class Entry(NamedTuple):
    """One image in an archive: the members with its *config* and its *layers*, and its *names* in the store."""

    config: str
    layers: list[str]
    names: list[Reference]


def load(store: Store, source: BufferedReader) -> list[str]:
    """Add every image of the archive *source* to the store; return their names, or the id of an image without one."""
    loaded = []
    with intake.workspace(store) as outer:
        parts = _Parts(outer, source)
        entries = _entries(parts)
        if not entries:
            raise ImageError("archive", "there is no image in it", CURE)
        for entry in entries:
            image_id = _add(store, parts, entry)
            image_events.emit(store.root, "load", image_id)
            loaded += [str(name) for name in entry.names] or [f"sha256:{image_id}"]
    return loaded


class _Parts:
    """The members of an archive, as files of the workspace that are named by the hashes of the members' names.

    *unpacked* has the diff id of each layer that was unpacked already, by its member's name.
    """

    def __init__(self, work: Workspace, source: BufferedReader) -> None:
        self._folder = f"{work.path}/parts"
        self._verified: set[str] = set()
        self.unpacked: dict[str, str] = {}
        os.mkdir(self._folder)
        with ErrorContext() as context, opened(source, free(self._folder)) as stream:
            for number, member in enumerate(headers(stream)):
                context.thing = f"archive member {member.name[:200]!r}"
                if number >= ENTRIES_MAX:
                    raise ImageError("archive", f"it has more than {ENTRIES_MAX} entries", "the archive is unsafe")
                if member.isreg():
                    self._keep(member.name, stream.data(member.size))

    def _keep(self, name: str, pieces: Iterable[bytes]) -> None:
        with open(self.path(name), "wb", buffering=0) as file, Writer(file.fileno()) as writer:
            for piece in pieces:
                writer.write(piece)

    def path(self, name: str) -> str:
        """Return the path of the file with the member *name*."""
        plain = os.path.normpath(name)
        return f"{self._folder}/{hashlib.sha256(plain.encode('utf-8', 'surrogateescape')).hexdigest()}"

    def has(self, name: str) -> bool:
        """Return whether there is a member *name*."""
        return os.path.isfile(self.path(name))

    def document(self, name: str, shape: Any) -> Any:
        """Return the JSON of the member *name*; ImageError: it is missing, too large, no JSON, or not of *shape*."""
        thing = f"archive member {name[:200]!r}"
        try:
            document = quick_json.loads(self.content(name).decode())
        except ValueError as error:
            raise ImageError(thing, f"cannot be read: {error}", CURE) from error
        if wrong := quick_json.misfit(document, shape):
            raise ImageError(thing, wrong, CURE)
        return document

    def content(self, name: str) -> bytes:
        """Return the content of the member *name*; ImageError: it is missing, or too large for a document."""
        thing = f"archive member {name[:200]!r}"
        try:
            with open(self.path(name), "rb") as file:
                content = file.read(MOST + 1)
        except FileNotFoundError as error:
            raise ImageError(thing, "is missing", "save the image again") from error
        except OSError as error:
            raise ImageError(thing, f"cannot be read: {error}", CURE) from error
        if len(content) > MOST:
            raise ImageError(thing, f"is larger than {MOST >> 20} MiB", "the archive is unsafe")
        return content

    def blob(self, descriptor: dict[str, Any]) -> str:
        """Return the name of the member of *descriptor*; ImageError: it is missing, or its digest is another."""
        kind, _, digest = descriptor["digest"].partition(":")
        name = f"blobs/{kind}/{digest}"
        if name in self._verified:
            return name
        if not self.has(name):
            raise ImageError(f"archive member {name[:200]!r}", "is missing", "save the image again")
        with open(self.path(name), "rb") as file:
            if kind != "sha256" or hashlib.file_digest(file, "sha256").hexdigest() != digest:
                cause = "its content does not have the digest of its name"
                raise ImageError(f"archive member {name[:200]!r}", cause, "save it again")
        self._verified.add(name)
        return name


def _entries(parts: _Parts) -> list[Entry]:
    """Return the images of OCI's index.json, or, if there is none, those of docker's manifest.json."""
    if parts.has("index.json"):
        return _of_index(parts, parts.document("index.json", INDEX))
    if not parts.has("manifest.json"):
        return []
    images = parts.document("manifest.json", DOCKERS)
    return [Entry(image["Config"], image["Layers"], [*map(parse, image.get("RepoTags") or ())]) for image in images]


def _of_index(parts: _Parts, index: dict[str, Any]) -> list[Entry]:
    """Return the images for this machine in an index and in the indexes in it; each document is read only once."""
    architecture = this_architecture()
    pending, count = [*index["manifests"]], 0
    found: dict[str, Entry | None] = {}
    while pending:
        descriptor, count = pending.pop(0), count + 1
        if count + len(pending) > DESCRIPTORS_MOST:
            raise ImageError(
                "archive", f"its indexes list more than {DESCRIPTORS_MOST} images", "the archive is unsafe"
            )
        if ((descriptor.get("platform") or {}).get("architecture") or architecture) != architecture:
            continue
        name, names = parts.blob(descriptor), _names(descriptor.get("annotations") or {})
        if name not in found:
            found[name] = _manifest(parts, name, pending)
        entry = found[name]
        if entry is not None:
            entry.names.extend(names)
    return [entry for entry in found.values() if entry is not None]


def _manifest(parts: _Parts, name: str, pending: list[dict[str, Any]]) -> Entry | None:
    """Return the image of the manifest *name*, still without names; None: it is an index.

    The manifests of an index are put in front of all *pending* ones.
    """
    document = parts.document(name, {})
    if "manifests" in document:
        pending[:0] = parts.document(name, INDEX)["manifests"]
        return None
    document = parts.document(name, MANIFEST)
    return Entry(parts.blob(document["config"]), [parts.blob(layer) for layer in document["layers"]], [])


def _names(annotations: dict[str, str]) -> list[Reference]:
    """Return the image name of an entry's *annotations*, or an empty list; a tag alone is not a name."""
    for key in (saved.FULL_NAME, saved.NAME):
        text = annotations.get(key, "")
        if ":" in text or "/" in text:
            try:
                return [parse(text)]
            except UsageError:
                continue
    return []


def _add(store: Store, parts: _Parts, entry: Entry) -> str:
    """Unpack the layers of one image, and add it to the store under its names; return its id."""
    thing = f"archive member {entry.config[:200]!r}"
    document = parts.document(entry.config, RECORD)
    if len(entry.layers) > LAYERS_MOST:
        raise ImageError(thing, f"its image has more than {LAYERS_MOST} layers", "make one with fewer")
    with intake.workspace(store) as work:
        fresh: dict[str, str] = {}
        for number, name in enumerate(dict.fromkeys(entry.layers)):
            if not parts.has(name):
                raise ImageError(f"archive member {name[:200]!r}", "is missing", "save the image again")
            if name not in parts.unpacked:
                fresh[name] = intake.add_layer(work, parts.path(name), number, proven=True).diff_id
        known = parts.unpacked | fresh
        if document["rootfs"]["diff_ids"] != [known[name] for name in entry.layers]:
            raise ImageError(thing, "its layers are not those in the archive", "save it again")
        image_id = intake.put(store, work, document, entry.names, content=parts.content(entry.config))
    parts.unpacked |= fresh
    return image_id
