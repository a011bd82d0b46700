"""Where images live: layers unpacked once and named by their content, records that list them, names that point there.

A layer never changes once it stands under its digest, so any number of containers can share it read-only. Everything
appears by rename(2), whole or not at all, and every change is made under one flock(2).

    ROOT/layers/<16 hex>/fs          a layer's files; short, because overlayfs takes all its layers in one string
    ROOT/layers/<16 hex>/layer.json  its full diff id, against a collision of the short one, and its size
    ROOT/images/<id>                 an OCI image config: the id is the sha256 of this very file. It has the image's
                                     environment, so it is root's alone (0600), unless it says what a recipe says
    ROOT/names/<name:tag>            a symbolic link to the image; a slash in the name is written %
    ROOT/tmp/                        what is being made or thrown away; the flock of its maker tells it from litter
    ROOT/containers/<id>/            not ours; its config.json says by an annotation which image it uses
"""

from __future__ import annotations

import fcntl
import os
from collections import namedtuple

from tinybox.errors import HostError, ImageError, Reported
from tinybox.images.reference import Reference, is_id, parse
from tinybox.linux import quick_json as json
from tinybox.linux.locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Shape: TypeAlias = dict[str, Any]

NO_SUCH = "there is no such image"
ANNOTATION = "tinybox.image"  # in a container's config.json: the id of its image
KEY_LENGTH = 16  # hex digits of a layer's digest in its path
DIRECTORIES = {"": 0o711, "layers": 0o700, "images": 0o755, "names": 0o755, "tmp": 0o700, "locks": 0o700}

# What the record of an image is like; "*", "!" and the rest: quick_json.misfit. Whatever comes in is held against it.
LAYERED: Shape = {"rootfs!": {"type": str, "diff_ids!": [str]}}
_TEXTS, _ANY = [str], {"*": dict[str, object]()}
_TIMES = dict.fromkeys("Interval Timeout StartPeriod StartInterval Retries".split(), int)
_CONFIG: Shape = {"Env": _TEXTS, "Entrypoint": _TEXTS, "Cmd": _TEXTS, "ExposedPorts": _ANY, "Volumes": _ANY}
_CONFIG |= {"User": str, "WorkingDir": str, "StopSignal": str, "Labels": {"*": str}}
_CONFIG |= {"Healthcheck": {"Test": _TEXTS, **_TIMES}}
_STEP = {**dict.fromkeys("created created_by author comment".split(), str), "empty_layer": bool}
RECORD: Shape = {**dict.fromkeys("created author architecture os variant".split(), str), "config": _CONFIG, **LAYERED}
RECORD["history"] = [_STEP]

Removal = namedtuple("Removal", ["untagged", "deleted"])  # two lists of str: references, image ids


class Image:
    """One image: *id* (64 hex digits), *reference* (its name, or nothing), *config* in the OCI image-spec's words.

    *layers* are the paths of its layers, the bottom one first; *created* is a date as RFC 3339 writes it.
    """

    def __init__(self, root: str, image_id: str, reference: str, document: dict[str, Any]) -> None:
        self.id, self.reference = image_id, reference
        self.diff_ids: list[str] = document["rootfs"]["diff_ids"]
        self.layers = [f"{root}/layers/{layer_key(diff_id)}/fs" for diff_id in self.diff_ids]
        self.config: dict[str, Any] = document.get("config") or {}
        self.created: str = document.get("created") or ""
        self.architecture: str = document.get("architecture") or ""

    @property
    def size(self) -> int:
        """Sum up the bytes of the layers' files; this opens one small file a layer."""
        return sum(read_json(f"{os.path.dirname(layer)}/layer.json")["size"] for layer in self.layers)


