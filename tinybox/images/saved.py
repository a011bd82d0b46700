"""Save images (`tinybox save`) as one tar archive: an OCI image layout, and docker's manifest.json.

Other tools (skopeo, podman, docker load) can copy it to registries and engines. The store keeps layers unpacked, so
each layer's archive is written again; the same files always give the same bytes, and so the same digests.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from typing import IO, TYPE_CHECKING, Any

from tinybox.images import layers
from tinybox.images.intake import workspace
from tinybox.linux.holes import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        found = [_saved(store, store.image(name), blobs) for name in names]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry for entry, _ in found]}
        with Writer(file.fileno()) as out, _opened(out) as archive:
            blobs.write(archive)
            _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
            _add(archive, "index.json", _json(index))
            _add(archive, "manifest.json", _json([dockers for _, dockers in found]))


def _saved(store: Store, image: Image, blobs: _Blobs) -> tuple[dict[str, Any], dict[str, Any]]:
    """Add the blobs of one image; return its entry for index.json, and that for docker's manifest.json."""
    descriptors = [blobs.layer(layer) for layer in image.layers]
    document = store.record(image.id)
    document["rootfs"] = {**document["rootfs"], "diff_ids": [layer["digest"] for layer in descriptors]}
    config = blobs.document(CONFIG, document)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": descriptors}
    entry = blobs.document(MANIFEST, manifest)
    if image.reference:
        entry["annotations"] = {NAME: image.reference.rpartition(":")[2], FULL_NAME: image.reference}
    names = [image.reference] if image.reference else None
    return entry, {"Config": _path(config), "RepoTags": names, "Layers": [_path(layer) for layer in descriptors]}


class _Blobs:
    """The blobs of an archive: files in the workspace, each named by the sha256 of its content."""

    def __init__(self, work: Workspace) -> None:
        self._folder = f"{work.path}/blobs"
        os.mkdir(self._folder)

    def layer(self, tree: str) -> dict[str, Any]:
        """Pack the layer *tree* and return its descriptor; devices are left out: no image may contain them."""
        fresh = f"{self._folder}/new"
        layers.pack(tree, fresh, layers.MARK, lambda _: None)
        with open(fresh, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.rename(fresh, f"{self._folder}/{digest}")
        return {"mediaType": LAYER, "digest": f"sha256:{digest}", "size": os.path.getsize(f"{self._folder}/{digest}")}

    def document(self, kind: str, document: dict[str, Any]) -> dict[str, Any]:
        """Add a JSON document and return its descriptor."""
        content = _json(document)
        digest = hashlib.sha256(content).hexdigest()
        with open(f"{self._folder}/{digest}", "wb") as file:
            file.write(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    def write(self, archive: tarfile.TarFile) -> None:
        """Write all blobs to *archive*."""
        for digest in sorted(os.listdir(self._folder)):
            with open(f"{self._folder}/{digest}", "rb") as file:
                member = tarfile.TarInfo(f"blobs/sha256/{digest}")
                member.size = os.fstat(file.fileno()).st_size
                archive.addfile(member, file)


def _opened(out: Writer) -> tarfile.TarFile:
    return tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT)  # type: ignore[call-overload,no-any-return]


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
