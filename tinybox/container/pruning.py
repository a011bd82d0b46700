"""prune: remove containers at rest, unused images and volumes, and what killed commands have left in the store.

Each removal first takes the lock of the container or of the store, so nothing is removed that is in use.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from tinybox.container import lifecycle
from tinybox.container.records import events, naming, spec, state
from tinybox.container.storage import volumes
from tinybox.errors import ImageError, Reported, StateError
from tinybox.images import content, intake, mapped_layers, original, removal
from tinybox.images.store import Store
from tinybox.linux.filesystem.trees import tree_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.state_file import State
    from tinybox.container.storage.volumes import Volume
    from tinybox.images.store import Image


class Candidate(NamedTuple):
    """What a filter may ask of a container that could be removed: its *labels*, and when it was made, in ns since 1970.

    One without a record counts as made now.
    """

    labels: dict[str, str]
    created: int


class Removed(NamedTuple):
    """What a prune has removed: the names or ids to print, and the number of bytes that were freed."""

    names: list[str]
    size: int


def containers(paths: Paths, is_wanted: Callable[[Candidate], bool] | None = None) -> Removed:
    """Remove every container at rest, and what is left of interrupted creations; see docker-container-prune(1).

    With *is_wanted*, only those for which it returns true: one whose record cannot be read is then kept.
    """
    names, size = [], 0
    for container in paths.stored():
        try:
            record = state.lock(paths, container)
        except StateError:
            continue  # the container runs, or another command uses it
        try:
            if os.path.isdir(paths.bundle(container)) and (is_wanted is None or is_wanted(_candidate(record.state))):
                with Reported(f"container {container[:12]}"):
                    freed = tree_size(paths.bundle(container))
                    gone = events.of_container(paths, container, "destroy", record.state.get("annotations", {}))
                    lifecycle.delete(paths, container)
                    events.write(paths, gone)
                    names.append(container)
                    size += freed
        finally:
            record.close()
    _release_names(paths)
    events.write(paths, events.of_prune("container", size))
    return Removed(names, size)


def _candidate(known: State) -> Candidate:
    return Candidate(spec.labels(known.get("annotations", {})), known.get("createdAt", time.time_ns()))


def _release_names(paths: Paths) -> None:
    """Release the names of containers that have neither a bundle nor a run directory any more."""
    for container in naming.every(paths):
        if not os.path.isdir(paths.bundle(container)) and not os.path.isdir(paths.run_directory(container)):
            naming.release(paths, container)


def images(paths: Paths, *, all_of_them: bool, is_wanted: Callable[[Image], bool] = lambda _: True) -> Removed:
    """Remove images that no container uses: without a name, or *all_of_them*; and unfinished imports in the store.

    Only those for which *is_wanted* returns true. The size is that of their layers and blobs, in bytes.
    """
    store = Store(paths.root)
    lines: list[str] = []
    with store.locked():
        intake.sweep(store)
    before = sizes(store)
    with store.locked():
        if (used := _used_layers(paths)) is not None:
            mapped_layers.remove_unused(store.root, used)
    named = store.digests()
    for image in store.images():
        has_name = image.reference or image.id in named
        if (has_name and not all_of_them) or removal.containers_using(store, image.id) or not is_wanted(image):
            continue
        try:
            untagged, deleted = removal.remove(store, image.reference or image.id)
        except ImageError:
            continue  # a container uses it since then, or another command has removed it
        lines += [f"untagged: {name}" for name in untagged]
        lines += [f"deleted: sha256:{image_id}" for image_id in deleted]
    after = sizes(store)
    freed = sum(size for key, size in before.items() if key not in after)
    events.write(paths, events.of_prune("image", freed))
    return Removed(lines, freed)


def _used_layers(paths: Paths) -> set[str] | None:
    """Return the layers that containers have, also copies with other owners; None if a config.json is damaged."""
    configs = [spec.load_if_sound(paths.bundle(container)) for container in paths.stored()]
    return {layer for config in configs for layer in spec.layers(config)} if all(configs) else None


def sizes(store: Store) -> dict[str, int]:
    """Return the bytes of each layer, by its short name, and of each of the store's blobs, by its digest in hex.

    A layer has its files, and the record of its archive, unless that is a blob; see images/original.py.
    """
    found = {key: size + original.record_size(f"{store.root}/layers/{key}") for key, size in store.layers().items()}
    return found | mapped_layers.sizes(store.root) | content.blob_sizes(store.root)


def volumes_of(paths: Paths, is_wanted: Callable[[Volume], bool]) -> Removed:
    """Remove the volumes that no container uses and for which *is_wanted* returns true."""
    names, size = [], 0
    with Store(paths.root).locked():
        for volume in volumes.unused(paths, is_wanted):
            with Reported(f"volume {volume.name}"):
                size += volumes.prune(paths, volume)
                names.append(volume.name)
    events.write(paths, events.of_prune("volume", size))
    return Removed(names, size)
