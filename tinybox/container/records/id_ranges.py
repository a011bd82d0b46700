"""Ranges of user ids: each container with `--userns private` has 65536 ids of the host for itself while it exists.

The ids belong to the host, so all stores share one register: /var/lib/tinybox-ids/FIRST is a link to the bundle of the
container whose range begins with that id; FIRST@ID is a link to the bundle of a container that shares the range
(`--userns container:NAME`). The register is not below /run, because a container at rest keeps its range over a reboot.
The search for a free range begins after the range that was given last, so a released range is given again only after
all others: files of a removed container, in a bind mount, then belong to no container for a long time. A link that a
killed command has left is removed when no range is free. See docs/adr/0028-id-ranges.md.
"""

from __future__ import annotations

import os

from tinybox.container.records import naming, spec
from tinybox.container.records.paths import Paths
from tinybox.errors import HostError, StateError
from tinybox.isolation import allotment
from tinybox.linux import proc
from tinybox.linux.filesystem import files
from tinybox.linux.filesystem.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from tinybox.container.records.spec_types import Spec

FOLDER = "/var/lib/tinybox-ids"
_LAST = ".last"  # a link as well: its target is the first id of the range that was given last
_SHARED = "@"  # between the first id of a range and the id of a container that shares it


class Register:
    """The register of ranges, locked: one process at a time uses it; see flock(2)."""

    def __enter__(self) -> Self:
        try:
            os.makedirs(FOLDER, 0o700, exist_ok=True)
            self._fd = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _refusal(error) from error
        lock_file(self._fd)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def free(self) -> Iterator[int]:
        """Yield the first ids of ranges that overlap with no given range; start after the one that was given last."""
        taken = held()
        # The range at allotment.FIRST comes last: containers that an older tinybox has made may run with it.
        last = int(naming.target(f"{FOLDER}/{_LAST}") or allotment.FIRST)
        for first in _allotment().after(last):
            if not any(abs(first - other) < allotment.RANGE for other in taken):
                yield first

    def note(self, name: str, target: str) -> None:
        """Make or replace the link *name* atomically, so it is complete even if tinybox is killed; see rename(2)."""
        try:
            files.replace_link(f"{FOLDER}/{name}", target, draft=f"{FOLDER}/.new")
        except OSError as error:
            raise _refusal(error) from error

    def reclaim(self) -> None:
        """Release the ranges of containers that no longer exist, because their whole store was removed."""
        for name in unused():
            files.discard(f"{FOLDER}/{name}")


def acquire(paths: Paths, container: str, config: Spec) -> None:
    """Reserve a range for a new container, and write it into *config*; the caller owns its run directory.

    A container that will share the users of another gets no range. StateError: no range is free.
    """
    mappings = [*config["linux"].get("uidMappings", ()), *config["linux"].get("gidMappings", ())]
    if not mappings:
        return
    with Register() as register:
        first = next(register.free(), None)
        if first is None:
            register.reclaim()
            first = next(register.free(), None)
        if first is None:
            cure = "remove containers that are not needed, or give tinybox more ids in /etc/subuid"
            raise StateError("--userns private", f"no range of {allotment.RANGE} ids is free on this host", cure)
        register.note(_LAST, str(first))
        register.note(str(first), paths.bundle(container))
    for mapping in mappings:
        mapping["hostID"] = first  # in place, because the steps of the plan have references to these dicts


def keep(paths: Paths, container: str, config: Spec) -> None:
    """Make sure that a container that is about to start has its range for itself, else give it another one.

    The other range is written into *config* and config.json. This happens to containers that an older tinybox has made,
    and to those whose store was copied, or was unmounted for a time.
    """
    if not config["linux"].get("uidMappings"):
        _share(paths, container, config)
        return
    first, bundle = config["linux"]["uidMappings"][0]["hostID"], paths.bundle(container)
    if naming.target(f"{FOLDER}/{first}") == bundle:
        return
    with Register() as register:
        register.reclaim()
        if not any(abs(first - other) < allotment.RANGE for other in held()):
            register.note(str(first), bundle)
            return
    acquire(paths, container, config)
    spec.save(config, bundle)


def _share(paths: Paths, container: str, config: Spec) -> None:
    """Record that a container shares another's range, so it is not given to a third one after the other's removal."""
    path = next(entry["path"] for entry in config["linux"]["namespaces"] if entry["type"] == "user")
    try:
        first = proc.id_map(proc.text(f"{os.path.dirname(os.path.dirname(path))}/uid_map"))[0][1]
    except (FileNotFoundError, ProcessLookupError, IndexError):  # it has just ended: the step that joins it will fail
        return
    with Register() as register:
        register.note(f"{first}{_SHARED}{container}", paths.bundle(container))


def release(paths: Paths, container: str) -> None:
    """Release the range of a container that is being removed, or its share of another container's range."""
    bundle = paths.bundle(container)
    for name in _links():
        if naming.target(f"{FOLDER}/{name}") == bundle:
            files.discard(f"{FOLDER}/{name}")


def _links() -> list[str]:
    try:
        return [name for name in os.listdir(FOLDER) if name.partition(_SHARED)[0].isdecimal()]
    except FileNotFoundError:
        return []


def held() -> list[int]:
    """Return the first ids of all ranges that are given to containers."""
    return [int(name.partition(_SHARED)[0]) for name in _links()]


def unused() -> list[str]:
    """Return the links whose container is gone: left by a killed command, or by the removal of a whole store."""
    return [name for name in _links() if not _is_alive(naming.target(f"{FOLDER}/{name}"))]


def _is_alive(bundle: str) -> bool:
    """Return whether a container has this bundle, or will have it: its run directory is made before the bundle."""
    folder, container = os.path.split(bundle)
    return os.path.exists(bundle) or os.path.exists(Paths(os.path.dirname(folder)).run_directory(container))


def _allotment() -> allotment.Allotment:
    return allotment.Allotment(*(_text(f"/etc/{name}") for name in ("subuid", "subgid", "passwd", "group")))


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:  # the file need not exist
        return ""


def _refusal(error: OSError) -> HostError:
    return HostError(FOLDER, f"a range of ids cannot be recorded there: {error.strerror}", "leave out --userns private")
