"""Register a new container: its id, its name and its directory in the store, as ``docker create`` does.

If this process is killed meanwhile, the run directory of the container is left, and the next command removes the rest;
see sweeping.py.
"""

from __future__ import annotations

import os

from tinybox.container import lifecycle
from tinybox.container.records import naming, spec, state
from tinybox.container.storage.etc import MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.lifecycle import Container


def register(container: Container, *, passing: bool = False) -> None:
    """Reserve a container's id, name and directory in the store; its state is then ``new``, as after ``docker create``.

    A *passing* one runs in the foreground and is removed at its end (``--rm``): the store does not get its state.
    """
    container.record = state.lock(container.paths, container.id, new=True)
    container.record.passing = passing
    if not passing:  # a passing container has no state in the store, so _reap() removes it in any case
        container.record.bind()
    try:
        naming.reserve(container.paths, container.annotations[spec.NAME], container.id)
        if spec.ID_MAPS in container.annotations:
            from tinybox.container.storage import mapped_files

            mapped_files.settle(container.paths, container.id, container.config)
        elif spec.has_other_users(container.config):
            from tinybox.container.records import id_ranges

            id_ranges.acquire(container.paths, container.id, container.config)
        _make_bundle(container)
    except BaseException:
        container.handles.close()
        lifecycle.discard(container)
        raise
    container.emit("create")


def _mark(container: Container) -> None:
    """Make the empty file /.dockerenv, by which programs notice that they are in a container, if no layer has it."""
    layers = container.annotations.get(spec.LAYERS, "").split(":")
    if not any(os.path.lexists(layer + MARK) for layer in layers):
        own = container.config["root"]["path"] if spec.COPIED in container.annotations else "upper"
        os.close(os.open(f"{container.bundle}/{own}{MARK}", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o755))


def _make_bundle(container: Container) -> None:
    """Make the bundle on disk: config.json, state.json, an empty writable layer, and a mount point for the root."""
    if spec.mounts_of_volumes(container.config, container.paths):
        from tinybox.container.storage import volumes

        volumes.make(container.paths, container.config, container.paths.run_directory(container.id))
    os.mkdir(container.bundle, 0o711)
    for folder in ("upper", "work", container.config["root"]["path"]):
        os.mkdir(os.path.join(container.bundle, folder), 0o755)
    if spec.COPIED in container.annotations:
        from tinybox.isolation import copied_layers

        layers = container.annotations[spec.LAYERS].split(":")
        copied_layers.copy(layers, os.path.join(container.bundle, container.config["root"]["path"]))
    _mark(container)
    if spec.ID_MAPS in container.annotations:
        from tinybox.container.storage import mapped_files

        mapped_files.give_bundle(container.bundle, container.config)
    spec.save(container.config, container.bundle)
    container.record.write(
        ociVersion=spec.OCI_VERSION,
        id=container.id,
        status=state.NEW,
        bundle=container.bundle,
        annotations=container.annotations,
        command=container.config["process"]["args"],
        terminal=bool(container.config["process"].get("terminal")),
        createdAt=state.now(),
    )
