"""Pull an image from its registry: resolve its name to a manifest, then fetch, check and unpack what is not here yet.

    name -> manifest (of an index: the one for this platform) -> config -> layers, several at once -> image

Each layer is unpacked while its bytes come in, in a process of its own. It is put into the store when its size, its
digest and its diff id are right; two commands that need the same layer fetch it once. The image appears last.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import HostError, ImageError, TinyboxError
from tinybox.images import content, intake
from tinybox.images.reference import Reference
from tinybox.images.registry import manifests
from tinybox.images.registry.repository import Repository, repositories
from tinybox.images.store import RECORD, layer_key
from tinybox.linux import quick_json, workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.intake import Workspace
    from tinybox.images.registry.manifests import Descriptor, Manifest, Platform
    from tinybox.images.registry.transport import Listener
    from tinybox.images.store import Image, Store

STEP = 1 << 20  # bytes between two messages about the progress of a layer


class Report:
    """The events of a pull; this class ignores them, and the command line prints them."""

    def resolved(self, reference: Reference, layers: list[Descriptor]) -> None:
        """Take notice that the *layers* of *reference* are known."""

    def layer(self, digest: str, state: str, current: int = 0, total: int = 0) -> None:
        """Take notice of a layer's *state* in docker's words, and of its bytes so far."""


class Pulled(NamedTuple):
    """The *image*, the *digest* of its name in the registry (of the index, if it has one), and if it is new here."""

    image: Image
    digest: str
    is_new: bool


class _Layer(NamedTuple):
    """A layer to be fetched: its blob, and the diff id of its unpacked content."""

    blob: Descriptor
    diff_id: str


def pull(
    store: Store,
    reference: Reference,
    wanted: Platform,
    report: Report,
    *,
    verify: bool | None = None,
    listen: Listener = lambda _: None,
) -> Pulled:
    """Bring the image *reference* for the platform *wanted* into the store; it is named there by tag and by digest.

    ImageError: there is no such image, access to it is denied, or it is damaged. HostError: the registry cannot be
    reached, or answers with an error. *verify* False allows plain HTTP and any certificate.
    """
    repository, digest, manifest = _resolve(reference, wanted, verify, listen)
    with intake.workspace(store) as work:
        record = _config(store, repository, manifest)
        layers = _layers(reference, manifest, record)
        content.want(work.path, [part for layer in layers for part in (layer.diff_id, layer.blob.digest)])
        report.resolved(reference, [layer.blob for layer in layers])
        _fetch(store, work, repository, layers, report)
        with store.locked():
            former = store.named(reference)
            content.keep_manifest(store.root, manifest.digest, manifest.content)
            names = dict.fromkeys((reference, Reference(reference.name, "", digest)))
            image_id = intake.put(store, work, quick_json.loads(record.decode()), names, content=record)
    return Pulled(store.image(str(reference)), digest, image_id != former)


def _resolve(
    reference: Reference, wanted: Platform, verify: bool | None, listen: Listener
) -> tuple[Repository, str, Manifest]:
    """Return the first server that has the image, the digest of its name, and its manifest for the platform."""
    found = repositories(reference, "pull", verify=verify, listen=listen)
    for repository in found:
        try:
            return repository, *_manifest(repository, reference, wanted)
        except (HostError, ImageError):
            if repository is found[-1]:  # not a mirror: its error is the one that counts
                raise
    raise AssertionError("there is always a server")


def _manifest(repository: Repository, reference: Reference, wanted: Platform) -> tuple[str, Manifest]:
    thing = f"image {reference}"
    text, header = repository.manifest(reference.digest or reference.tag)
    digest = manifests.digest_of(text)
    manifest = manifests.read_manifest(text, thing, header)
    if manifest is None:
        chosen = manifests.choose(text, wanted, thing)
        text, header = repository.manifest(chosen.digest)
        manifest = manifests.read_manifest(text, thing, header)
    if manifest is None:
        raise ImageError(thing, "its index lists another index", manifests.CURE)
    return digest, manifest


def _config(store: Store, repository: Repository, manifest: Manifest) -> bytes:
    """Return the image's config, from the store if it is there."""
    path = f"{store.root}/images/{manifest.config.digest.removeprefix('sha256:')}"
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return repository.small_blob(manifest.config)


