"""The image store on disk: unpacked layers named by their content, image records, and names; images, tag, rmi.

A layer never changes after it has its name, so any number of containers can share it read-only. Every file appears by
rename(2), complete or not at all, also if tinybox is killed, and every change is made under one flock(2).

    ROOT/layers/<16 hex>/fs          a layer's files; a short name, because overlayfs takes all layers in one string
    ROOT/layers/<16 hex>/layer.json  its full diff id, to detect a collision of the short one, and its size
    ROOT/layers/<16 hex>/archive.gz  its archive without the content of the files in fs; see original.py
    ROOT/images/<id>                 an OCI image config: the id is the sha256 of this file. It has the image's
                                     environment, so only root may read it (0600), unless it comes from a recipe
    ROOT/names/<name:tag>            a symbolic link to the image; a slash in the name is written %
    ROOT/names/<name@sha256:...>     the same, for the digest that the image has in its registry
    ROOT/build-cache/               the layers that `build` need not make again: images/build_cache.py
    ROOT/blobs/ manifests/           the image as its registry has it: images/content.py
    ROOT/tmp/                        directories of commands that add or remove an image; see tidying.py
    ROOT/containers/<id>/            not the store's; an annotation in its config.json has the id of its image
"""

from __future__ import annotations

import fcntl
import os

from tinybox.errors import HostError, ImageError, NoSuchImageError
from tinybox.images.reference import Reference, is_id, parse
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem.locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Shape: TypeAlias = dict[str, Any]

NO_SUCH = "there is no such image"
ANNOTATION = "tinybox.image"  # in a container's config.json: the id of its image
MOUNTED = "tinybox.mounted-image."  # and there, before the id of an image that it has mounted
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # OCI has Go's names of machines
KEY_LENGTH = 16  # hex digits of a layer's digest in its path
DIRECTORIES = {"": 0o711, "images": 0o755, "names": 0o755}
DIRECTORIES |= dict.fromkeys(("tmp", "layers", "blobs", "manifests", "locks"), 0o700)

# The shape of an image's record; for "*" and "!" see quick_json.misfit. Every new record is checked with it.
LAYERED: Shape = {"rootfs!": {"type": str, "diff_ids!": [str]}}
_TEXTS, _ANY = [str], {"*": dict[str, object]()}
_TIMES = dict.fromkeys("Interval Timeout StartPeriod StartInterval Retries".split(), int)
_CONFIG: Shape = {"Env": _TEXTS, "Entrypoint": _TEXTS, "Cmd": _TEXTS, "ExposedPorts": _ANY, "Volumes": _ANY}
_CONFIG |= {"User": str, "WorkingDir": str, "StopSignal": str, "Labels": {"*": str}}
_CONFIG |= {"Healthcheck": {"Test": _TEXTS, **_TIMES}, "OnBuild": _TEXTS, "Shell": _TEXTS}  # docker's own
_STEP = {**dict.fromkeys("created created_by author comment".split(), str), "empty_layer": bool}
RECORD: Shape = {**dict.fromkeys("created author architecture os variant".split(), str), "config": _CONFIG, **LAYERED}
RECORD["history"] = [_STEP]
LAYER: Shape = {"diff_id!": str, "size!": range(1 << 63), "blob": str}


class Image:
    """An image: *id* (64 hex digits), *reference* (its name, or ""), *config* as in the OCI image-spec.

    *asked* is the name or id as the user wrote it: `ps` and `inspect` show that, as docker's do. *layers* are the paths
    of its layers, the bottom one first; *created* is a date in the format of RFC 3339.
    """

    def __init__(self, root: str, image_id: str, reference: str, document: dict[str, Any]) -> None:
        self.id, self.reference, self.asked = image_id, reference, reference
        self.diff_ids: list[str] = document["rootfs"]["diff_ids"]
        self.layers = [f"{root}/layers/{layer_key(diff_id)}/fs" for diff_id in self.diff_ids]
        self.config: dict[str, Any] = document.get("config") or {}
        self.created: str = document.get("created") or ""
        self.architecture: str = document.get("architecture") or ""
        self.variant: str = document.get("variant") or ""

    @property
    def platform(self) -> str:
        """Return the platform that the image is for, such as ``linux/arm64/v8``; an older image does not say it: ""."""
        return "/".join(filter(None, ("linux", self.architecture, self.variant))) if self.architecture else ""

    @property
    def size(self) -> int:
        """Return the sum of the layers' sizes in bytes; this opens one small file for each layer."""
        return sum(self.sizes())

    def sizes(self) -> list[int]:
        """Return the size of each layer in bytes, the bottom one first; this opens one small file for each layer."""
        return [layer_record(os.path.dirname(layer))["size"] for layer in self.layers]


