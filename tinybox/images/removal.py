"""Remove an image, or one of its names, and what no image and no container needs any more (rmi, prune, sweeps).

A layer stays while an image or the build cache lists it, or a running command has written down that it wants it; a blob
and a manifest likewise. All this happens under the store's lock. While an image is removed, a directory in ROOT/tmp has
its id: the next command completes a removal that was killed.
"""

from __future__ import annotations

import contextlib
import os

from tinybox.errors import ImageError, Reported
from tinybox.images import build_cache, content, image_events
from tinybox.images.reference import parse
from tinybox.images.store import ANNOTATION, LAYERED, MOUNTED, Store, entries, layer_key, layer_record
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

REMOVAL = "removal"  # a directory in ROOT/tmp while `rmi` removes an image


def remove(store: Store, text: str, *, force: bool = False) -> tuple[list[str], list[str]]:
    """Remove the name *text*, and with an image's last name also its files, as docker-rmi(1) does.

    The lists have the names, and the ids of images, that were removed. ImageError: a container uses the image, or
    *text* is an id, and the image has several names.

    With *force*, an id stands for all names of its image, and a name is removed even if a container uses the image:
    the image then stays without a name, because the container needs its layers, running or not.
    """
    with store.locked():
        image_id, reference = store.resolve(text)
        names = [name for name, owner in store.names() if owner == image_id]
        gone = [reference, *_orphans(reference, names)] if reference else []
        if gone and (set(names) - set(gone) or (force and containers_using(store, image_id))):
            for name in gone:
                os.unlink(store.link(parse(name)))
            image_events.emit(store.root, "untag", image_id)
            return gone, []
        tags = [name for name in names if "@" not in name]
        _check_unused(store, text, image_id, [] if force or reference else tags)
        mark = f"{store.root}/tmp/{REMOVAL}/{image_id}"
        os.makedirs(mark, 0o700, exist_ok=True)
        for name in names:
            os.unlink(store.link(parse(name)))
        if tags:
            image_events.emit(store.root, "untag", image_id)
        image_events.emit(store.root, "delete", image_id)
        os.unlink(f"{store.root}/images/{image_id}")
        collect(store)
        os.rmdir(mark)
        os.rmdir(os.path.dirname(mark))
    return names, [image_id]


def collect(store: Store) -> None:
    """Remove the layers that no image lists, and the blobs and manifests of no image; the caller holds the lock.

    If the record of an image is damaged, which `Store.images` reports, everything is kept: its layers are not known.
    """
    try:
        found = [store.record(image_id, shape=LAYERED)["rootfs"]["diff_ids"] for image_id in store.ids()]
    except ImageError:
        return
    used = {layer_key(diff_id) for diff_ids in found for diff_id in diff_ids}
    used.update(map(layer_key, content.wanted(store.root)))
    used.update(layer_key(entry.diff_id) for entry in build_cache.layers(store.root))
    there = set(os.listdir(f"{store.root}/layers"))
    for key in there - used:
        gone = f"{store.root}/tmp/gone-{key}"
        with Reported(f"layer {key}"):
            files.remove_tree(gone)  # left by a command that was killed here
            os.rename(f"{store.root}/layers/{key}", gone)  # move it away first: the removal may be killed
            files.remove_tree(gone)
    with Reported("blobs"):
        blobs = [layer_record(f"{store.root}/layers/{key}").get("blob", "") for key in there & used]
        content.collect(store.root, store.ids(), blobs)


@contextlib.contextmanager
def collected(store: Store, work: str) -> Iterator[None]:
    """After an error in the body collect what it wanted: it may have left layers of an image that does not appear.

    The workspace *work* is still there: if this process is killed now, the next command sweeps, and collects.
    """
    try:
        yield
    except BaseException:
        with store.locked():
            files.discard(f"{work}/{content.WANTED}")
            collect(store)
        raise


def containers_using(store: Store, image_id: str) -> list[str]:
    """Return the ids of the containers that have *image_id* as their image or mounted, by their config.json."""
    users = []
    for container in entries(f"{store.root}/containers"):
        try:
            config = json.read_own(f"{store.root}/containers/{container}/config.json", {"annotations": {}})
        except ValueError:
            continue  # it is damaged: it cannot be started
        annotations = (config or {}).get("annotations", {})
        if annotations.get(ANNOTATION) == image_id or f"{MOUNTED}{image_id}" in annotations:
            users.append(container)
    return users


def _check_unused(store: Store, text: str, image_id: str, names: list[str]) -> None:
    if len(names) > 1:
        raise ImageError(
            f"image {text}", f"it has several names: {', '.join(names)}", "remove it name by name, or with --force"
        )
    users = [user[:12] for user in containers_using(store, image_id)]
    if users:
        raise ImageError(f"image {text}", f"used by {', '.join(users)}", f"first tinybox rm {' '.join(users)}")


def _orphans(tag: str, names: list[str]) -> list[str]:
    """Return the names by digest that go with *tag*: those of its repository, if it is the last tag there."""
    repository = parse(tag).name
    there = [name for name in names if parse(name).name == repository and name != tag]
    return [] if any("@" not in name for name in there) else there
