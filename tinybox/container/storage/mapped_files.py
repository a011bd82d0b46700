"""The files of a box in a user namespace inside the home of a user without root: which ids they have on disk.

Root of the host gives such a box idmapped mounts (``--userns private``), and nothing on disk changes. A user without
root may not make them: so what belongs to the box is given to the ids that its map leads to. These are the layers, as
copies (images/mapped_layers.py), the writable layer, new volumes, and the box's files of /etc.
"""

from __future__ import annotations

import os
import stat

from tinybox.container.records import home_ranges, spec
from tinybox.errors import ImageError, report
from tinybox.images import mapped_layers
from tinybox.isolation import idmap, merged
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Spec

_MOST = 1 << 20  # bytes of the image's /etc/passwd that get one more line


def settle(paths: Paths, container: str, config: Spec) -> None:
    """Choose the ids of a new container, and use the layers of the image that are mapped to them; make these if needed.

    The caller holds a shared lock of the store. ImageError: a file of the image has an id that the box has not.
    """
    home_ranges.acquire(paths, container, config)
    layers, maps = spec.layers(config), spec.id_maps(config)
    if all(idmap.outer(rows, 0) == 0 for rows in (maps["uids"], maps["gids"])):
        return  # --userns keep-id:uid=0,gid=0: the map leads each id to itself

    def owner(uid: int, gid: int) -> tuple[int, int]:
        return idmap.outer(maps["uids"], uid), idmap.outer(maps["gids"], gid)

    text = idmap.text(maps["uids"]) + b"\n" + idmap.text(maps["gids"])
    try:
        copies = mapped_layers.make(paths.root, layers, text, owner, lambda: _tell(config))
    except ImageError as error:
        error.cure = error.cure or "--userns auto:size=N with more ids, or keep-id"
        raise
    config["annotations"][spec.LAYERS] = ":".join(copies)


def _tell(config: Spec) -> None:
    name = config["annotations"].get(spec.IMAGE_NAME, "")
    report(f"{name}: its layers are copied for the ids of this box; later boxes with the same map use the copy")


def give_bundle(bundle: str, config: Spec) -> None:
    """Give the empty writable layer in *bundle* to the box's root, and with ``keep-id`` name the user in it."""
    for name in ("upper", "work"):
        give(os.path.join(bundle, name), config)
    for name in os.listdir(os.path.join(bundle, "upper")):
        give(os.path.join(bundle, "upper", name), config)
    lines = spec.id_maps(config).get("lines") or []
    for path, line in zip(("passwd", "group"), lines, strict=False):
        if line:
            _add_line(f"{bundle}/upper", spec.layers(config), path, line)


def give(path: str, config: Spec, uid: int = 0, gid: int = 0) -> None:
    """Give the file *path* to the user and group that are *uid* and *gid* in the box; see chown(2)."""
    maps = spec.id_maps(config)
    owner = idmap.outer(maps["uids"], uid), idmap.outer(maps["gids"], gid)
    os.chown(path, *(max(number, 0) for number in owner), follow_symlinks=False)


def _add_line(upper: str, layers: Sequence[str], name: str, line: str) -> None:
    """Copy the image's /etc/NAME up, with one more *line*, as podman does; nothing if it is no plain file there."""
    try:
        with merged.Merged(layers) as image:
            path = os.fsdecode(image.resolve(f"etc/{name}".encode()))
            folder, file = image.stat(b"etc"), image.stat(os.fsencode(path))
            if path != f"etc/{name}" or folder is None or file is None or not stat.S_ISREG(file.st_mode):
                return
            fd = image.open(path.encode())
    except OSError:
        return
    try:
        text = files.read_regular(fd, path, _MOST)
    finally:
        os.close(fd)
    if not os.path.isdir(f"{upper}/etc"):
        os.mkdir(f"{upper}/etc")
        _like(f"{upper}/etc", folder)
    with open(f"{upper}/{path}", "xb") as out:
        out.write(text + b"\n" * (text[-1:] not in (b"", b"\n")) + line.encode("utf-8", "surrogateescape") + b"\n")
    _like(f"{upper}/{path}", file)


def _like(path: str, info: os.stat_result) -> None:
    os.chown(path, info.st_uid, info.st_gid)
    os.chmod(path, stat.S_IMODE(info.st_mode))
