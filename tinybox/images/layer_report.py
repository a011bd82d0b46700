"""Report on the layers of an image, the bottom one first: who made each, what it changes, and what later ones cover.

A report is made of the store's directories alone, without a mount. A container's upper directory is one more layer on
top of its image's; see container/views/layers.py.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.images import content
from tinybox.images.layer_changes import ADDED, CHANGED, CONTENT, HIDDEN, Stack
from tinybox.images.store import layer_record

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tinybox.images.layer_changes import Change
    from tinybox.images.store import Store

CONTAINER = "container"  # in place of a digest: the writable layer of a container


class Source(NamedTuple):
    """A layer to be compared: its directory *tree*, its *digest*, and the history entry *step* that made it.

    *size* is what the store has recorded, in bytes, and *packed* the size of the registry's blob, 0 without one. For
    *mark*, *without* and *is_upper* see `Stack.add`.
    """

    tree: str
    digest: str
    step: dict[str, Any]
    size: int = 0
    packed: int = 0
    mark: str = ""
    without: Collection[str] = ()
    is_upper: bool = False


class Layer:
    """One layer of a report: its *number*, 1 at the bottom, its *source*, and its *changes*, sorted by path.

    *covered* has the bytes of it that each later layer covers, by the number of that layer. *again* is the number of a
    later layer (*last*) that is the same one, or 0: then that one has all its files, and there are none of this one.
    """

    def __init__(self, number: int, source: Source, last: int) -> None:
        self.number, self.source, self.again = number, source, last if last > number else 0
        self.size = source.size
        self.changes: list[Change] = []
        self.covered: dict[int, int] = {}

    @property
    def created_by(self) -> str:
        """The instruction that made the layer, as the image's history has it, or ""."""
        return self.source.step.get("created_by") or self.source.step.get("comment") or ""

    @property
    def lost(self) -> int:
        """The bytes of this layer that no container sees, because later layers cover them."""
        return sum(self.covered.values())

    def count(self, kind: str) -> int:
        """Return how many files the layer adds (A), changes (C) or hides (D), with directories."""
        if kind == HIDDEN:
            return sum(change.files for change in self.changes)
        return sum(change.kind == kind for change in self.changes)

    def copied(self) -> list[Change]:
        """Return the changes for which overlayfs has copied a file up, the largest one first."""
        return sorted((change for change in self.changes if change.copied), key=lambda change: -change.former)


def layers_of(sources: Sequence[Source]) -> list[Layer]:
    """Compare the layers *sources*, the bottom one first, and return them in the same order; see layer_changes.py.

    ImageError: a path is too long. OSError: a layer cannot be read.
    """
    numbered = list(enumerate(sources, 1))
    last = {source.tree: number for number, source in numbered}
    layers = [Layer(number, source, last[source.tree]) for number, source in numbered]
    stack = Stack()
    for layer in layers:
        if layer.again:
            continue
        source = layer.source
        layer.changes = stack.add(source.tree, layer.number, source.mark, source.without, is_upper=source.is_upper)
        layer.size = layer.size or stack.sizes.get(layer.number, 0)
    for layer in layers:
        layer.covered = stack.covered.get(layer.number, {})
    return layers


def sources_of(store: Store, image_id: str) -> list[Source]:
    """Return the layers of an image, the bottom one first, each with the entry of the image's history that made it."""
    image = store.image(image_id)
    steps = steps_of(store.record(image.id))
    return [
        Source(tree, digest, step, *_sizes(store.root, os.path.dirname(tree)))
        for tree, digest, step in zip(image.layers, image.diff_ids, steps, strict=True)
    ]


def steps_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entry of the image's history for each of its layers, the bottom one first; {}: it has no entry.

    An image that was imported has no history; if more layers were put on it, the entries are those of its top layers.
    See "history" in config.md of the OCI image-spec.
    """
    steps = [step for step in record.get("history") or [] if not step.get("empty_layer")]
    missing = len(record["rootfs"]["diff_ids"]) - len(steps)
    return [{}] * missing + steps if missing >= 0 else [{}] * (missing + len(steps))


def as_dict(layer: Layer) -> dict[str, Any]:
    """Return everything about a layer, for programs; sizes are in bytes."""
    source = layer.source
    return {
        "Number": layer.number,
        "Digest": source.digest,
        "Directory": source.tree,
        "Created": source.step.get("created") or "",
        "CreatedBy": layer.created_by,
        "Size": layer.size,
        "PackedSize": source.packed,
        "SameAs": layer.again,
        "Adds": layer.count(ADDED),
        "Changes": layer.count(CHANGED),
        "Hides": layer.count(HIDDEN),
        "Covered": layer.lost,
        "CoveredBy": {str(number): size for number, size in sorted(layer.covered.items())},
        "CopiedUp": sum(change.former for change in layer.copied()),
        "Files": list(map(change_as_dict, layer.changes)),
    }


def change_as_dict(change: Change) -> dict[str, Any]:
    """Return everything about one change of a layer, for programs; sizes are in bytes."""
    known: dict[str, Any] = {"Kind": change.kind, "Path": change.path, "Mode": change.mode}
    if change.kind != HIDDEN:
        known["Size"] = change.size
    if change.kind != ADDED:
        known |= {"Former": change.former, "Below": change.below, "How": change.how or CONTENT}
    if change.files:
        known["Hides"] = change.files
    if change.copied:
        known["CopiedUp"] = True
    return known


def _sizes(root: str, folder: str) -> tuple[int, int]:
    """Return the recorded size of the layer in *folder*, and that of its blob, 0 without one; in bytes."""
    record = layer_record(folder)
    try:
        packed = os.stat(content.blob_path(root, record["blob"])).st_size if record.get("blob") else 0
    except FileNotFoundError:
        packed = 0
    return record["size"], packed
