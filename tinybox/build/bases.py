"""The base images of a build: bring those that the store does not have, for the platform that FROM asks for."""

from __future__ import annotations

from tinybox.errors import ImageError
from tinybox.images.registry import manifests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.build.order import Bring
    from tinybox.container.bringing import Bringer


def bringing(bringer: Bringer, *, pulls: bool) -> Bring:
    """Return the function by which a build asks for a base image: *bringer* brings what is missing.

    With *pulls* it brings each image once, also one that is here (``--pull``).
    """
    brought: set[str] = set()

    def bring(name: str, platform: str) -> None:
        if platform and not _is_here(bringer, name, platform):
            bringer.fetch(name, platform)
        elif pulls and name not in brought:
            bringer.make_again(name)
        else:
            bringer.make_missing(name)
        brought.add(name)

    return bring


def _is_here(bringer: Bringer, name: str, platform: str) -> bool:
    wanted = manifests.platform(platform)
    try:
        found = bringer.store.image(name)
    except ImageError:
        return str(wanted) == str(manifests.this_platform())  # then it may have a recipe
    return found.architecture == wanted.architecture