class Store:
    """The images below the directory *root*, which is made when the first image is added."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)

    def image(self, text: str) -> Image:
        """Return the image *text*, a reference or the beginning of an id; ImageError: there is no such image."""
        image_id, reference = self.resolve(text)
        image = self._load(image_id, reference)
        image.asked = text
        if any(map(_is_gone, image.layers)):
            raise ImageError(
                f"image {text!r}", "a layer of it is missing", f"tinybox rmi {text}, then pull or import it"
            )
        return image

    def images(self, damaged: Callable[[ImageError], object] = lambda _: None) -> list[Image]:
        """Return every image once for each of its names, or once with an empty name; call *damaged* with each error."""
        names = [name for name in self.names() if "@" not in name[0]]
        named = {image_id for _, image_id in names}
        nameless = [("", image_id) for image_id in self.ids() if image_id not in named]
        images = []
        for reference, image_id in names + nameless:
            try:
                images.append(self._load(image_id, reference))
            except ImageError as error:
                if image_id in self.ids():  # else it has just been removed
                    damaged(error)
        return images

    def digests(self) -> dict[str, list[str]]:
        """Return the names with a digest, ``name@sha256:HEX``, of each image that a registry has, by the image's id."""
        found: dict[str, list[str]] = {}
        for name, image_id in self.names():
            if "@" in name:
                found.setdefault(image_id, []).append(name)
        return found

    def named(self, reference: Reference) -> str:
        """Return the id of the image that *reference* names, or "" if there is none."""
        try:
            return os.path.basename(os.readlink(self.link(reference)))
        except FileNotFoundError:
            return ""

    def record(self, image_id: str, reference: str = "", shape: Shape = RECORD) -> dict[str, Any]:
        """Return the record of an image, an OCI image config; ImageError: it is damaged, or only root may read it."""
        try:
            path = f"{self.root}/images/{image_id}"
            document: dict[str, Any] | None = json.read_own(path, shape, with_nulls=True)  # they count for its id
            wrong = "no such file"
        except PermissionError as error:
            thing = f"image {reference or image_id[:12]}"
            raise ImageError(thing, "only root may read its record", "try it with sudo") from error
        except ValueError as error:
            document, wrong = None, str(error)
        if document is None:
            cure = f"tinybox rmi {image_id[:12]}, then pull or import it again"
            raise ImageError(f"image {reference or image_id[:12]}", f"its record is damaged: {wrong}", cure)
        return document

    def content(self, image_id: str) -> bytes:
        """Return the record of an image as it is on the disk; its digest is the image's id; see `record`."""
        with open(f"{self.root}/images/{image_id}", "rb") as file:
            return file.read(json.MOST)

    def tag(self, text: str, reference: str) -> Image:
        """Add the name *reference* to the image *text*, as docker-tag(1) does; another image loses that name."""
        new = parse(reference)
        with self.locked():
            image_id, _ = self.resolve(text)
            self.point(new, image_id)
        from tinybox.images import image_events

        image_events.emit(self.root, "tag", image_id, str(new))
        return self._load(image_id, str(new))

    def locked(self, name: str = "store", *, shared: bool = False) -> Lock:
        """Make the store's directories and return a lock; a *shared* one keeps all images while a container is made."""
        if not shared or not os.path.isdir(f"{self.root}/locks"):  # who only reads needs no other directory
            self._prepare()
        return Lock(f"{self.root}/locks/{name}", fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def point(self, reference: Reference, image_id: str) -> None:
        """Let *reference* name *image_id* from now on; the caller holds the lock."""
        from tinybox.linux.filesystem import files

        draft = f"{self.root}/tmp/name"  # a directory, which tidying.py sees if this process is killed here
        files.remove_tree(draft)
        os.mkdir(draft, 0o700)
        files.replace_link(self.link(reference), f"../images/{image_id}", draft=f"{draft}/link")
        os.rmdir(draft)

    def layers(self) -> dict[str, int]:
        """Return the size in bytes of each layer of the store, by its short name."""
        folder = f"{self.root}/layers"
        return {key: layer_record(f"{folder}/{key}")["size"] for key in entries(folder)}

    def resolve(self, text: str) -> tuple[str, str]:
        """Return the image id of *text*, and *text* as a full reference, or "" if it is an id."""
        digits = text.removeprefix("sha256:")
        if not is_id(digits):
            reference = parse(text)
            try:
                return os.path.basename(os.readlink(self.link(reference))), str(reference)
            except FileNotFoundError:
                pass
            except PermissionError as error:
                raise ImageError(f"image {text!r}", f"{self.root} is not readable", "run as root") from error
        found = [image_id for image_id in self.ids() if digits and image_id.startswith(digits)]
        if len(found) == 1:
            return found[0], ""
        if found:
            raise ImageError(f"image {text!r}", f"{len(found)} image ids begin so", "give more of the id")
        cure = "'tinybox images' lists all images; 'tinybox pull' and 'tinybox import' add more"
        raise NoSuchImageError(f"image {text!r}", f"{NO_SUCH} in {self.root}", cure).meant(text, self.short_names)

    def short_names(self) -> list[str]:
        """Return the names with a tag, as users write them: `latest` is left out."""
        return [name.removesuffix(":latest") for name, _ in self.names() if "@" not in name]

    def _load(self, image_id: str, reference: str) -> Image:
        return Image(self.root, image_id, reference, self.record(image_id, reference))

    def link(self, reference: Reference) -> str:
        """Return the path of the link that is the name *reference*."""
        return f"{self.root}/names/{str(reference).replace('/', '%')}"

    def names(self) -> list[tuple[str, str]]:
        """Return all references, sorted, each with its image id."""
        names = f"{self.root}/names"
        found = []
        for link in sorted(entries(names)):
            try:
                found.append((link.replace("%", "/"), os.path.basename(os.readlink(f"{names}/{link}"))))
            except FileNotFoundError:
                continue  # it has just been removed
        return found

    def ids(self) -> list[str]:
        """Return the ids of all images."""
        return entries(f"{self.root}/images")

    def _prepare(self) -> None:
        """Make the store's directories: every user may read the names, only root the files of the images."""
        try:
            for name, mode in DIRECTORIES.items():
                path = f"{self.root}/{name}".rstrip("/")
                if not os.path.isdir(path):
                    from tinybox.linux.filesystem import overlay_refusal, ownership

                    bit = overlay_refusal.examine(self.root) if name == "layers" else 0
                    os.makedirs(path, mode | bit, exist_ok=True)
                    ownership.check(path)  # another user may have made it first, in a directory such as /var/tmp
                    os.chmod(path, mode | bit)  # with any umask
        except OSError as error:
            cure = "run as root, or choose another directory with --root"
            raise HostError(f"store {self.root}", f"cannot be made: {error.strerror}", cure) from error


def this_architecture() -> str:
    """Return OCI's name of this machine's processor; see uname(2)."""
    machine = os.uname().machine
    return ARCHITECTURES.get(machine, machine)


def layer_key(diff_id: str) -> str:
    """Return the name of the layer's directory: the first 16 hex digits of *diff_id*, ``sha256:HEX``."""
    return diff_id.removeprefix("sha256:")[:KEY_LENGTH]


def _is_gone(path: str) -> bool:
    """Return whether *path* does not exist; False if this process may not look (a dry run needs no root)."""
    try:
        os.stat(path)
    except PermissionError:
        return False
    except (FileNotFoundError, NotADirectoryError):
        return True
    return False


def layer_record(folder: str) -> dict[str, Any]:
    """Return the layer.json in *folder*: the layer's diff id and size; ImageError: it is missing or damaged."""
    try:
        document: dict[str, Any] | None = json.read_own(f"{folder}/layer.json", LAYER)
        wrong = "no such file" if document is None else ""
    except ValueError as error:
        document, wrong = None, str(error)
    if document is None:
        cure = "tinybox rmi its images, then pull or import them again"
        raise ImageError(f"layer {os.path.basename(folder)}", f"its layer.json is damaged: {wrong}", cure)
    return document


def entries(path: str) -> list[str]:
    """Return the names in the directory *path*; an empty list if it does not exist yet."""
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []
