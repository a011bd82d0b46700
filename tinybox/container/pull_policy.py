"""The pull policies (--pull, compose's pull_policy): when the image of a new container is brought into the store.

*missing* brings an image that is not in the store, *always* makes it again each time, or asks its registry for a newer
one, *never* brings none. How an image is brought is in bringing.py, which most runs do not need.
"""

from __future__ import annotations

from tinybox.errors import ImageError, NoSuchImageError, OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, TypeVar

    Result = TypeVar("Result")

    class Bringer(Protocol):
        """What a policy needs of the object that brings an image; see bringing.py."""

        def bring(self, image: str, policy: str, platform: str = "") -> bool:
            """Make or pull *image*; return whether this was done."""

        def is_for_another(self, image: str, platform: str, policy: str) -> bool:
            """Return whether the store has *image* for another platform."""


MISSING, ALWAYS, NEVER = "missing", "always", "never"


def checked(policy: str) -> str:
    """Return the *policy* of --pull; OptionError, in docker's words, if there is no such policy."""
    if policy not in (MISSING, ALWAYS, NEVER):
        raise OptionError("", f'invalid pull option: \'{policy}\': must be one of "{ALWAYS}", "{MISSING}" or "{NEVER}"')
    return policy


def with_image(
    image: str, act: Callable[[], Result], policy: str, platform: str, bringer: Callable[[], Bringer]
) -> Result:
    """Return the result of *act*, which needs *image*; bring the image as the *policy* says, before or on ImageError.

    *bringer* is called only if that is needed. If the store has the image for another platform than *platform*, this
    counts as missing.
    """
    if policy == ALWAYS or (platform and bringer().is_for_another(image, platform, policy)):
        bringer().bring(image, ALWAYS, platform)
    try:
        return act()
    except ImageError as error:
        if policy == NEVER and isinstance(error, NoSuchImageError):
            from tinybox.images.reference import parse

            cure = f"tinybox pull {image}, or leave --pull never out"
            missing = NoSuchImageError("", f"No such image: {parse(image)}", cure)
            missing.near = error.near
            raise missing from error
        if policy != MISSING or not bringer().bring(image, policy, platform):
            raise
        return act()
