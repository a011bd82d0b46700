"""The steps of a private user namespace (--userns private): id maps, and the layers with the owners that it needs.

Root of a new user namespace has no rights on the host and cannot open the layers of the image. So the parent passes
them to the child as idmapped mounts.
"""

from __future__ import annotations

import os

from tinybox.container.planning.task import STAGING, layers_of
from tinybox.container.process.plan import Step
from tinybox.container.records import spec
from tinybox.isolation import idmap, mounts, overlay, rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles
    from tinybox.isolation.idmap import IDMapping


def id_maps(task: Task) -> Step:
    """Plan the parent's step that writes the id maps of the child's new user namespace."""
    uids, gids = task.linux.get("uidMappings", []), task.linux.get("gidMappings", [])
    says = f"Map the user and group ids of the box to ids of the {_where(task)}"
    return Step("id-maps", says, "user_namespaces(7)", _write_maps, task.handles, uids, gids)


def _where(task: Task) -> str:
    """Return where the ids outside are, with the maps if they are known already, as in uid_map, user_namespaces(7)."""
    maps = spec.id_maps(task.config)
    if not maps:
        return "host"
    if "auto" in maps:
        return f"user's home: {maps['auto']} that no other such box has"
    groups = f"; groups: {_rows(maps['gids'])}" if maps["uids"] != maps["gids"] else ""
    return f"user's home: {_rows(maps['uids'])}{groups}"


def _rows(mappings: list[IDMapping]) -> str:
    return ", ".join(" ".join(str(number) for number in mapping.values()) for mapping in mappings)


def _write_maps(handles: Handles, uids: list[IDMapping], gids: list[IDMapping]) -> None:
    idmap.write_maps(handles.pid, uids, gids)


def become_root() -> Step:
    """Plan how the child becomes root of the user namespace that it has made or joined."""
    says = "Become root of the new user namespace"
    return Step("become-root", says, "user_namespaces(7)", idmap.become_root)


def copy_layers(task: Task) -> Step:
    """Plan the parent's copies of the layers, before clone3(2)."""
    if spec.ID_MAPS in task.annotations:
        says = "Copy the mounts of the layers that have the owners for the user namespace"
        return Step("mapped-layers", says, "open_tree(2)", copy_mapped, task.handles, task)
    says = "Copy the layers as mounts with the owners that the new user namespace needs"
    maps = (task.linux.get("uidMappings", []), task.linux.get("gidMappings", []))
    return Step("idmap-layers", says, "mount_setattr(2)", copy_idmapped, task.handles, _staged(task), *maps)


def place_layers(task: Task) -> Step:
    """Plan how the child places these copies, before it mounts its overlay."""
    mapped = "mapped" if spec.ID_MAPS in task.annotations else "idmapped"
    says = f"Mount the {mapped} layers in a new tmpfs over {STAGING}"
    return Step("place-layers", says, "move_mount(2)", place_idmapped, task.handles, list(_staged(task)))


def _staged(task: Task) -> dict[str, str]:
    """Return the directories below STAGING: from a name, which is short for overlayfs's options, to the source path."""
    return {str(number): layer for number, layer in enumerate(layers_of(task))} | {"bundle": task.bundle}


def copy_mapped(handles: Handles, task: Task) -> None:
    """Copy the mounts of layers that were copied for this map, which the child will place; see open_tree(2).

    Which layers these are is known only now: they were chosen when the box was registered; storage/mapped_files.py.
    """
    layers = overlay.stack([layer for layer in task.annotations[spec.LAYERS].split(":") if layer])
    staged = {str(number): layer for number, layer in enumerate(layers)} | {"bundle": task.bundle}
    for name, path in staged.items():
        handles.trees[name] = mounts.copy_tree(path, mounts.Options(["bind"]))


class Namespace:
    """``with`` gives an fd of a user namespace with the box's id maps: the one that it joins, or a new one."""

    def __init__(self, handles: Handles, uids: list[IDMapping], gids: list[IDMapping]) -> None:
        self._joined, self._maps = handles.namespace_fds.get("user"), (uids, gids)

    def __enter__(self) -> int:
        self._fd = idmap.user_namespace(*self._maps) if self._joined is None else os.dup(self._joined)
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def copy_idmapped(handles: Handles, staged: dict[str, str], uids: list[IDMapping], gids: list[IDMapping]) -> None:
    """Copy the *staged* directories as idmapped, detached mounts, which the child will place; see mount_setattr(2)."""
    with Namespace(handles, uids, gids) as userns:
        for name, path in staged.items():
            handles.trees[name] = mounts.copy_tree(path, mounts.Options(["bind"]), userns)


def place_idmapped(handles: Handles, names: list[str]) -> None:
    """Mount a small tmpfs over STAGING, and place each idmapped copy on a directory there; see move_mount(2).

    This happens in the child's own mount namespace, so the host's /run does not change.
    """
    rootfs.place_over(mounts.new_filesystem(b"tmpfs", b"tmpfs", mounts.Options(["mode=700", "size=64k"])), STAGING)
    for name in names:
        os.mkdir(os.path.join(STAGING, name), 0o700)
        rootfs.place_over(handles.trees[name], os.path.join(STAGING, name))
