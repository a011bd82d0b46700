"""Volumes: directories of the store that outlive the containers that use them.

A container sees ROOT/volumes/NAME/_data; ROOT/volumes/NAME/volume.json has the labels and the time of creation. Into an
empty volume the image's files at its mount point are copied, whole or not at all, with owners and modes, as in docker.
"""

from __future__ import annotations

import os
import time

from tinybox.container.records import events, naming, spec
from tinybox.container.storage import mounted_volumes
from tinybox.errors import ConflictError, DamagedError, NoSuchError, StateError, UsageError, report
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files
from tinybox.linux.filesystem.locks import Lock, lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Mount, Spec

_DIGITS, _RECORD = frozenset("0123456789abcdef"), "volume.json"
_SHAPE: dict[str, Any] = {"created": range(1 << 63), "labels": {"*": str}}


class Volume:
    """One volume of the store: its *name*, its directory *path*, its *labels*, and when it was made (ns since 1970)."""

    def __init__(self, paths: Paths, name: str) -> None:
        self.name = name
        self.folder = os.path.join(paths.volumes, name)
        self.path = os.path.join(self.folder, "_data")
        kept = _read(name, self.folder)
        self.labels: dict[str, str] = kept.get("labels", {})
        self.created: int = kept.get("created") or os.stat(self.folder).st_mtime_ns
        self.options = mounted_volumes.read(self.folder)
        self.is_anonymous = is_anonymous(self.path)

    def size(self) -> int:
        """Return the sum of the sizes of its files in bytes; see du(1)."""
        from tinybox.linux.filesystem.trees import tree_size

        return tree_size(self.path)


def directory(paths: Paths, name: str) -> str:
    """Return the directory of the volume *name*, which need not exist; without a name, that of a new anonymous one."""
    return os.path.join(paths.volumes, checked(name) if name else made_up(), "_data")


def made_up() -> str:
    """Return a new name for an anonymous volume: 64 random hex digits."""
    return os.urandom(32).hex()


def checked(name: str) -> str:
    """Return *name* if docker allows it for a volume; else UsageError."""
    if not naming.is_allowed(name):
        raise UsageError(f"volume name {name!r}", "is not allowed", "use [a-zA-Z0-9][a-zA-Z0-9_.-]+")
    return name


def is_anonymous(path: str) -> bool:
    """Return whether the name of the volume at *path* is 64 hex digits; such a volume is removed with its container."""
    name = os.path.basename(os.path.dirname(path))
    return len(name) == 64 and set(name) <= _DIGITS


def used(paths: Paths, config: Spec) -> list[str]:
    """Return the directories of the volumes that a container with this *config* uses."""
    return [entry["source"] for entry in spec.mounts_of_volumes(config, paths)]


def remove_nameless(paths: Paths, config: Spec) -> None:
    """Remove the anonymous volumes of a deleted container, except those that another container has by --volumes-from.

    This holds the lock of the store. A container is made under the same lock, so no new one can take a volume over.
    """
    nameless = [path for path in used(paths, config) if is_anonymous(path)]
    if nameless:
        with Lock(os.path.join(paths.root, "locks", "store")):
            for folder in map(os.path.dirname, nameless):
                if not _is_named(paths, os.path.basename(folder)):
                    _remove(paths, folder)


def _is_named(paths: Paths, name: str) -> bool:
    """Return whether a config.json contains the 64 digits of the volume *name*; a search is faster than parsing."""
    for container in paths.stored():
        path = os.path.join(paths.bundle(container), "config.json")
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                if name.encode() in file.read():
                    return True
        except (FileNotFoundError, IsADirectoryError):
            continue  # the container is being made or removed
    return False


def make(paths: Paths, config: Spec, run_directory: str) -> None:
    """Make the missing volumes of a container with this *run_directory*, and fill the empty ones from the image."""
    asked = mounted_volumes.wishes(config, paths)
    for entry in spec.mounts_of_volumes(config, paths):
        folder = os.path.dirname(entry["source"])
        labels, options = asked.get(folder, ({}, {}))
        fd = _make(paths, folder, labels, options)
        try:
            if mounted_volumes.has_options(folder):
                os.makedirs(entry["source"], 0o755, exist_ok=True)
                os.close(fd)  # its lock is taken again
                fd = -1
                mounted_volumes.fill(run_directory, folder, _layers_with(config, entry), entry["destination"])
            else:
                _populate(paths, config, entry)
        finally:
            if fd >= 0:
                os.close(fd)


def _make(paths: Paths, folder: str, labels: dict[str, str], options: dict[str, str]) -> int:
    """Make the directory of a volume and its record if they are missing; return an fd of it with an flock(2).

    The lock ensures that only one process fills the volume.
    """
    os.makedirs(paths.volumes, 0o700, exist_ok=True)
    os.makedirs(folder, 0o711, exist_ok=True)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lock_file(fd)
        record = os.path.join(folder, _RECORD)
        if not os.path.exists(record):
            if options:
                mounted_volumes.write(folder, options)
            known = {"created": time.time_ns(), "labels": labels, "driver": "local"}
            files.replace(record, json.dumps(known).encode(), 0o644)
            events.write(paths, events.of_volume(os.path.basename(folder), "create"))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _populate(paths: Paths, config: Spec, entry: Mount) -> None:
    """Fill the empty volume of *entry* from the image: fill a new directory, then rename it to _data; see rename(2).

    A running container that has the empty directory mounted would keep that one, which has no name any more. So the
    volume stays empty while such a container runs.
    """
    path = entry["source"]
    if os.path.isdir(path) and os.listdir(path):
        return
    layers = _layers_with(config, entry)
    if os.path.isdir(path) and not (layers and _is_at_rest(paths, path)):
        return
    fresh = path + ".new"
    files.remove_tree(fresh)  # a former command that was killed below has left it
    os.mkdir(fresh, 0o755)
    if spec.ID_MAPS in config.get("annotations", {}):
        from tinybox.container.storage import mapped_files

        user = config["process"]["user"]
        mapped_files.give(fresh, config, user["uid"], user["gid"])
    if layers:
        from tinybox.container.storage import populate

        populate.fill(layers, entry["destination"], fresh)
    os.rename(fresh, path)  # *path* is absent or empty


