"""Convert -v, --mount, --tmpfs, --volumes-from and the image's VOLUME to OCI's ``mounts``."""

from __future__ import annotations

import os

from tinybox.container.config.volumes import mount_option
from tinybox.container.records import spec
from tinybox.errors import UnfitValueError, UsageError
from tinybox.isolation import overlay
from tinybox.linux.filesystem import overlay_marks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.config.request import Request
    from tinybox.container.records.spec_types import Mount


def _place(path: str) -> str:
    """Return a destination in its one normal form, /x for /x/, //x and /y/../x, so that two can be compared."""
    return "/" + os.path.normpath(path).lstrip("/")


def mounts(request: Request) -> list[Mount]:
    """Return these mounts in the order to make them; UsageError: two are at the same place."""
    options = request.options
    if (driver := options.get("volume_driver") or "local") != "local":
        raise UnfitValueError(f"--volume-driver {driver}", f'plugin "{driver}" not found', "local")
    requested = [mount_option.volume(text) for text in options.get("volume") or ()]
    requested += [mount_option.mount(text) for text in options.get("mount") or ()]
    requested += [mount_option.tmpfs(text) for text in options.get("tmpfs") or ()]
    requested += options.get("ready_mounts") or ()  # of a build: they are no option of `run`
    for entry in requested:
        entry["destination"] = _place(entry["destination"])
    places = {entry["destination"] for entry in requested}
    requested += [entry for path, entry in _of_others(request).items() if path not in places]
    places = {entry["destination"] for entry in requested}
    declared = dict.fromkeys(map(_place, request.image.config.get("Volumes") or {}))
    requested += [mount_option.mount_of("VOLUME", "volume", "", path, []) for path in declared if path not in places]
    seen = set()
    for entry in requested:
        if entry["destination"] in seen:
            raise UsageError(f"mount on {entry['destination']}", "is asked for twice", "give each place one mount")
        seen.add(entry["destination"])
        if entry["type"] == "volume":
            entry["source"] = request.volume(entry["source"], entry["destination"])
            idmap = ["idmap"] * request.maps_mounts  # owners on disk are the same as inside
            entry["type"], entry["options"] = "bind", ["rbind", "rprivate", *idmap, *entry["options"]]
        elif entry["type"] == "image":
            _mount_image(request, entry)
        if entry["type"] == "bind":  # read-only with all mounts below it; rw is the default, and clears nothing: docker
            deep = "ro" if mount_option.ONLY_TOP in entry["options"] else "rro"
            kept = [option for option in entry["options"] if option not in ("rw", mount_option.ONLY_TOP)]
            entry["options"] = [deep if option == "ro" else option for option in kept]
    return sorted(requested, key=lambda entry: entry["destination"].count("/"))


def _mount_image(request: Request, entry: Mount) -> None:
    """Make *entry*, of --mount type=image, a mount of the image's layers; read-only, because they are the store's."""
    layers = overlay.stack(request.find_image(entry["source"]).layers)
    if len(layers) == 1 and (request.modes["userns"] == "host" or request.maps_mounts):
        entry |= {"type": "bind", "source": layers[0], "options": ["rbind", "rprivate", "ro"]}
        entry["options"] += ["idmap"] * request.maps_mounts
        return
    if overlay_marks.refused:
        cause = "it has several layers, and the file system of the store refuses overlays"
        raise UnfitValueError(
            f"--mount type=image,source={entry['source']}", cause, "put the store on ext4, xfs or btrfs"
        )
    if request.modes["userns"] != "host":
        cause = "root of a user namespace cannot open the layers of an image"
        raise UnfitValueError(f"--mount type=image,source={entry['source']}", cause, "--userns host")
    lower = ":".join(overlay.escape(layer) for layer in reversed(layers))
    entry |= {"type": "overlay", "source": "overlay", "options": ["ro", f"lowerdir={lower}"]}


def of_images(request: Request) -> dict[str, str]:
    """Return the annotations by which the images of --mount type=image cannot be removed while the container exists."""
    fields = [mount_option.fields_of(text) for text in request.options.get("mount") or ()]
    names = [each["source"] for each in fields if each["type"] == "image"]
    return {spec.MOUNTED_IMAGE + request.find_image(name).id: name for name in names}


def _of_others(request: Request) -> dict[str, Mount]:
    """Return the mounts of --volumes-from by their place; of two at the same place the later one."""
    found: dict[str, Mount] = {}
    for text in request.options.get("volumes_from") or ():
        name, colon, mode = text.partition(":")
        if not name:
            raise UnfitValueError(f"--volumes-from {text!r}", "names no container", "CONTAINER or CONTAINER:ro")
        if colon and mode not in ("ro", "rw"):
            raise UnfitValueError(f"--volumes-from {text}", f"invalid mode: {mode}", "ro or rw")
        for entry in request.find_mounts(name):
            if mode == "ro" and "ro" not in entry["options"]:  # rw does not make a read-only mount writable
                entry["options"].append("ro")
            found[entry["destination"]] = entry
    return found
