"""system df: how much space images, containers, volumes and the build cache take, and how much of it prune would free.

A layer that several images share is counted once, and so is a layer that the registry's blob also holds, packed. Sizes
are those of the files, in bytes; see st_size in stat(3type).
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from tinybox.container import pruning
from tinybox.container.records import spec
from tinybox.container.storage import volumes
from tinybox.container.views import image_list, listing
from tinybox.errors import ImageError, report
from tinybox.images import build_cache, content
from tinybox.images.store import Store, layer_key, layer_record
from tinybox.linux.filesystem.trees import tree_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.container.records.paths import Paths
    from tinybox.container.storage.volumes import Volume
    from tinybox.container.views.image_list import ListedImage
    from tinybox.container.views.listing import Listed
    from tinybox.images.store import Image

ACTIVE = ("running", "paused", "restarting")  # as in docker: other containers can be removed by prune


class Total(NamedTuple):
    """One line: how many things of this *kind* there are, how many are in use, their *size*, and what can be freed."""

    kind: str
    total: int
    active: int
    size: int
    reclaimable: int


class ImageUse(NamedTuple):
    """An image with one of its names, the bytes of its layers that it *shared* with others, and its *containers*."""

    listed: ListedImage
    shared: int
    unique: int
    containers: int


class ContainerUse(NamedTuple):
    """A container, and the bytes of its own files: what it has changed, its log, its records."""

    listed: Listed
    size: int


class VolumeUse(NamedTuple):
    """A volume, how many containers have it, and its *size* in bytes."""

    volume: Volume
    links: int
    size: int


class CacheUse(NamedTuple):
    """An entry of the build cache: its *id*, its *kind*, its *size* in bytes, and if an image has the layer, too.

    *created* is when it was made, in ns since 1970.
    """

    id: str
    kind: str
    size: int
    created: int
    is_shared: bool


def sizes_of(listed: Listed) -> tuple[int, int]:
    """Return the bytes of the files that a container has changed, and those together with the files of its image."""
    own = tree_size(f"{listed.paths.bundle(listed.id)}/{'rootfs' if spec.COPIED in listed.annotations else 'upper'}")
    try:
        below = Store(listed.paths.root).image(listed.image_id).size if listed.image_id else 0
    except ImageError:  # the name of the image is gone; its layers stay as long as the container
        below = 0
    return own, own + below


class DiskUsage:
    """The space that everything in a store takes at one moment."""

    def __init__(self, paths: Paths) -> None:
        self._store = Store(paths.root)
        found = listing.containers(paths, at_rest=True)
        self.containers = [ContainerUse(one, tree_size(paths.bundle(one.id))) for one in found]
        users = volumes.users(paths, lambda _, error: report(error))
        self.volumes = [
            VolumeUse(each, len(set(users.get(each.path, ()))), each.size()) for each in volumes.every(paths)
        ]
        self._images = {image.id: image for image in self._store.images(report)}
        self._sizes = pruning.sizes(self._store)
        self.cache = list(self._cached())

    def totals(self) -> list[Total]:
        """Return docker's four lines."""
        active = [use for use in self.containers if use.listed.word in ACTIVE]
        at_rest = sum(use.size for use in self.containers if use not in active)
        of_volumes = [sum(use.size for use in self.volumes if use.links or not free) for free in (False, True)]
        cached = sum(use.size for use in self.cache if not use.is_shared)
        return [
            self._total_of_images(),
            Total("Containers", len(self.containers), len(active), sum(use.size for use in self.containers), at_rest),
            Total("Local Volumes", len(self.volumes), sum(bool(use.links) for use in self.volumes), of_volumes[0],
                  of_volumes[0] - of_volumes[1]),
            Total("Build Cache", len(self.cache), 0, cached, cached),
        ]  # fmt: skip

    def images(self) -> list[ImageUse]:
        """Return a row for each name of each image, the newest image first."""
        sharing = Counter(key for image in self._images.values() for key in _keys(image))
        used = self._used()
        found = []
        for listed in image_list.rows(self._store, lambda _: None):
            image = listed.image
            sizes = dict(zip(map(layer_key, image.diff_ids), image.sizes(), strict=True))
            shared = sum(size for key, size in sizes.items() if sharing[key] > 1)
            found.append(ImageUse(listed, shared, sum(sizes.values()) - shared, used[image.id]))
        return found

    def _used(self) -> Counter[str]:
        """Return how many containers each image has, by the id of the image."""
        return Counter(use.listed.image_id for use in self.containers)

    def _total_of_images(self) -> Total:
        used = [image for image in self._images.values() if image.id in self._used()]
        cached = {use.id for use in self.cache if use.kind == "layer" and not use.is_shared}
        size = sum(size for key, size in self._sizes.items() if key not in cached)
        needed = self._needed(used)
        kept = sum(size for key, size in self._sizes.items() if key in needed)
        return Total("Images", len(self._images), len(used), size, size - kept)

    def _needed(self, images: Iterable[Image]) -> set[str]:
        """Return the short names of the layers of *images*, and the digests, in hex, of their blobs and manifests."""
        ids = {image.id for image in images}
        needed = {key for image in self._images.values() if image.id in ids for key in _keys(image)}
        for key in list(needed):
            needed.add(layer_record(f"{self._store.root}/layers/{key}").get("blob", "").removeprefix("sha256:"))
        for manifest in content.manifests(self._store.root):
            if manifest.image_id in ids:
                needed |= {manifest.digest, *(blob.removeprefix("sha256:") for blob in manifest.blobs)}
        return needed

    def _cached(self) -> Iterable[CacheUse]:
        of_images = {key for image in self._images.values() for key in _keys(image)}
        made: dict[str, int] = {}
        for entry in build_cache.layers(self._store.root):
            key, created = layer_key(entry.diff_id), image_list.made_at(entry.created)
            made[key] = min(created, made.get(key, created))
        for key, created in sorted(made.items()):
            yield CacheUse(key, "layer", self._sizes.get(key, 0), created, key in of_images)
        for folder in sorted(build_cache.mounts(self._store.root)):
            created = os.stat(folder).st_mtime_ns  # its only directory was made with it
            yield CacheUse(os.path.basename(folder)[:16], "cache mount", tree_size(folder), created, is_shared=False)


def _keys(image: Image) -> set[str]:
    return set(map(layer_key, image.diff_ids))