def _layers_with(config: Spec, entry: Mount) -> list[str]:
    """Return the layers of the image, if one may have files at the mount point of *entry*, which are to be copied."""
    layers = [layer for layer in config.get("annotations", {}).get(spec.LAYERS, "").split(":") if layer]
    top = entry["destination"].strip("/").split("/")[0]
    has_some = any(files.exists(f"{layer}/{top}", follow_symlinks=False) for layer in layers)
    return layers if has_some and "nocopy" not in entry.get("options", []) else []


def _is_at_rest(paths: Paths, path: str) -> bool:
    """Return whether no running container has the volume *path*, or may have it, because its config.json is damaged."""
    unknown: list[str] = []
    known = users(paths, lambda container, _: unknown.append(container))
    return {*known.get(path, ()), *unknown}.isdisjoint(paths.with_run_directory())


def create(paths: Paths, name: str, labels: dict[str, str], options: dict[str, str] | None = None) -> Volume:
    """Make the volume *name*, or an anonymous one if that is empty; an existing volume stays as it is, as in docker.

    *options* are those of docker's driver ``local``; see mounted_volumes.py.
    """
    folder = os.path.dirname(directory(paths, name))
    fd = _make(paths, folder, labels, mounted_volumes.checked(options or {}))
    try:
        os.makedirs(os.path.join(folder, "_data"), 0o755, exist_ok=True)
    finally:
        os.close(fd)
    return Volume(paths, os.path.basename(folder))


def every(paths: Paths) -> list[Volume]:
    """Return all volumes, sorted by name."""
    try:
        names = sorted(os.listdir(paths.volumes))
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        try:
            found.append(Volume(paths, name))
        except (FileNotFoundError, NotADirectoryError):
            continue  # the volume has just been removed
    return found


def find(paths: Paths, name: str) -> Volume:
    """Return the volume *name*; StateError if there is none."""
    if naming.is_allowed(name) and os.path.isdir(os.path.join(paths.volumes, name)):
        return Volume(paths, name)
    cure = "tinybox volume ls lists them"
    raise NoSuchError(f"volume {name}", "no such volume", cure).meant(name, lambda: os.listdir(paths.volumes))


def users(paths: Paths, damaged: Callable[[str, DamagedError], object]) -> dict[str, list[str]]:
    """Return a map from each used volume's directory to the ids of the containers whose config.json mounts it.

    *damaged* is called with each container whose config.json does not tell, and the error.
    """
    found: dict[str, list[str]] = {}
    for container in paths.stored():
        try:
            config = spec.load(paths.bundle(container))
        except UsageError:
            continue  # the container is just being made or removed
        except DamagedError as error:
            damaged(container, error)
            continue
        for path in used(paths, config):
            found.setdefault(path, []).append(container)
    return found


def remove(paths: Paths, volume: Volume) -> None:
    """Remove a volume; StateError names the containers that use it, if any. The caller holds the store's lock."""
    containers = users(paths, _refuse).get(volume.path, [])
    if containers:
        shown = ", ".join(container[:12] for container in containers)
        raise ConflictError(f"volume {volume.name}", f"is in use by {shown}", "remove them first: tinybox rm")
    _remove(paths, volume.folder)


def _remove(paths: Paths, folder: str) -> None:
    mounted_volumes.unmount(folder)  # left over if RUN was cleared: the files there are not the volume's own
    files.remove_tree(folder)
    events.write(paths, events.of_volume(os.path.basename(folder), "destroy"))


def prune(paths: Paths, volume: Volume) -> int:
    """Remove a volume that no container uses, and return the bytes of its files. The caller holds the store's lock."""
    freed = volume.size()
    _remove(paths, volume.folder)
    return freed


def _refuse(container: str, error: DamagedError) -> None:
    """Raise StateError: a volume that a damaged container may use must not be removed."""
    cause = f"container {container[:12]} may use it: {error.cause}"
    raise StateError("volume", cause, f"tinybox rm -f {container[:12]}, or repair {error.thing}") from error


def unused(paths: Paths, is_wanted: Callable[[Volume], bool]) -> list[Volume]:
    """Return the volumes that no container uses and for which *is_wanted* is true."""
    taken = users(paths, _refuse)
    return [volume for volume in every(paths) if volume.path not in taken and is_wanted(volume)]


def _read(name: str, folder: str) -> dict[str, Any]:
    """Return the record of the volume *name*; if it is damaged, the volume has no labels, but all its files."""
    try:
        kept: dict[str, Any] = json.read_own(os.path.join(folder, _RECORD), _SHAPE) or {}
    except ValueError as error:
        report(f"volume {name}: its {_RECORD} is damaged: {error}")
        return {}
    return kept
