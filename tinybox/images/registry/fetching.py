"""Fetch the layers of an image that the store does not have: each is unpacked while its bytes come in.

A layer has a process of its own, because unpacking needs more than one processor. It is put into the store when its
size, its digest and its diff id are right. Two commands that need the same layer fetch it once.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from tinybox.errors import ImageError, TinyboxError
from tinybox.images import content, intake
from tinybox.images.archives.archive import free
from tinybox.images.registry import manifests
from tinybox.images.registry.layers import is_here
from tinybox.linux import workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.intake import Workspace
    from tinybox.images.registry.layers import Layer, Report
    from tinybox.images.registry.repository import Repository
    from tinybox.images.store import Store

STEP = 1 << 20  # bytes between two messages about the progress of a layer


def fetch(store: Store, work: Workspace, repository: Repository, layers: list[Layer], report: Report) -> None:
    """Fetch and unpack the layers that the store does not have, the largest first."""
    missing = [(number, layer) for number, layer in enumerate(layers) if not is_here(store, layer)]
    for layer in layers:
        report.layer(layer.blob.digest, "Already exists" if is_here(store, layer) else "Pulling fs layer")

    needed, there = sum(layer.blob.size for _, layer in missing), free(work.path)
    if needed > there:
        raise ImageError("image", f"its layers of {needed} bytes would not fit; {there} are left", "make room first")

    def task(number: int, layer: Layer) -> workers.Task:
        return lambda tell: _fetch_one(store, work, repository, number, layer, tell)

    missing.sort(key=lambda pair: -pair[1].blob.size)
    workers.run([task(*pair) for pair in missing], lambda message: repository.take(message, report))


def _fetch_one(
    store: Store, work: Workspace, repository: Repository, number: int, layer: Layer, tell: Callable[[Any], None]
) -> None:
    """Fetch one layer, unless another command has just done so; it stays in the store while `content.want` names it."""
    digest, size = layer.blob.digest, layer.blob.size
    with store.locked(f"blob-{digest[7:9]}"):  # one of 256 files: others with the same digest wait here
        if is_here(store, layer):
            tell([digest, "Already exists"])
            return
        told = 0

        def count(at: int) -> None:
            nonlocal told
            if at - told >= STEP:
                told = at
                tell([digest, "Downloading", at, size])

        draft = f"{work.path}/blob-{number}"
        with open(draft, "wb") as copy, repository.in_child(tell).blob(layer.blob, copy, count) as stream:
            _unpack(work, number, stream, layer)
        with store.locked():
            intake.place(store, f"{work.path}/{intake.LAYER}{number}", layer.diff_id)
            os.rename(draft, content.blob_path(store.root, digest))
    tell([digest, "Pull complete", size, size])


def _unpack(work: Workspace, number: int, stream: Any, layer: Layer) -> None:
    """Unpack *stream* as the layer *number* of the workspace, and check it by its size, its digest and its diff id."""
    try:
        reader = io.BufferedReader(stream, 1 << 18)
        unpacked = intake.add_layer(work, reader, number, blob=layer.blob.digest, proven=True)
        stream.finish()
    except TinyboxError as error:
        error.thing = (
            f"layer {layer.blob.digest[7:19]}: {error.thing}" if error.thing else f"layer {layer.blob.digest[7:19]}"
        )
        raise
    if unpacked.diff_id != layer.diff_id:
        cause = f"its content has the diff id {unpacked.diff_id[:19]}, not {layer.diff_id[:19]}"
        raise ImageError(f"layer {layer.blob.digest[7:19]}", cause, manifests.CURE)
