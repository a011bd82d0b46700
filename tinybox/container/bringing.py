"""Bring the image of a new container into the store: make it by its recipe if it has one, else pull it."""

from __future__ import annotations

from tinybox.container.pull_policy import ALWAYS, NEVER
from tinybox.errors import ImageError, NoSuchImageError
from tinybox.linux import user_namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.images.store import Image, Store


class Bringer:
    """Brings images into *store* without a word. The command line has one that reports: cli/commands/image/registry.py.

    ImageError: the recipe has failed, or the registry does not have the image. HostError: this process is not root, or
    the registry cannot be reached.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def say(self, line: str) -> None:
        """Take notice of a *line* about the work on a recipe."""

    def not_here(self, name: str) -> None:
        """Take notice that the store does not have the image *name*, which is pulled now."""

    def fetch(self, name: str, platform: str = "") -> Image:
        """Pull the image *name* from its registry, for *platform* or this machine."""
        from tinybox.images.reference import parse
        from tinybox.images.registry import layers, manifests
        from tinybox.images.registry.pull import pull

        wanted = manifests.platform(platform) if platform else manifests.this_platform()
        return pull(self.store, parse(name), wanted, layers.Report()).image

    def make_missing(self, name: str, platform: str = "") -> bool:
        """Bring the image *name*, by its recipe or from its registry, if it is not in the store; return if it was."""
        try:
            self.store.image(name)
        except NoSuchImageError:
            pass
        except ImageError:
            return False  # it is damaged, and the error says what to do
        else:
            return False
        self._bring(name, platform, again=False)
        return True

    def make_again(self, name: str, platform: str = "") -> None:
        """Bring the image *name* even if it is here: make it by its recipe, or ask its registry for a newer one."""
        self._bring(name, platform, again=True)

    def _bring(self, name: str, platform: str, *, again: bool) -> None:
        from tinybox.container.records import host

        if user_namespaces.stayed:  # an image may be made by boxes with a network
            from tinybox.container.records import own_paths

            own_paths.execute_again()
        from tinybox.images.recipes import recipe
        from tinybox.images.reference import parse

        host.read("").check()
        if platform or recipe.find(name) is None:
            if not again:
                self.not_here(name)
            self.fetch(name, platform)
            return
        if not again:
            self.say(f"image {parse(name)} is not here yet; making it from its recipe")
        recipe.make(self.store, name, self.say, again=again)

    def bring(self, image: str, policy: str, platform: str = "") -> bool:
        """Make or pull *image*, with the policy *always* even if the store has it; return whether this was done."""
        if policy == ALWAYS or (platform and self.is_for_another(image, platform, policy)):
            self.make_again(image, platform)
            return True
        return self.make_missing(image, platform)

    def is_for_another(self, image: str, platform: str, policy: str) -> bool:
        """Return whether the store has *image* for another platform; ImageError: the policy *never* allows no other."""
        from tinybox.images.registry import manifests

        wanted = manifests.platform(platform)
        try:
            found = self.store.image(image)
        except ImageError:
            return False
        if manifests.fits(found.platform, wanted):
            return False
        if policy == NEVER:
            cause = f"was found, but is for {found.platform}, not {wanted}"
            raise ImageError(f"image {found.reference or image}", cause, "leave --pull never out")
        return True
