"""Save images (`tinybox save`) as one tar archive: an OCI image layout, and docker's manifest.json.

Other tools (skopeo, podman, docker load) can copy it to registries and engines. The store keeps layers unpacked, and
beside them what else their archives had; see original.py. So an image that is saved and loaded keeps its id.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from typing import IO, TYPE_CHECKING, Any

from tinybox.images import image_events
from tinybox.images.archives import layers
from tinybox.images.archives.decompress import CHUNK
from tinybox.images.intake import workspace
from tinybox.images.original import Original
from tinybox.linux.filesystem.holes import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tinybox.images.intake import Workspace
    from tinybox.images.store import Image, Store

OCI = "application/vnd.oci.image"
CONFIG, MANIFEST, INDEX, LAYER = (
    f"{OCI}.config.v1+json",
    f"{OCI}.manifest.v1+json",
    f"{OCI}.index.v1+json",
    f"{OCI}.layer.v1.tar",
)
NAME, FULL_NAME = "org.opencontainers.image.ref.name", "io.containerd.image.name"


def save(store: Store, names: Sequence[str], file: IO[bytes]) -> None:
    """Write the images *names* to *file*; see the image-layout of the OCI image-spec, and docker-save(1)."""
    with workspace(store) as work:
        blobs = _Blobs(work)
        entries: list[dict[str, Any]] = []
        dockers: dict[str, dict[str, Any]] = {}  # one for each image, with all of its names, as in docker's archives
        for name in names:
            entry, listed = _saved(store, store.image(name), blobs)
            entries.append(entry)
            tags = dockers.setdefault(listed["Config"], listed)["RepoTags"]
            tags += [tag for tag in listed["RepoTags"] if tag not in tags]
        saved = dict.fromkeys(store.resolve(name)[0] for name in names)
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        manifest = [{**listed, "RepoTags": listed["RepoTags"] or None} for listed in dockers.values()]
        with Writer(file.fileno()) as out, _opened(out) as archive:
            blobs.write(archive)
            _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
            _add(archive, "index.json", _json(index))
            _add(archive, "manifest.json", _json(manifest))
    for image_id in saved:
        image_events.emit(store.root, "save", image_id)


def _saved(store: Store, image: Image, blobs: _Blobs) -> tuple[dict[str, Any], dict[str, Any]]:
    """Add the blobs of one image; return its entry for index.json, and that for docker's manifest.json.

    The config is the store's own file, byte for byte, so the image keeps its id. Only if an older tinybox has not kept
    the archive of a layer, the layer is packed again, and so it and the image get new digests.
    """
    descriptors = [blobs.layer(layer) for layer in image.layers]
    document, diff_ids = store.record(image.id), [layer["digest"] for layer in descriptors]
    if document["rootfs"]["diff_ids"] == diff_ids:
        config = blobs.add(CONFIG, store.content(image.id))
    else:
        config = blobs.add(CONFIG, _json({**document, "rootfs": {**document["rootfs"], "diff_ids": diff_ids}}))
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": descriptors}
    entry = blobs.add(MANIFEST, _json(manifest))
    if image.reference:
        entry["annotations"] = {NAME: image.reference.rpartition(":")[2], FULL_NAME: image.reference}
    names = [image.reference] if image.reference else []
    return entry, {"Config": _path(config), "RepoTags": names, "Layers": [_path(layer) for layer in descriptors]}


class _Blobs:
    """The blobs of an archive, by the sha256 of their content: layers of the store, and files in the workspace."""

    def __init__(self, work: Workspace) -> None:
        self._folder = f"{work.path}/blobs"
        self._originals: dict[str, Original] = {}
        self._layers: dict[str, dict[str, Any]] = {}
        os.mkdir(self._folder)

    def layer(self, tree: str) -> dict[str, Any]:
        """Add the layer *tree* and return its descriptor; a layer of several images is read once."""
        if tree not in self._layers:
            self._layers[tree] = self._original(tree) if Original.is_kept(tree) else self._packed(tree)
        return self._layers[tree]

    def _original(self, tree: str) -> dict[str, Any]:
        original = Original(tree)
        self._originals[original.digest.removeprefix("sha256:")] = original
        return {"mediaType": LAYER, "digest": original.digest, "size": original.size}

    def _packed(self, tree: str) -> dict[str, Any]:
        """Pack the layer *tree*; devices are left out: no image may contain them."""
        fresh = f"{self._folder}/new"
        layers.pack(tree, fresh, layers.mark_of_layers(), lambda _: None)
        with open(fresh, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.rename(fresh, f"{self._folder}/{digest}")
        return {"mediaType": LAYER, "digest": f"sha256:{digest}", "size": os.path.getsize(f"{self._folder}/{digest}")}

    def add(self, kind: str, content: bytes) -> dict[str, Any]:
        """Add a JSON document and return its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        with open(f"{self._folder}/{digest}", "wb") as file:
            file.write(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    def write(self, archive: tarfile.TarFile) -> None:
        """Write all blobs to *archive*."""
        for digest in sorted({*os.listdir(self._folder), *self._originals}):
            member = tarfile.TarInfo(f"blobs/sha256/{digest}")
            original = self._originals.get(digest)
            if original is not None:
                member.size = original.size
                archive.addfile(member, _Pieces(original.pieces()))  # type: ignore[arg-type]
                continue
            with open(f"{self._folder}/{digest}", "rb") as file:
                member.size = os.fstat(file.fileno()).st_size
                archive.addfile(member, file)


class _Pieces:
    """Pieces of bytes in the form of a file that can be read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, size: int) -> bytes:
        """Return the next *size* bytes; fewer only at the end."""
        found = [self._rest]
        missing = size - len(self._rest)
        while missing > 0 and (piece := next(self._pieces, b"")):
            found.append(piece)
            missing -= len(piece)
        data = b"".join(found)
        self._rest = data[size:]
        return data[:size]


def _opened(out: Writer) -> tarfile.TarFile:
    return tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, copybufsize=CHUNK)  # type: ignore[call-overload,no-any-return]


def _path(descriptor: dict[str, Any]) -> str:
    return f"blobs/{descriptor['digest'].replace(':', '/')}"


def _json(document: Any) -> bytes:
    """Return *document* in the canonical form of JSON that the store also uses for its records."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    import io

    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
