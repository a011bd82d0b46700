"""Push an image to its registry: first the blobs that the registry does not have, then the manifest.

A blob that another repository of the same registry has is not sent again: the registry shares it ("cross-repository
blob mount" of the distribution-spec). The manifest comes last, so the image is never seen without its layers.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import ImageError
from tinybox.images import content, image_events, packed
from tinybox.images.reference import parse
from tinybox.images.registry import manifests
from tinybox.images.registry.layers import Report
from tinybox.images.registry.repository import repositories
from tinybox.linux import workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.reference import Reference
    from tinybox.images.registry.manifests import Descriptor
    from tinybox.images.registry.repository import Repository
    from tinybox.images.registry.transport import Listener
    from tinybox.images.store import Image, Store

STEP = 1 << 20  # bytes between two messages about the progress of a layer


class Pushed(NamedTuple):
    """The *digest* and the *size* in bytes of the manifest that the registry now has."""

    digest: str
    size: int


def push(
    store: Store,
    reference: Reference,
    report: Report,
    *,
    verify: bool | None = None,
    listen: Listener = lambda _: None,
) -> Pushed:
    """Send the image that *reference* names to the registry in that name; return its digest there.

    ImageError: there is no such image in the store, or access is denied. HostError: the registry cannot be reached, or
    answers with an error; then it has no half image, because the manifest comes last.
    """
    if reference.digest:
        raise ImageError(
            f"image {reference}", "an image is pushed to a tag, not to a digest", f"push {reference.name}:TAG"
        )
    image = store.image(str(reference))
    [repository] = repositories(reference, "pull,push", verify=verify, listen=listen)
    found = packed.manifest(store, image)
    manifest = manifests.read_manifest(found.content, f"image {reference}")
    if manifest is None:
        raise ImageError(f"image {reference}", "its manifest in the store is damaged", "pull it again")
    report.document(manifests.MANIFEST, manifest.digest, manifest.content)
    report.resolved(reference, manifest.layers)
    sources = _sources(store, image, reference)
    _send(store, repository, list(dict.fromkeys(manifest.layers)), sources, report)
    if not repository.has_blob(manifest.config.digest):
        repository.upload(manifest.config, io.BytesIO(store.content(image.id)))
    repository.put_manifest(reference.tag, manifest)
    with store.locked():
        if store.named(reference) == image.id:
            store.point(parse(f"{reference.name}@{manifest.digest}"), image.id)
    image_events.emit_of_name(store.root, "push", reference, image.id)
    return Pushed(manifest.digest, len(manifest.content))


def _sources(store: Store, image: Image, reference: Reference) -> list[str]:
    """Return the other repositories of the registry that have this image, by its names with a digest."""
    names = [parse(name) for name in store.digests().get(image.id, [])]
    found = [name.repository for name in names if name.host == reference.host]
    return [name for name in dict.fromkeys(found) if name != reference.repository]


def _send(store: Store, repository: Repository, layers: list[Descriptor], sources: list[str], report: Report) -> None:
    """Send the *layers*, several at once; the largest first."""
    for layer in layers:
        report.layer(layer.digest, "Preparing")

    def task(layer: Descriptor) -> workers.Task:
        return lambda tell: _send_one(store, repository.in_child(tell), layer, sources, tell)

    if layers and not repository.has_blob(layers[0].digest):  # this also gets the token, which the children then have
        report.layer(layers[0].digest, "Waiting")
    layers = sorted(layers, key=lambda layer: -layer.size)
    workers.run([task(layer) for layer in layers], lambda message: repository.take(message, report))


def _send_one(
    store: Store, repository: Repository, layer: Descriptor, sources: list[str], tell: Callable[[Any], None]
) -> None:
    if repository.has_blob(layer.digest):
        tell([layer.digest, "Layer already exists"])
        return
    for source in sources:
        if repository.mount(layer.digest, source):
            tell([layer.digest, f"Mounted from {source}"])
            return
    with open(content.blob_path(store.root, layer.digest), "rb") as file:
        repository.upload(layer, file, lambda at: tell([layer.digest, "Pushing", at, layer.size]))
    tell([layer.digest, "Pushed", layer.size, layer.size])
