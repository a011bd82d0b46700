"""commit: make an image of a container: its image's layers, and its upper directory as one more layer.

The upper directory is packed as a layer's archive, which is then checked and stored like any imported archive; see
images/archives/layers.py.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from tinybox.container import freezing
from tinybox.container.config import user_option
from tinybox.container.files import change_instructions, mount_placeholders, upper, view
from tinybox.container.records import events, naming, spec, state
from tinybox.errors import HostError, StateError, report
from tinybox.images import intake
from tinybox.images.archives import layers
from tinybox.images.archives.metadata import XATTR
from tinybox.images.reference import parse
from tinybox.images.store import Store
from tinybox.isolation import idmap, overlay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import IdMaps, Spec

    Told = Callable[[str], None]


class CommitOptions:
    """The new image's *name* (may be empty), *author*, *message* and Dockerfile *changes*."""

    def __init__(self, name: str = "", author: str = "", message: str = "", changes: Sequence[str] = ()) -> None:
        self.reference = parse(name) if name else None
        self.author, self.message, self.changes = author, message, changes


def commit(paths: Paths, word: str, options: CommitOptions, *, pause: bool, told: Told) -> str:
    """Make an image of the container *word* and return the image's id; see docker-commit(1).

    With *pause* a running container is frozen during this call. *told* is called with the name of each skipped file.
    """
    container = naming.find(paths, word)
    config = spec.load(paths.bundle(container))
    store = Store(paths.root)
    parent = store.record(config["annotations"][spec.IMAGE])
    parent["config"] = change_instructions.changed(_config(parent.get("config") or {}, config), options.changes)
    with intake.workspace(store) as work:
        packed = f"{work.path}/upper.tar"
        below = config["annotations"].get(spec.LAYERS, "").split(":")
        with held(paths, container, pause=pause), upper.of(paths, container, config) as changed:
            mark = overlay.opaque_mark(userns=spec.has_other_users(config))
            made = mount_placeholders.made(changed, below, mark)
            owner = _owner(spec.id_maps(config))
            is_changed = layers.pack(changed, packed, f"{XATTR}{mark}", told, without=made, owner=owner)
        limit = os.path.getsize(packed)  # holes are zeros in it, which take no space in the store
        diff_id = intake.add_layer(work, packed, limit=limit).diff_id if is_changed else ""
        document = _document(parent, options, config["process"]["args"], diff_id)
        image_id = intake.put(store, work, document, [options.reference] if options.reference else [])
    events.emit(paths, container, "commit", imageID=f"sha256:{image_id}", comment=options.message)
    return image_id


def _owner(maps: IdMaps) -> Callable[[int, int], tuple[int, int]] | None:
    """Return how owners on disk become those inside of a box with these *maps*; None: they are the same."""
    return (lambda uid, gid: (idmap.inner(maps["uids"], uid), idmap.inner(maps["gids"], gid))) if maps else None


def _config(image: dict[str, Any], config: Spec) -> dict[str, Any]:
    """Return the new image's config, with the image-spec's keys: the container's settings, not those of its *image*.

    Settings that a container's config.json does not record, such as volumes and the health check, stay the image's.
    """
    process, annotations = config["process"], config["annotations"]
    first, user = int(annotations.get(spec.ENTRYPOINT, 0)), process["user"]["uid"]
    layers_below = annotations.get(spec.LAYERS, "").split(":")
    ours = {f"HOSTNAME={config.get('hostname', '')}", "TERM=xterm", f"HOME={user_option.home(user, layers_below)}"}
    own: dict[str, Any] = {
        "User": annotations.get(spec.USER) or image.get("User"),
        "Env": [line for line in process["env"] if line not in ours or line in (image.get("Env") or [])],
        "Entrypoint": process["args"][:first],
        "Cmd": process["args"][first:],
        "WorkingDir": process["cwd"] if process["cwd"] != "/" else image.get("WorkingDir") and "/",
        "Labels": spec.labels(annotations),
        "ExposedPorts": {port: {} for port in json.loads(annotations.get(spec.EXPOSED) or "[]")},
        "StopSignal": annotations[spec.STOP_SIGNAL],
    }
    if own["StopSignal"] == "SIGTERM":
        own["StopSignal"] = image.get("StopSignal") and "SIGTERM"
    return {key: value for key, value in {**image, **own}.items() if value}


@contextmanager
def frozen(paths: Paths, container: str, reason: str) -> Iterator[None]:
    """Keep a running container frozen while the caller works on it; a container that is paused already stays paused.

    StateError at the end: another command has thawed or ended it meanwhile, so the caller may have read some files
    before a change and others after it.
    """
    with freezing.Freezer(paths, container) as freezer:
        freezes = not freezer.is_frozen()
        try:
            if freezes:
                freezer.freeze(reason)
            yield
            if not freezer.is_frozen():
                cause = f"another command has thawed or ended it during the {reason}"
                raise StateError(f"container {container[:12]}", cause, "try again")
        finally:
            if freezes:
                freezer.thaw()


@contextmanager
def held(paths: Paths, container: str, *, pause: bool) -> Iterator[None]:
    """Keep a container unchanged: freeze a running one if *pause* is true, hold the lock of one that does not run."""
    if view.seen(paths, container).get("status") != state.RUNNING:
        record = view.lock(paths, container)
        try:
            yield
        finally:
            record.close()
        return
    if pause and not freezing.group(paths, container).hierarchies.roots():
        report(HostError(f"container {container[:12]}", "goes on during the commit: this user has no freezer"))
        pause = False
    with frozen(paths, container, "commit") if pause else nullcontext():
        yield


def _document(parent: dict[str, Any], options: CommitOptions, command: list[str], diff_id: str) -> dict[str, Any]:
    """Return the new image's config document (OCI image-spec): the parent's, with one more layer and history entry."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    step = {"created": now, "created_by": " ".join(command), "author": options.author, "comment": options.message}
    history: dict[str, Any] = {key: value for key, value in step.items() if value}
    document = {**parent, "created": now, "history": [*parent.get("history", []), history]}
    if options.author:
        document["author"] = options.author
    if diff_id:
        document["rootfs"] = {**parent["rootfs"], "diff_ids": [*parent["rootfs"]["diff_ids"], diff_id]}
    else:
        history["empty_layer"] = True
    return document
