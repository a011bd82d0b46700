"""The store's blobs: the layers of images as a registry has them, packed, and the manifests that list them.

The files of a layer alone do not give the same packed bytes again, so tinybox keeps the blob that it pulled or pushed:
an image goes to another registry with the digest that it had.

    ROOT/blobs/<64 hex>       a packed layer; its name is the sha256 of its content
    ROOT/manifests/<64 hex>   a manifest of the OCI image-spec; likewise

A manifest stays as long as the image of its config, a blob as long as a manifest lists it or the layer that it was
unpacked to is there. Files appear by rename(2).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from tinybox.linux import quick_json
from tinybox.linux.filesystem import files

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

BLOBS, MANIFESTS = "blobs", "manifests"
WANTED = "wanted"  # in a workspace, the beginning of the names of files with digests that its processes will use
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_SHAPE = {"config!": {"digest!": str}, "layers!": [{"digest!": str}]}


class Listed(NamedTuple):
    """A manifest of the store: its digest in hex, its *content*, the id of its image, and the digests of its blobs."""

    digest: str
    content: bytes
    image_id: str
    blobs: list[str]


def blob_path(root: str, digest: str) -> str:
    """Return the path of the blob *digest*, ``sha256:HEX``, which may be missing."""
    return f"{root}/{BLOBS}/{digest.removeprefix('sha256:')}"


def has_blob(root: str, digest: str) -> bool:
    """Return whether the store has the blob."""
    return os.path.isfile(blob_path(root, digest))


def keep_manifest(root: str, digest: str, content: bytes) -> None:
    """Write a manifest into the store; the caller holds the store's lock."""
    files.replace(f"{root}/{MANIFESTS}/{digest.removeprefix('sha256:')}", content)


def has_manifest(root: str, digest: str) -> bool:
    """Return whether the store has the manifest *digest*, ``sha256:HEX``."""
    return os.path.isfile(f"{root}/{MANIFESTS}/{digest.removeprefix('sha256:')}")


def manifests(root: str) -> Iterator[Listed]:
    """Yield every manifest of the store; a damaged one is passed over."""
    for name in sorted(_names(f"{root}/{MANIFESTS}")):
        try:
            with open(f"{root}/{MANIFESTS}/{name}", "rb") as file:
                content = file.read(quick_json.MOST)
            document = quick_json.loads(content.decode())
        except (OSError, ValueError):
            continue
        if not quick_json.misfit(document, _SHAPE):
            blobs = [layer["digest"] for layer in document["layers"]]
            yield Listed(name, content, document["config"]["digest"].removeprefix("sha256:"), blobs)


def manifest_of(root: str, image_id: str) -> Listed | None:
    """Return a manifest of the image all of whose blobs are in the store; None: there is none."""
    for found in manifests(root):
        if found.image_id == image_id and all(has_blob(root, blob) for blob in found.blobs):
            return found
    return None


def collect(root: str, image_ids: Collection[str], blobs: Collection[str]) -> None:
    """Remove the manifests of images that are gone, and the blobs that no manifest, layer or workspace needs.

    *blobs* are the digests of those that the layers were unpacked from.

    The caller holds the store's lock.
    """
    needed = {blob.removeprefix("sha256:") for blob in blobs} | set(wanted(root))
    for found in list(manifests(root)):
        if found.image_id in image_ids:
            needed.update(blob.removeprefix("sha256:") for blob in found.blobs)
            needed.add(found.digest)
    for folder in (MANIFESTS, BLOBS):
        for name in _names(f"{root}/{folder}"):
            if name not in needed:
                files.discard(f"{root}/{folder}/{name}")


def blob_sizes(root: str) -> dict[str, int]:
    """Return the size of each blob and manifest in bytes, by its digest in hex."""
    found = {}
    for folder in (BLOBS, MANIFESTS):
        for name in _names(f"{root}/{folder}"):
            try:
                found[name] = os.stat(f"{root}/{folder}/{name}").st_size
            except FileNotFoundError:
                continue  # it has just been removed
    return found


def wanted(root: str) -> Iterator[str]:
    """Yield the digests, in hex, that the workspaces of running commands need."""
    for name in _names(f"{root}/tmp"):
        for file in _names(f"{root}/tmp/{name}"):
            if file.startswith(WANTED):
                try:
                    with open(f"{root}/tmp/{name}/{file}", encoding="ascii") as listed:
                        yield from _DIGEST.findall(listed.read())
                except FileNotFoundError:
                    continue


def want(work: str, digests: Collection[str], part: str = "") -> None:
    """Write down that the process of the workspace *work* needs *digests*, layers or blobs, until it ends.

    A second call replaces the digests of the first one, unless it is about another *part* of the work.
    """
    files.replace(f"{work}/{WANTED}{part}", "".join(f"{digest}\n" for digest in digests).encode())


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
