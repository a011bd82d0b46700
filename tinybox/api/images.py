"""Images as objects: pull, build, load and find them; name, push, save and remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.api import requests
from tinybox.api.removable import Removable
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.container.views import image_list, inspection
from tinybox.images.reference import parse
from tinybox.images.removal import remove
from tinybox.images.store import Store

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Mapping
    from typing import Self


class Image(Removable):
    """An image; ``str`` of it is the name that it was found by, or its id.

    Every method raises NoSuchImageError if the image has been removed meanwhile.
    """

    def __init__(self, id: str, paths: Paths, *, name: str = "", made: bool = False) -> None:  # noqa: A002
        super().__init__(made=made)
        self.id, self._name, self._paths = id, name, paths

    def __str__(self) -> str:
        return self._name or self.id

    @property
    def _store(self) -> Store:
        return Store(self._paths.root)

    @classmethod
    def get(cls, name: str, *, root: str = "") -> Self:
        """Return the image *name*, a reference or the beginning of an id, which must be in the store."""
        paths = Paths(root)
        found = Store(paths.root).image(name)
        return cls(found.id, paths, name=found.reference)

    @classmethod
    def list(cls, *, filters: Iterable[str] = (), root: str = "") -> builtins.list[Self]:
        """Return each image of the store, the newest first; *filters* as of `images`: ``["label=shop"]``."""
        paths = Paths(root)
        store = Store(paths.root)
        matches = image_list.ImageFilter(store, tuple(filters))
        rows = [row for row in image_list.rows(store) if matches(row)]
        return [cls(key, paths) for key in dict.fromkeys(row.image.id for row in rows)]

    @classmethod
    def pull(cls, name: str, *, platform: str = "", root: str = "") -> Self:
        """Pull the image *name* from its registry, or make it by its recipe if the name has one; see docker-pull(1).

        *platform* is this machine's, or such as ``"linux/arm64"``. If the store had the image before, a ``with`` block
        leaves it there.
        """
        host.read("").check()
        paths = Paths(root)
        store = Store(paths.root)
        former = {key: id for key, id in store.names()}  # noqa: A001, C416
        requests.bringer(paths).bring(name, "missing" if _has_recipe(name, platform) else "always", platform)
        found = store.image(name)
        return cls(found.id, paths, name=found.reference, made=former.get(found.reference) != found.id)

    @classmethod
    def build(
        cls,
        context: str,
        *,
        tag: str | Iterable[str] = (),
        file: str = "",
        build_args: Mapping[str, str] | None = None,
        target: str = "",
        labels: Mapping[str, str] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        network: str = "",
        platform: str = "",
        no_cache: bool = False,
        pull: bool = False,
        root: str = "",
    ) -> Self:
        """Build an image by the Containerfile of the directory *context*, and give it the names *tag*; see `build`.

        *secrets* are the contents that RUN --mount=type=secret sees, by their ids. Raises TinyboxError, which names the
        line of the Containerfile.
        """
        from tinybox.build.asking import Asked

        host.read("").check()
        paths = Paths(root)
        names = [tag] if isinstance(tag, str) else [*tag]
        asked = Asked(file, names, dict(build_args or {}), target, labels or {}, platform, secrets or {}, network,
                      no_cache, keep_failed=False, pull=pull)  # fmt: skip
        before = set(Store(paths.root).ids())
        made = requests.built(paths, context, asked)
        first = str(parse(names[0])) if names else ""
        return cls(made, paths, name=first, made=bool(names) or made not in before)

    @classmethod
    def load(cls, file: str, *, root: str = "") -> builtins.list[Self]:
        """Add the images of an archive that `save`, docker or skopeo has written; see docker-load(1)."""
        from tinybox.images import loading

        host.read("").check()
        paths = Paths(root)
        store = Store(paths.root)
        with open(file, "rb") as archive:
            found = [store.image(name) for name in loading.load(store, archive)]
        return [cls(image.id, paths, name=image.reference, made=True) for image in found]

    @property
    def names(self) -> builtins.list[str]:
        """Its names with tags, sorted: ``["busybox:latest"]``."""
        return [name for name, owner in self._store.names() if owner == self.id and "@" not in name]

    @property
    def size(self) -> int:
        """The sum of its layers' sizes in bytes."""
        return self._store.image(self.id).size

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return self._store.image(self.id).config.get("Labels") or {}

    def inspect(self) -> dict[str, Any]:
        """Return everything about it, with docker's keys."""
        return inspection.image(self._store, self._store.image(str(self)))

    def history(self) -> builtins.list[dict[str, Any]]:
        """Return the steps that made it, the newest first, as OCI writes them, each with the ``size`` of its layer."""
        return image_list.history(self._store, self._store.image(self.id))

    def tag(self, name: str) -> Self:
        """Give it also the *name*, which another image then loses; return it as an object of that name."""
        host.read("").check()
        found = self._store.tag(self.id, name)
        return type(self)(found.id, self._paths, name=found.reference, made=True)

    def push(self, *, tls_verify: bool | None = None) -> str:
        """Send it to the registry that its name has; return its digest there, ``sha256:HEX``; see docker-push(1)."""
        from tinybox.images.registry import layers, push

        host.read("").check()
        return push.push(self._store, parse(str(self)), layers.Report(), verify=tls_verify).digest

    def save(self, file: str) -> None:
        """Write it to the archive *file*, which appears when it is complete; see docker-save(1)."""
        from tinybox.container.files.whole_file import appearing
        from tinybox.images import saved

        with appearing(file) as opened:
            saved.save(self._store, [str(self)], opened)

    def remove(self, *, force: bool = False) -> None:
        """Remove the name of this object, and with its last name the image; see docker-rmi(1).

        ImageError: a container uses it, unless *force*.
        """
        host.read("").check()
        remove(self._store, str(self), force=force)

    def _discard(self) -> None:
        self.remove()


def _has_recipe(name: str, platform: str) -> bool:
    from tinybox.images.recipes import recipe

    return recipe.find(name) is not None and not platform
