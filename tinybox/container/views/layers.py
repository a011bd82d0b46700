"""layers: the stack of an image's layers, and for a container also its own writable one, with the cost of copy-ups.

The report is read from the directories on disk. A container may run meanwhile: its upper directory is then a picture of
one moment, and `pause` keeps that still.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from tinybox.container.files import mount_placeholders
from tinybox.container.records import naming, spec
from tinybox.errors import ImageError, StateError
from tinybox.images import layer_report
from tinybox.images.layer_report import CONTAINER, Source
from tinybox.images.layer_versions import versions
from tinybox.images.store import NO_SUCH, Store
from tinybox.isolation import overlay
from tinybox.isolation.merged import Merged
from tinybox.linux.filesystem.trees import tree_size

if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.records.paths import Paths
    from tinybox.images.layer_report import Layer
    from tinybox.images.layer_versions import Version

KINDS = ("container", "image")
TRIES = 5  # of a walk through the files of a running container


class Stack(NamedTuple):
    """The layers of one thing: its *kind* (container or image), *name* and *id*, and the *sources*, bottom first."""

    kind: str
    name: str
    id: str
    sources: list[Source]


def find(paths: Paths, word: str, kind: str = "") -> Stack:
    """Return the stack of the container *word*, or else of the image *word*; *kind* allows only one of the two.

    StateError: there is neither.
    """
    if kind != "image":
        try:
            return _of_container(paths, word, naming.find(paths, word))
        except StateError as error:
            if kind or naming.NO_SUCH not in error.cause:
                raise
    store = Store(paths.root)
    try:
        image = store.image(word)
    except ImageError as error:
        if kind or NO_SUCH not in error.cause:
            raise
        raise StateError(f"object {word}", "there is no such container or image", "see ps -a, images") from error
    return Stack("image", image.reference or image.id[:12], image.id, layer_report.sources_of(store, image.id))


def layers_of(paths: Paths, stack: Stack) -> list[Layer]:
    """Compare the layers of *stack*, the bottom one first; the image's are kept from removal meanwhile.

    StateError: a process of the container moves directories all the time, so that no walk comes to its end.
    """
    with Store(paths.root).locked(shared=True):
        for _ in range(TRIES):
            try:
                return layer_report.layers_of(stack.sources)
            except OSError as error:
                if error.errno != errno.ESTALE:
                    raise
    cause = "a directory was moved while it was read"
    raise StateError(f"container {stack.name}", cause, f"tinybox pause {stack.name} keeps it still")


def which(stack: Stack, path: str) -> tuple[str, list[Version]]:
    """Return the path that *path* means in the stack, and each layer's version of the file, the top one first.

    Links in the directories of the path are followed, as in a container; a link at its end is shown itself. StateError:
    no layer has the file, or the links in the path form a loop.
    """
    folder, _, name = os.fsencode(path).rstrip(b"/").rpartition(b"/")
    place = b""
    if name:
        mark = stack.sources[-1].mark if stack.kind == CONTAINER else ""
        try:
            with Merged([source.tree for source in stack.sources], mark) as merged:
                above = merged.resolve(folder)
        except (FileNotFoundError, NotADirectoryError):
            above = folder.strip(b"/")  # the directory may be hidden, and lower layers may have the file
        except OSError as error:
            raise StateError(path, f"{error.strerror}", "give the path of a file") from error
        place = above + b"/" + name if above else name
    found = versions(stack.sources, place)
    if not found:
        raise StateError(path, "no layer has such a file", f"tinybox layers --files {stack.name} lists the files")
    return f"/{os.fsdecode(place)}", found


def as_dict(stack: Stack, layers: list[Layer]) -> dict[str, Any]:
    """Return everything about the stack, for programs; the top layer is first, sizes are in bytes."""
    return {
        "Type": stack.kind,
        "Name": stack.name,
        "Id": stack.id,
        "Size": sum(layer.size for layer in layers),
        "Covered": sum(layer.lost for layer in layers),
        "CopiedUp": sum(change.former for layer in layers for change in layer.copied()),
        "Layers": [layer_report.as_dict(layer) for layer in reversed(layers)],
    }


def _of_container(paths: Paths, word: str, container: str) -> Stack:
    bundle = paths.bundle(container)
    config = spec.load(bundle)
    annotations = config.get("annotations", {})
    if not annotations.get(spec.LAYERS):
        raise StateError(f"container {word}", "it has no layers", "its root file system is a directory")
    if spec.COPIED in annotations:
        cause = "its root is a copy of the image's layers, with none above them"
        raise StateError(f"container {word}", cause, f"tinybox diff {word}")
    below = annotations[spec.LAYERS].split(":")
    mark = overlay.opaque_mark(userns=spec.has_other_users(config))
    upper = f"{bundle}/upper"
    sources = layer_report.sources_of(Store(paths.root), annotations[spec.IMAGE])
    own = mount_placeholders.made(upper, below, mark)
    step = {"created_by": " ".join(config["process"]["args"])}
    sources.append(Source(upper, CONTAINER, step, tree_size(upper), 0, mark, own, is_upper=True))
    name = next(iter(naming.of(paths, container)), container[:12])
    return Stack("container", name, container, sources)