def _layers(reference: Reference, manifest: Manifest, record: bytes) -> list[_Layer]:
    """Return the layers, each one once; ImageError: config and manifest do not fit together."""
    thing = f"image {reference}"
    try:
        document: dict[str, Any] = quick_json.loads(record.decode())
        wrong = quick_json.misfit(document, RECORD)
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise ImageError(thing, f"its config is damaged: {wrong}", manifests.CURE)
    diff_ids = document["rootfs"]["diff_ids"]
    if len(diff_ids) != len(manifest.layers):
        cause = f"its config has {len(diff_ids)} layers, its manifest {len(manifest.layers)}"
        raise ImageError(thing, cause, manifests.CURE)
    pairs = zip(manifest.layers, diff_ids, strict=True)
    return list(dict.fromkeys(_Layer(blob, diff_id) for blob, diff_id in pairs))


def _fetch(store: Store, work: Workspace, repository: Repository, layers: list[_Layer], report: Report) -> None:
    """Fetch and unpack the layers that the store does not have, the largest first."""
    missing = [(number, layer) for number, layer in enumerate(layers) if not _is_here(store, layer)]
    for layer in layers:
        report.layer(layer.blob.digest, "Already exists" if _is_here(store, layer) else "Pulling fs layer")

    def task(number: int, layer: _Layer) -> workers.Task:
        return lambda tell: _fetch_one(store, work, repository, number, layer, tell)

    missing.sort(key=lambda pair: -pair[1].blob.size)
    workers.run([task(*pair) for pair in missing], lambda message: report.layer(*message))


def _is_here(store: Store, layer: _Layer) -> bool:
    return os.path.isdir(f"{store.root}/layers/{layer_key(layer.diff_id)}") and content.has_blob(
        store.root, layer.blob.digest
    )


def _fetch_one(
    store: Store, work: Workspace, repository: Repository, number: int, layer: _Layer, tell: Callable[[Any], None]
) -> None:
    """Fetch one layer, unless another command has just done so; it stays in the store while `content.want` names it."""
    digest, size = layer.blob.digest, layer.blob.size
    with store.locked(f"blob-{digest[7:9]}"):  # one of 256 files: others with the same digest wait here
        if _is_here(store, layer):
            tell([digest, "Already exists"])
            return
        told = 0

        def count(at: int) -> None:
            nonlocal told
            if at - told >= STEP:
                told = at
                tell([digest, "Downloading", at, size])

        draft = f"{work.path}/blob-{number}"
        with open(draft, "wb") as copy, repository.in_child().blob(layer.blob, copy, count) as stream:
            _unpack(work, number, stream, layer)
        with store.locked():
            intake.place(store, f"{work.path}/{intake.LAYER}{number}", layer.diff_id)
            os.rename(draft, content.blob_path(store.root, digest))
    tell([digest, "Pull complete", size, size])


def _unpack(work: Workspace, number: int, stream: Any, layer: _Layer) -> None:
    """Unpack *stream* as the layer *number* of the workspace, and check it by its size, its digest and its diff id."""
    import io

    try:
        unpacked = intake.add_layer(work, io.BufferedReader(stream, 1 << 18), number, blob=layer.blob.digest)
        stream.finish()
    except TinyboxError as error:
        error.thing = (
            f"layer {layer.blob.digest[7:19]}: {error.thing}" if error.thing else f"layer {layer.blob.digest[7:19]}"
        )
        raise
    if unpacked.diff_id != layer.diff_id:
        cause = f"its content has the diff id {unpacked.diff_id[:19]}, not {layer.diff_id[:19]}"
        raise ImageError(f"layer {layer.blob.digest[7:19]}", cause, manifests.CURE)
