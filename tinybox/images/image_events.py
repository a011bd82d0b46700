"""Events of images (pull, push, tag, untag, delete, import, load, save) and of builds; see docker-events(1)."""

from __future__ import annotations

import os

from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import event_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.images.reference import Reference

    Record = dict[str, Any]

_SHAPE: Record = {"config": {"Labels": {"*": str}}}


def emit(root: str, action: str, image_id: str, name: str = "") -> None:
    """Append the event *action* of an image of the store *root*, with its labels; *name* is an attribute, or its id."""
    identity = f"sha256:{image_id}"
    _append(root, action, identity, {**_labels(root, image_id), "name": name or identity})


def emit_of_name(root: str, action: str, reference: Reference, image_id: str) -> None:
    """Append the event pull or push of the name *reference*, which stands for *image_id*."""
    _append(root, action, str(reference), {**_labels(root, image_id), "name": reference.name})


def emit_of_builds(root: str, freed: int) -> None:
    """Append the event that `prune` has freed so many bytes of the build cache."""
    event_log.append(_path(root), event_log.event("builder", "prune", "", {"reclaimed": str(freed)}))


def _append(root: str, action: str, identity: str, attributes: dict[str, str]) -> None:
    event_log.append(_path(root), event_log.event("image", action, identity, attributes))


def _path(root: str) -> str:
    return os.path.join(root, event_log.NAME)


def _labels(root: str, image_id: str) -> dict[str, str]:
    try:
        record = json.read_own(f"{root}/images/{image_id}", _SHAPE, with_nulls=True) or {}
    except (OSError, ValueError):  # another command reports what is wrong with it
        return {}
    return (record.get("config") or {}).get("Labels") or {}
