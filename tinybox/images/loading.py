"""Images come in from an archive that `save` has written, here or elsewhere: an OCI image layout, or docker's archive.

Nothing in it is believed. Members are kept under names of ours; a blob must have the digest by which it is called, and
each layer, once unpacked, the diff id that the image's config says.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import ImageError, UsageError
from tinybox.images import intake, saved
from tinybox.images.archive import free, headers
from tinybox.images.reference import parse
from tinybox.images.stream import opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedReader

    from tinybox.images.intake import Workspace
    from tinybox.images.reference import Reference
    from tinybox.images.store import Store

MOST = 1 << 22  # bytes of a document of JSON
CURE = "give what tinybox save or docker save has written"


class Entry(NamedTuple):
    """One image in an archive: the members with its *config* and its *layers*, and the *names* it shall have."""

    config: str
    layers: list[str]
    names: list[Reference]


def load(store: Store, source: BufferedReader) -> list[str]:
    """Bring every image of the archive *source* into the store; return their names, or ids of nameless ones."""
    loaded = []
    with intake.workspace(store) as outer:
        parts = _Parts(outer, source)
        entries = list(_entries(parts))
        if not entries:
            raise ImageError("archive", "there is no image in it", CURE)
        for entry in entries:
            image_id = _bring(store, parts, entry)
            loaded += [str(name) for name in entry.names] or [f"sha256:{image_id}"]
    return loaded


class _Parts:
    """The members of an archive, kept in the workspace under the hashes of their names."""

    def __init__(self, work: Workspace, source: BufferedReader) -> None:
        self._folder = f"{work.path}/parts"
        os.mkdir(self._folder)
        blamed = "archive"
        try:
            with opened(source, free(self._folder)) as stream:
                for member in headers(stream):
                    blamed = f"archive member {member.name[:200]!r}"
                    if member.isreg():
                        self._keep(member.name, stream.data(member.size))
        except ImageError as error:
            error.thing = error.thing or blamed
            raise
        except (tarfile.TarError, ValueError) as error:
            raise ImageError(blamed, f"not a sound tar archive: {error}", CURE) from error

    def _keep(self, name: str, pieces: Iterable[bytes]) -> None:
        with open(self.path(name), "wb") as file:
            file.writelines(pieces)

    def path(self, name: str) -> str:
        """Return where the member *name* is kept."""
        plain = os.path.normpath(name)
        return f"{self._folder}/{hashlib.sha256(plain.encode('utf-8', 'surrogateescape')).hexdigest()}"

    def has(self, name: str) -> bool:
        """Tell whether there is a member *name*."""
        return os.path.isfile(self.path(name))

    def document(self, name: str) -> Any:
        """Return the JSON in the member *name*."""
        try:
            with open(self.path(name), "rb") as file:
                return json.loads(file.read(MOST))
        except (OSError, ValueError) as error:
            raise ImageError(f"archive member {name}", f"cannot be read: {error}", CURE) from error

    def blob(self, descriptor: dict[str, Any]) -> str:
        """Return the name of the member that *descriptor* means; ImageError if its content is another."""
        kind, _, digest = str(descriptor["digest"]).partition(":")
        name = f"blobs/{kind}/{digest}"
        if not self.has(name):
            raise ImageError(f"archive member {name}", "is missing", "save the image again")
        with open(self.path(name), "rb") as file:
            if kind != "sha256" or hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise ImageError(f"archive member {name}", "its content is not what its name says", "save it again")
        return name


def _entries(parts: _Parts) -> Iterator[Entry]:
    """Yield the images: as OCI's index.json lists them, or else docker's manifest.json."""
    try:
        if parts.has("index.json"):
            yield from _of_index(parts, parts.document("index.json"))
        elif parts.has("manifest.json"):
            for image in parts.document("manifest.json"):
                names = [parse(name) for name in image.get("RepoTags") or ()]
                yield Entry(image["Config"], image["Layers"], names)
    except (KeyError, TypeError, AttributeError) as error:
        raise ImageError("archive", f"its list of images is incomplete: {error!r}", CURE) from error


def _of_index(parts: _Parts, index: dict[str, Any]) -> Iterator[Entry]:
    architecture = intake.ARCHITECTURES.get(os.uname().machine)
    for descriptor in index["manifests"]:
        if (descriptor.get("platform") or {}).get("architecture", architecture) != architecture:
            continue
        document = parts.document(parts.blob(descriptor))
        if "manifests" in document:  # an index in the index: one manifest a machine
            yield from _of_index(parts, document)
            continue
        layers = [parts.blob(layer) for layer in document["layers"]]
        yield Entry(parts.blob(document["config"]), layers, _names(descriptor.get("annotations") or {}))


def _names(annotations: dict[str, str]) -> list[Reference]:
    """Return the name that an entry has: whole, or only a tag, which is none."""
    for key in (saved.FULL_NAME, saved.NAME):
        word = annotations.get(key, "")
        if ":" in word or "/" in word:
            try:
                return [parse(word)]
            except UsageError:
                continue
    return []


def _bring(store: Store, parts: _Parts, entry: Entry) -> str:
    """Unpack the layers of one image, and put it into the store under its names; return its id."""
    document = parts.document(entry.config)
    with intake.workspace(store) as work:
        unpacked = [intake.add_layer(work, parts.path(name), at).diff_id for at, name in enumerate(entry.layers)]
        if not isinstance(document, dict) or (document.get("rootfs") or {}).get("diff_ids") != unpacked:
            raise ImageError(
                f"archive member {entry.config}", "it speaks of other layers than are there", "save it again"
            )
        image_id = intake.put(store, work, document, entry.names[0] if entry.names else None)
    for name in entry.names[1:]:
        store.tag(image_id, str(name))
    return image_id
