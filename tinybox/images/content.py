"""The store's blobs: the layers of images as a registry has them, packed, and the manifests that list them.

The files of a layer alone do not give the same packed bytes again, so tinybox keeps the blob that it pulled or pushed:
an image goes to another registry with the digest that it had.

    ROOT/blobs/<64 hex>       a packed layer; its name is the sha256 of its content
    ROOT/manifests/<64 hex>   a manifest of the OCI image-spec; likewise

A manifest stays as long as the image of its config, a blob as long as a manifest lists it. Files appear by rename(2).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from tinybox.linux import files, quick_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tinybox.images.store import Store

BLOBS, MANIFESTS = "blobs", "manifests"
WANTED = "wanted"  # in a workspace: the digests of the layers and blobs that its process is about to use
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_SHAPE = {"config!": {"digest!": str}, "layers!": [{"digest!": str}]}


class Listed(NamedTuple):
    """A manifest of the store: its digest in hex, its *content*, the id of its image, and the digests of its blobs."""

    digest: str
    content: bytes
    image_id: str
    blobs: list[str]


def blob_path(store: Store, digest: str) -> str:
    """Return the path of the blob *digest*, ``sha256:HEX``, which may be missing."""
    return f"{store.root}/{BLOBS}/{digest.removeprefix('sha256:')}"


def has_blob(store: Store, digest: str) -> bool:
    """Return whether the store has the blob."""
    return os.path.isfile(blob_path(store, digest))


def keep_manifest(store: Store, digest: str, content: bytes) -> None:
    """Write a manifest into the store; the caller holds the store's lock."""
    files.replace(f"{store.root}/{MANIFESTS}/{digest.removeprefix('sha256:')}", content)


def manifests(store: Store) -> Iterator[Listed]:
    """Yield every manifest of the store; a damaged one is passed over."""
    for name in sorted(_names(f"{store.root}/{MANIFESTS}")):
        try:
            with open(f"{store.root}/{MANIFESTS}/{name}", "rb") as file:
                content = file.read(quick_json.MOST)
            document = quick_json.loads(content.decode())
        except (OSError, ValueError):
            continue
        if not quick_json.misfit(document, _SHAPE):
            blobs = [layer["digest"] for layer in document["layers"]]
            yield Listed(name, content, document["config"]["digest"].removeprefix("sha256:"), blobs)


def manifest_of(store: Store, image_id: str) -> Listed | None:
    """Return a manifest of the image all of whose blobs are in the store; None: there is none."""
    for found in manifests(store):
        if found.image_id == image_id and all(has_blob(store, blob) for blob in found.blobs):
            return found
    return None


def collect(store: Store, image_ids: Collection[str]) -> None:
    """Remove the manifests of images that are gone, and the blobs that no manifest and no workspace needs.

    The caller holds the store's lock.
    """
    needed = set(wanted(store))
    for found in list(manifests(store)):
        if found.image_id in image_ids:
            needed.update(blob.removeprefix("sha256:") for blob in found.blobs)
            needed.add(found.digest)
    for folder in (MANIFESTS, BLOBS):
        for name in _names(f"{store.root}/{folder}"):
            if name not in needed:
                files.discard(f"{store.root}/{folder}/{name}")


def wanted(store: Store) -> Iterator[str]:
    """Yield the digests, in hex, that the workspaces of running commands need."""
    for name in _names(f"{store.root}/tmp"):
        try:
            with open(f"{store.root}/tmp/{name}/{WANTED}", encoding="ascii") as file:
                yield from _DIGEST.findall(file.read())
        except (FileNotFoundError, NotADirectoryError):
            continue


def want(work: str, digests: Collection[str]) -> None:
    """Write down that the process of the workspace *work* needs *digests*, layers or blobs, until it ends."""
    files.replace(f"{work}/{WANTED}", "".join(f"{digest}\n" for digest in digests).encode())


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
