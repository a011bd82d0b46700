"""Ranges of a user without root: each box with ``--userns auto`` has ids of the home that no other such box has.

ROOT/ids/FIRST-SIZE is a link to the bundle of the box that has the ids of the home from FIRST on; FIRST-SIZE@ID is that
of a box which shares them (``--userns container:NAME``). The first range that is free is given, as by podman: the
copies of layers that a removed box has left are made for these ids; see images/mapped_layers.py. A link that a killed
command has left is removed by the next box with ``auto``, and by `doctor --fix`. For root see id_ranges.py.
"""

from __future__ import annotations

import os

from tinybox.container.records import naming, spec
from tinybox.errors import StateError
from tinybox.isolation import idmap
from tinybox.isolation.rootless import home_ids
from tinybox.linux.filesystem import files
from tinybox.linux.filesystem.locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import IdMaps, Spec

_SHARED = "@"


def acquire(paths: Paths, container: str, config: Spec) -> None:
    """Reserve ids for a new container with ``auto``, and write its maps into *config*.

    The caller owns its run directory. A container that joins the users of another one shares the ids. StateError: there
    are not enough free ids.
    """
    known = spec.id_maps(config)
    size = known.get("auto", 0)
    if not size:
        return
    with Lock(f"{_folder(paths)}/.lock"):
        if config["linux"].get("uidMappings"):
            reclaim(paths)
            first = _free(paths, size, known["forced"])
            _note(paths, f"{first}-{size}", container)
            maps = [idmap.shifted(first, size, forced) for forced in known["forced"]]
            config["linux"]["uidMappings"][:], config["linux"]["gidMappings"][:] = maps  # the plan has these lists
            known["uids"], known["gids"] = maps
            spec.set_id_maps(config, known)
        else:
            _note(paths, f"{_first(known)}-{size}{_SHARED}{container}", container)


def release(paths: Paths, container: str) -> None:
    """Release the ids of a container that is being removed, or its share of another container's ids."""
    for name in _links(paths):
        if naming.target(f"{paths.root}/ids/{name}") == paths.bundle(container):
            files.discard(f"{paths.root}/ids/{name}")


def _first(known: IdMaps) -> int:
    forced = known["forced"][0]
    own = [entry for entry in known["uids"] if entry not in forced]
    return own[0]["hostID"] - own[0]["containerID"] if own else 0


def _free(paths: Paths, size: int, forced: list[list[idmap.IDMapping]]) -> int:
    """Return the first id of *size* ids of the home that no other container has, and that are not *forced*."""
    ids = home_ids.read()
    most = min(ids.uids, ids.gids)
    chosen = [range(entry["hostID"], entry["hostID"] + entry["size"]) for part in forced for entry in part]
    start = 1
    for span in sorted([*map(_span, _links(paths)), *chosen], key=lambda span: span.start):
        if start + size <= span.start:
            break
        start = max(start, span.stop)
    if start + size <= most + 1:
        return start
    cause = f"no {size} ids are free: this user has {most}, and other boxes with auto have their part"
    raise StateError("--userns auto", cause, "remove such boxes, or ask for less: --userns auto:size=N")


def _span(name: str) -> range:
    first, _, size = name.partition(_SHARED)[0].partition("-")
    return range(int(first), int(first) + int(size))


def _links(paths: Paths) -> list[str]:
    try:
        names = os.listdir(f"{paths.root}/ids")
    except FileNotFoundError:
        return []
    return [name for name in names if name.partition(_SHARED)[0].replace("-", "", 1).isdecimal()]


def _note(paths: Paths, name: str, container: str) -> None:
    """Make the link *name* atomically, so it is complete even if tinybox is killed; see rename(2)."""
    files.replace_link(f"{paths.root}/ids/{name}", paths.bundle(container), draft=f"{paths.root}/ids/.new")


def unused(paths: Paths) -> list[str]:
    """Return the links whose container was never made, because a command was killed; a run directory goes last."""
    return [name for name in _links(paths) if not _is_alive(paths, naming.target(f"{paths.root}/ids/{name}"))]


def _is_alive(paths: Paths, bundle: str) -> bool:
    return os.path.exists(bundle) or os.path.exists(paths.run_directory(os.path.basename(bundle)))


def reclaim(paths: Paths) -> None:
    """Release the ids of `unused` links; the caller has the lock."""
    for name in unused(paths):
        files.discard(f"{paths.root}/ids/{name}")


def sweep(paths: Paths) -> None:
    """Release the ids of `unused` links, under the lock."""
    with Lock(f"{_folder(paths)}/.lock"):
        reclaim(paths)


def _folder(paths: Paths) -> str:
    os.makedirs(f"{paths.root}/ids", 0o700, exist_ok=True)
    return f"{paths.root}/ids"
