"""A layer of an image in a registry, and what a pull and a push report about it while they go on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from tinybox.images import content
from tinybox.images.store import layer_key

if TYPE_CHECKING:
    from tinybox.images.reference import Reference
    from tinybox.images.registry.manifests import Descriptor
    from tinybox.images.store import Store


class Layer(NamedTuple):
    """A layer of an image: its blob, and the diff id of its unpacked content."""

    blob: Descriptor
    diff_id: str


def is_here(store: Store, layer: Layer) -> bool:
    """Return whether the store has the layer unpacked, and its blob."""
    return os.path.isdir(f"{store.root}/layers/{layer_key(layer.diff_id)}") and content.has_blob(
        store.root, layer.blob.digest
    )


class Report:
    """The events of a pull or a push; this class ignores them, and the command line prints them."""

    def document(self, kind: str, digest: str, content: bytes, chosen: str = "") -> None:
        """Take notice of an index or a manifest (*kind*); *chosen* is the digest of the index's image."""

    def resolved(self, reference: Reference, layers: list[Descriptor]) -> None:
        """Take notice that the *layers* of *reference* are known."""

    def layer(self, digest: str, state: str, current: int = 0, total: int = 0) -> None:
        """Take notice of a layer's *state* in docker's words, and of its bytes so far."""
