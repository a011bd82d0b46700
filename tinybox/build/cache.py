"""The keys of the build cache: an instruction is not carried out again if nothing that it depends on has changed.

A key is the digest of the layers below, of the words of the instruction with all values that it sees, and of the
content that it copies. The times of files are not part of it. images/build_cache.py has the entries on disk.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from tinybox.images import build_cache
from tinybox.images.removal import collect
from tinybox.images.store import layer_key
from tinybox.linux import trees

if TYPE_CHECKING:
    from typing import Any

    from tinybox.images.store import Store


def key(*parts: Any) -> str:
    """Return the key of *parts*, values of JSON, in 64 hex digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def clear(store: Store) -> int:
    """Remove every entry, its layer if no image needs it, and each cache mount that no RUN uses; return the bytes."""
    with store.locked():
        before, freed = sum(store.layers().values()), 0
        for entry in build_cache.keys(store.root):
            build_cache.forget(store.root, entry)
        for path in build_cache.mounts(store.root):
            size_of_it = trees.tree_size(path)
            if build_cache.remove_mount(path):
                freed += size_of_it
        collect(store)
        return freed + before - sum(store.layers().values())


def size(store: Store) -> tuple[int, int]:
    """Return the number of entries and cache mounts, and the bytes that `clear` would free."""
    used = {layer_key(diff_id) for image in store.images() for diff_id in image.diff_ids}
    own = {layer_key(entry.diff_id) for entry in build_cache.layers(store.root)} - used
    mounts, sizes = build_cache.mounts(store.root), store.layers()
    count = len(build_cache.keys(store.root)) + len(mounts)
    return count, sum(sizes.get(layer, 0) for layer in own) + sum(map(trees.tree_size, mounts))
