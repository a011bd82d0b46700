"""prune: remove containers at rest, unused images and volumes, and what killed commands have left in the store.

Each removal first takes the lock of the container or of the store, so nothing is removed that is in use.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from tinybox.container import lifecycle
from tinybox.container.records import events, naming, state
from tinybox.container.storage import volumes
from tinybox.errors import ImageError, Reported, StateError
from tinybox.images import intake, removal
from tinybox.images.store import Store
from tinybox.linux import files
from tinybox.linux.trees import tree_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.records.paths import Paths
    from tinybox.container.storage.volumes import Volume


class Removed(NamedTuple):
    """What a prune has removed: the names or ids to print, and the number of bytes that were freed."""

    names: list[str]
    size: int


def containers(paths: Paths) -> Removed:
    """Remove every container at rest, and what is left of interrupted creations; see docker-container-prune(1)."""
    names, size = [], 0
    for container in paths.stored():
        try:
            record = state.lock(paths, container)
        except StateError:
            continue  # the container runs, or another command uses it
        try:
            if os.path.isdir(paths.bundle(container)):
                with Reported(f"container {container[:12]}"):
                    freed = tree_size(paths.bundle(container))
                    lifecycle.delete(paths, container)
                    events.emit(paths, container, "destroy", record.state.get("annotations", {}))
                    names.append(container)
                    size += freed
        finally:
            record.close()
    _release_names(paths)
    return Removed(names, size)


def _release_names(paths: Paths) -> None:
    """Release the names of containers that have neither a bundle nor a run directory any more."""
    for container in naming.every(paths):
        if not os.path.isdir(paths.bundle(container)) and not os.path.isdir(paths.run_directory(container)):
            naming.release(paths, container)


def images(paths: Paths, *, all_of_them: bool) -> Removed:
    """Remove images that no container uses: without a name, or *all_of_them*; and unfinished imports in the store."""
    store = Store(paths.root)
    lines: list[str] = []
    with store.locked():
        intake.sweep(store)
    before = store.layers()
    for image in store.images():
        if (image.reference and not all_of_them) or removal.containers_using(store, image.id):
            continue
        try:
            untagged, deleted = removal.remove(store, image.reference or image.id)
        except ImageError:
            continue  # a container uses it since then, or another command has removed it
        lines += [f"untagged: {name}" for name in untagged]
        lines += [f"deleted: sha256:{image_id}" for image_id in deleted]
    after = store.layers()
    return Removed(lines, sum(size for layer, size in before.items() if layer not in after))


def volumes_of(paths: Paths, is_wanted: Callable[[Volume], bool]) -> Removed:
    """Remove the volumes that no container uses and for which *is_wanted* returns true."""
    names, size = [], 0
    with Store(paths.root).locked():
        for volume in volumes.unused(paths, is_wanted):
            with Reported(f"volume {volume.name}"):
                freed = volume.size()
                files.remove_tree(volume.folder)
                names.append(volume.name)
                size += freed
    return Removed(names, size)
