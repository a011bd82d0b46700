"""Pull policies (--pull, compose's pull_policy): when the image of a new container is made or pulled.

*missing* brings an image that is not in the store, *always* makes it again each time, or asks its registry for a newer
one, *never* brings none. An image is made by its recipe if it has one, else pulled. All this is reported on stderr.
"""

from __future__ import annotations

from tinybox.errors import ImageError, OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

MISSING, ALWAYS, NEVER = "missing", "always", "never"


def checked(policy: str) -> str:
    """Return the *policy* of --pull; OptionError, in docker's words, if there is no such policy."""
    if policy not in (MISSING, ALWAYS, NEVER):
        raise OptionError("", f'invalid pull option: \'{policy}\': must be one of "{ALWAYS}", "{MISSING}" or "{NEVER}"')
    return policy


def with_image(
    image: str, act: Callable[[], Result], policy: str = MISSING, platform: str = "", *, quiet: bool = False
) -> Result:
    """Return the result of *act*, which needs *image*; bring the image as the *policy* says, before or on ImageError.

    With *quiet* nothing is reported. If the store has the image for another platform than *platform*, this counts as
    missing.
    """
    if policy == ALWAYS or (platform and _is_for_another(image, platform, policy)):
        bring(image, ALWAYS, platform, quiet=quiet)
    try:
        return act()
    except ImageError as error:
        from tinybox.images.store import NO_SUCH

        if policy == NEVER and error.cause.startswith(NO_SUCH):
            from tinybox.images.reference import parse

            cure = f"tinybox pull {image}, or leave --pull never out"
            raise ImageError("", f"No such image: {parse(image)}", cure) from error
        if policy != MISSING or not bring(image, policy, platform, quiet=quiet):
            raise
        return act()


def bring(image: str, policy: str, platform: str = "", *, quiet: bool = False) -> bool:
    """Make or pull *image*, with the policy *always* even if the store has it; return whether this was done.

    ImageError: the recipe has failed, or the registry does not have the image.
    """
    from tinybox.cli.commands.image import registry

    if policy == ALWAYS or (platform and _is_for_another(image, platform, policy)):
        registry.make_again(image, platform, quiet=quiet)
        return True
    return registry.make_missing(image, platform, quiet=quiet)


def _is_for_another(image: str, platform: str, policy: str) -> bool:
    """Return whether the store has *image* for another platform; ImageError: the policy *never* allows no other."""
    from tinybox.cli.commands.image import registry
    from tinybox.images.registry import manifests

    wanted = manifests.platform(platform)
    try:
        found = registry.store().image(image)
    except ImageError:
        return False
    if manifests.fits(found.platform, wanted):
        return False
    if policy == NEVER:
        cause = f"was found, but is for {found.platform}, not {wanted}"
        raise ImageError(f"image {found.reference or image}", cause, "leave --pull never out")
    return True
