"""Pack an image of the store as a registry wants it: gzip-compressed layers, its config, and a manifest (push).

An image that came from a registry has all this in the store. For an image that was made here the layers are packed
once, and kept: the same image always goes out with the same digest.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from tinybox.errors import ImageError
from tinybox.images import content
from tinybox.images.intake import workspace
from tinybox.images.original import Original

if TYPE_CHECKING:
    from tinybox.images.content import Listed
    from tinybox.images.intake import Workspace
    from tinybox.images.store import Image, Store

OCI = "application/vnd.oci.image"
CHUNK = 1 << 20
LEVEL = 6  # of gzip: as docker and buildah


def manifest(store: Store, image: Image) -> Listed:
    """Return a manifest of *image* whose blobs are in the store; they are made if they are not there yet.

    ImageError: the archive of a layer was not kept, or its files have changed: the image would get another digest.
    """
    found = content.manifest_of(store.root, image.id)
    if found is not None:
        return found
    with workspace(store) as work:
        descriptors = [_layer(work, number, image) for number in range(len(image.layers))]
        config = store.content(image.id)
        document = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": {
                "mediaType": f"{OCI}.config.v1+json",
                "digest": f"sha256:{image.id}",
                "size": len(config),
            },
            "layers": descriptors,
        }
        text = json.dumps(document, separators=(",", ":")).encode()
        with store.locked():
            store.record(image.id)  # it may have been removed meanwhile
            for number, layer in enumerate(descriptors):
                os.rename(f"{work.path}/blob-{number}", content.blob_path(store.root, layer["digest"]))
            content.keep_manifest(store.root, hashlib.sha256(text).hexdigest(), text)
    made = content.manifest_of(store.root, image.id)
    if made is None:
        raise ImageError(f"image {image.reference or image.id[:12]}", "another command has removed it", "try again")
    return made


def _layer(work: Workspace, number: int, image: Image) -> dict[str, Any]:
    """Pack the layer *number* into the workspace, and return its descriptor."""
    tree = image.layers[number]
    if not Original.is_kept(tree):
        cause = f"an older tinybox has not kept the archive of its layer {number + 1}"
        raise ImageError(f"image {image.reference or image.id[:12]}", cause, "pull, build or import it again")
    with open(f"{work.path}/blob-{number}", "w+b") as target:
        with gzip.GzipFile("", "wb", LEVEL, target, mtime=0) as zipped:
            for piece in Original(tree).pieces():
                zipped.write(piece)
        target.seek(0)
        digest = hashlib.file_digest(target, "sha256").hexdigest()
        size = os.fstat(target.fileno()).st_size
    return {"mediaType": f"{OCI}.layer.v1.tar+gzip", "digest": f"sha256:{digest}", "size": size}
