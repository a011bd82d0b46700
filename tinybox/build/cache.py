"""The keys of the build cache: an instruction is not carried out again if nothing that it depends on has changed.

A key is the digest of the layers below, of the words of the instruction with all values that it sees, and of the
content that it copies. The times of files are not part of it. images/build_cache.py has the entries on disk.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from tinybox.images import build_cache, image_events
from tinybox.images.removal import collect
from tinybox.images.store import layer_key
from tinybox.linux.filesystem import trees

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.images.store import Store


ENTRY, MOUNT = "regular", "exec.cachemount"  # docker's words
ID_LENGTH = 25  # of docker's ids in its build cache


def key(*parts: Any) -> str:
    """Return the key of *parts*, values of JSON, in 64 hex digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Item(NamedTuple):
    """An entry or a cache mount, of docker's *kind*: its *id*, its *place* on disk, when it was *used* (ns since 1970).

    *size* is in bytes; it is that of the *layer*, a short name, for an entry.
    """

    id: str
    kind: str
    place: str
    used: int
    layer: str
    size: int


def clear(store: Store) -> int:
    """Remove every entry, its layer if no image needs it, and each cache mount that no RUN uses; return the bytes."""
    return prune(store)[1]


def prune(store: Store, is_wanted: Callable[[Item], bool] = lambda _: True, keep: int = 0) -> tuple[list[str], int]:
    """Remove the items for which *is_wanted* is true, those first that were not used for longest; see `clear`.

    Stop when the cache has at most *keep* bytes, unless that is 0. Return the ids of what was removed, and the bytes.
    """
    with store.locked():
        before, freed, gone = sum(store.layers().values()), 0, []
        own = {layer_key(diff_id) for image in store.images() for diff_id in image.diff_ids}
        found = items(store)
        links = Counter(item.layer for item in found if item.layer and item.layer not in own)
        left = sum({item.layer: item.size for item in found if item.layer in links}.values())
        left += sum(item.size for item in found if not item.layer)
        for item in filter(is_wanted, found):
            if keep and left <= keep:
                break
            if item.kind == ENTRY:
                build_cache.forget(store.root, item.place)
                links[item.layer] -= 1
                left -= item.size if links[item.layer] == 0 else 0
            elif build_cache.remove_mount(item.place):
                left, freed = left - item.size, freed + item.size
            else:
                continue
            gone.append(item.id)
        collect(store)
        freed += before - sum(store.layers().values())
    image_events.emit_of_builds(store.root, freed)
    return gone, freed


def items(store: Store) -> list[Item]:
    """Return all entries and cache mounts, those first that were not used for longest."""
    root, sizes, found = store.root, store.layers(), []
    for key in build_cache.keys(root):
        entry = build_cache.entry(root, key)
        layer = layer_key(entry.diff_id) if entry is not None and entry.diff_id else ""
        used = build_cache.used_at(root, key)
        found.append(Item(key[:ID_LENGTH], ENTRY, key, used, layer, sizes.get(layer, 0)))
    for path in build_cache.mounts(root):
        name, used = path.rpartition("/")[2], build_cache.used_at(root, mount=path)
        found.append(Item(name[:ID_LENGTH], MOUNT, path, used, "", trees.tree_size(path)))
    return sorted(found, key=lambda item: item.used)


def size(store: Store) -> tuple[int, int]:
    """Return the number of entries and cache mounts, and the bytes that `clear` would free."""
    used = {layer_key(diff_id) for image in store.images() for diff_id in image.diff_ids}
    own = {layer_key(entry.diff_id) for entry in build_cache.layers(store.root)} - used
    mounts, sizes = build_cache.mounts(store.root), store.layers()
    count = len(build_cache.keys(store.root)) + len(mounts)
    return count, sum(sizes.get(layer, 0) for layer in own) + sum(map(trees.tree_size, mounts))