class Store:
    """The images below the directory *root*, which is made when something is first put in."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)

    def image(self, text: str) -> Image:
        """Find the image that *text* names, by reference or by the beginning of its id; ImageError if there is none."""
        image_id, reference = self._resolve(text)
        image = self._load(image_id, reference)
        if any(map(_is_gone, image.layers)):
            raise ImageError(f"image {text!r}", "a layer of it is gone", f"tinybox rmi {text}, then bring it again")
        return image

    def images(self, damaged: Callable[[ImageError], object] = lambda _: None) -> list[Image]:
        """List every image once for each of its names, nameless ones with an empty one; tell *damaged* of others."""
        names = self._names()
        named = {image_id for _, image_id in names}
        nameless = [("", image_id) for image_id in self._ids() if image_id not in named]
        images = []
        for reference, image_id in names + nameless:
            try:
                images.append(self._load(image_id, reference))
            except ImageError as error:
                if image_id in self._ids():  # else it was removed while we were reading
                    damaged(error)
        return images

    def record(self, image_id: str, reference: str = "", shape: Shape = RECORD) -> dict[str, Any]:
        """Return the record of an image, an OCI image config; ImageError says what of it is damaged."""
        try:
            document = read_json(f"{self.root}/images/{image_id}")
            wrong = json.misfit(document, shape)
        except PermissionError as error:
            thing = f"image {reference or image_id[:12]}"
            raise ImageError(thing, "its record is root's alone to read", "try it with sudo") from error
        except (FileNotFoundError, ValueError) as error:
            wrong = str(error)
        if wrong:
            cure = f"tinybox rmi {image_id[:12]}, then bring it again"
            raise ImageError(f"image {reference or image_id[:12]}", f"its record is damaged: {wrong}", cure)
        return document

    def tag(self, text: str, reference: str) -> Image:
        """Give the image *text* one more name, as docker-tag(1) does; an image that had that name loses it."""
        new = parse(reference)
        with self.locked():
            image_id, _ = self._resolve(text)
            self.point(new, image_id)
        return self._load(image_id, str(new))

    def remove(self, text: str) -> Removal:
        """Take the name *text* away, and with an image's last name its files, as docker-rmi(1) does.

        Raises ImageError if a container uses the image, or if an id is given that has several names.
        """
        with self.locked():
            image_id, reference = self._resolve(text)
            names = [name for name, owner in self._names() if owner == image_id]
            if reference and len(names) > 1:
                os.unlink(self._link(parse(reference)))
                return Removal([reference], [])
            self._check_unused(text, image_id, names)
            for name in names:
                os.unlink(self._link(parse(name)))
            os.unlink(f"{self.root}/images/{image_id}")
            self.collect()
        return Removal(names, [image_id])

    def locked(self, name: str = "store", *, shared: bool = False) -> Lock:
        """Prepare the store and return its lock; *shared* keeps every image in place while a container is made."""
        self._prepare()
        return Lock(f"{self.root}/locks/{name}", fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def point(self, reference: Reference, image_id: str) -> None:
        """Let *reference* name *image_id* from now on; the caller holds the lock."""
        from tinybox.linux import files

        files.replace_link(self._link(reference), f"../images/{image_id}", draft=f"{self.root}/tmp/name")

    def collect(self) -> None:
        """Throw away the layers that no image lists; the caller holds the lock.

        Where the record of an image is damaged, which `images` tells, every layer is kept: its own are not known.
        """
        from tinybox.linux import files

        try:
            found = [self.record(image_id, shape=LAYERED)["rootfs"]["diff_ids"] for image_id in self._ids()]
        except ImageError:
            return
        used = {layer_key(diff_id) for diff_ids in found for diff_id in diff_ids}
        for key in set(os.listdir(f"{self.root}/layers")) - used:
            gone = f"{self.root}/tmp/gone-{key}"
            with Reported(f"layer {key}"):
                files.remove_tree(gone)  # left by a command that was killed here
                os.rename(f"{self.root}/layers/{key}", gone)  # first out of sight, whole: we may be killed halfway
                files.remove_tree(gone)

    def layers(self) -> dict[str, int]:
        """Return the layers that are there, by their short names, with the bytes of their files."""
        folder = f"{self.root}/layers"
        return {key: read_json(f"{folder}/{key}/layer.json")["size"] for key in _entries(folder)}

    def containers_using(self, image_id: str) -> list[str]:
        """List the containers whose config.json names *image_id* in its annotations."""
        users = []
        for container in _entries(f"{self.root}/containers"):
            try:
                config = read_json(f"{self.root}/containers/{container}/config.json")
            except (FileNotFoundError, ValueError):
                continue  # it is just being made or removed, or it is damaged: nobody can start it
            if not json.misfit(config, {"annotations!": {}}) and config["annotations"].get(ANNOTATION) == image_id:
                users.append(container)
        return users

    def _check_unused(self, text: str, image_id: str, names: list[str]) -> None:
        if len(names) > 1:
            raise ImageError(f"image {text}", f"it has several names: {', '.join(names)}", "remove it name by name")
        users = self.containers_using(image_id)
        if users:
            raise ImageError(f"image {text}", f"used by {', '.join(users)}", f"first tinybox rm {' '.join(users)}")

    def _resolve(self, text: str) -> tuple[str, str]:
        """Turn *text* into an image id and the reference that it is, if it is one."""
        digits = text.removeprefix("sha256:")
        if not is_id(digits):
            reference = parse(text)
            try:
                return os.path.basename(os.readlink(self._link(reference))), str(reference)
            except FileNotFoundError:
                pass
            except PermissionError as error:
                raise ImageError(f"image {text!r}", f"{self.root} is not readable", "run as root") from error
        found = [image_id for image_id in self._ids() if digits and image_id.startswith(digits)]
        if len(found) == 1:
            return found[0], ""
        if found:
            raise ImageError(f"image {text!r}", f"{len(found)} image ids begin so", "give more of the id")
        cure = "'tinybox images' lists what there is; 'tinybox pull' and 'tinybox import' bring more"
        raise ImageError(f"image {text!r}", f"{NO_SUCH} in {self.root}", cure)

    def _load(self, image_id: str, reference: str) -> Image:
        return Image(self.root, image_id, reference, self.record(image_id, reference))

    def _link(self, reference: Reference) -> str:
        return f"{self.root}/names/{str(reference).replace('/', '%')}"

    def _names(self) -> list[tuple[str, str]]:
        """List all references, sorted, each with its image id."""
        names = f"{self.root}/names"
        found = []
        for link in sorted(_entries(names)):
            try:
                found.append((link.replace("%", "/"), os.path.basename(os.readlink(f"{names}/{link}"))))
            except FileNotFoundError:
                continue  # it was removed while we were reading
        return found

    def _ids(self) -> list[str]:
        return _entries(f"{self.root}/images")

    def _prepare(self) -> None:
        """Make the directories: names for all to read, the files of the images for root alone."""
        try:
            for name, mode in DIRECTORIES.items():
                path = f"{self.root}/{name}".rstrip("/")
                if not os.path.isdir(path):
                    from tinybox.linux import ownership

                    os.makedirs(path, mode, exist_ok=True)
                    ownership.check(path)  # another user may have been faster, in a directory such as /var/tmp
                    os.chmod(path, mode)  # whatever the umask made of it
        except OSError as error:
            cure = "run as root, or name another place with --root"
            raise HostError(f"store {self.root}", f"cannot be made: {error.strerror}", cure) from error


def layer_key(diff_id: str) -> str:
    """Shorten *diff_id*, ``sha256:HEX``, to the name of the layer's directory."""
    return diff_id.removeprefix("sha256:")[:KEY_LENGTH]


def _is_gone(path: str) -> bool:
    """Tell whether there is nothing at *path*; who may not look (a dry run needs no root) believes the record."""
    try:
        os.stat(path)
    except PermissionError:
        return False
    except (FileNotFoundError, NotADirectoryError):
        return True
    return False


def read_json(path: str) -> dict[str, Any]:
    """Read the object in the JSON file *path*; see OSError and ValueError."""
    with open(path, "rb") as file:
        document: dict[str, Any] = json.loads(file.read(json.MOST).decode())
    return document


def _entries(path: str) -> list[str]:
    """List the directory *path*; nothing if it is not there yet."""
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []
