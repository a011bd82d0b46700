"""A container becomes an image: its upper directory is one more layer on those that it was made of.

It is written as a layer's archive, and comes in by the same door as every archive; see images/layers.py.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from tinybox.container import freezing
from tinybox.container.config import user_option
from tinybox.container.files import change_instructions as changes
from tinybox.container.files import mount_placeholders, view
from tinybox.container.records import events, naming, spec, state
from tinybox.images import intake, layers
from tinybox.images.metadata import XATTR
from tinybox.images.reference import parse
from tinybox.images.store import Store
from tinybox.isolation import overlay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec import Spec

    Told = Callable[[str], None]


class CommitOptions:
    """What a new image shall be called and say: *name* (or nothing), *author*, *message*, Dockerfile *changes*."""

    def __init__(self, name: str = "", author: str = "", message: str = "", changes: Sequence[str] = ()) -> None:
        self.reference = parse(name) if name else None
        self.author, self.message, self.changes = author, message, changes


def commit(paths: Paths, word: str, wish: CommitOptions, *, pause: bool, told: Told) -> str:
    """Make an image of the container *word* and return its id; see docker-commit(1)."""
    container = naming.find(paths, word)
    config = spec.load(paths.bundle(container))
    store = Store(paths.root)
    parent = store.record(config["annotations"][spec.IMAGE])
    parent["config"] = changes.changed(_config(parent.get("config") or {}, config), wish.changes)
    with intake.workspace(store) as work:
        packed = f"{work.path}/upper.tar"
        upper, below = f"{paths.bundle(container)}/upper", config["annotations"].get(spec.LAYERS, "").split(":")
        with held(paths, container, pause=pause):
            made = mount_placeholders.made(upper, below)
            mark = f"{XATTR}{overlay.opaque_mark(userns=spec.has_other_users(config))}"
            is_changed = layers.pack(upper, packed, mark, told, without=made)
        diff_id = intake.add_layer(work, packed).diff_id if is_changed else ""
        image_id = intake.put(store, work, _document(parent, wish, config["process"]["args"], diff_id), wish.reference)
    events.emit(paths, container, "commit", imageID=f"sha256:{image_id}", comment=wish.message)
    return image_id


def _config(image: dict[str, Any], config: Spec) -> dict[str, Any]:
    """Return how the new image runs, in the image-spec's words: as the container does, whatever its *image* said.

    What is its image's and cannot be told of a container, such as volumes and the health check, stays the image's.
    """
    process, annotations = config["process"], config["annotations"]
    first, user = int(annotations.get(spec.ENTRYPOINT, 0)), process["user"]["uid"]
    layers_below = annotations.get(spec.LAYERS, "").split(":")
    ours = {f"HOSTNAME={config.get('hostname', '')}", "TERM=xterm", f"HOME={user_option.home(user, layers_below)}"}
    told: dict[str, Any] = {
        "User": annotations.get(spec.USER) or image.get("User"),
        "Env": [line for line in process["env"] if line not in ours or line in (image.get("Env") or [])],
        "Entrypoint": process["args"][:first],
        "Cmd": process["args"][first:],
        "WorkingDir": process["cwd"] if process["cwd"] != "/" else image.get("WorkingDir") and "/",
        "Labels": spec.labels(annotations),
        "ExposedPorts": {port: {} for port in json.loads(annotations.get(spec.EXPOSED) or "[]")},
        "StopSignal": annotations[spec.STOP_SIGNAL],
    }
    if told["StopSignal"] == "SIGTERM":
        told["StopSignal"] = image.get("StopSignal") and "SIGTERM"
    return {key: value for key, value in {**image, **told}.items() if value}


@contextmanager
def held(paths: Paths, container: str, *, pause: bool) -> Iterator[None]:
    """Keep a container as it is: one that runs is frozen, if *pause* says so; one at rest is ours meanwhile."""
    if state.read(paths, container)["status"] != state.RUNNING:
        record = view.lock(paths, container)
        try:
            yield
        finally:
            record.close()
        return
    with freezing.frozen(paths, container, "commit") if pause else nullcontext():
        yield


def _document(parent: dict[str, Any], wish: CommitOptions, command: list[str], diff_id: str) -> dict[str, Any]:
    """Describe the new image as the OCI image-spec does: the parent's record, one layer more, and how it came to be."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    step = {"created": now, "created_by": " ".join(command), "author": wish.author, "comment": wish.message}
    history: dict[str, Any] = {key: value for key, value in step.items() if value}
    document = {**parent, "created": now, "history": [*parent.get("history", []), history]}
    if wish.author:
        document["author"] = wish.author
    if diff_id:
        document["rootfs"] = {**parent["rootfs"], "diff_ids": [*parent["rootfs"]["diff_ids"], diff_id]}
    else:
        history["empty_layer"] = True
    return document
