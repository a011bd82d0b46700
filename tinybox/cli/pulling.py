"""Pull policies (--pull, compose's pull_policy): when the image of a new container is made by its recipe.

*missing* makes an image that is not in the store, *always* makes it again each time, *never* makes none. Each image
that is made is reported on stderr, as docker reports a pull.
"""

from __future__ import annotations

from tinybox.errors import ImageError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

MISSING, ALWAYS, NEVER = "missing", "always", "never"


def checked(policy: str) -> str:
    """Return the *policy* of --pull; UsageError, in docker's words, if there is no such policy."""
    if policy not in (MISSING, ALWAYS, NEVER):
        raise UsageError("", f'invalid pull option: \'{policy}\': must be one of "{ALWAYS}", "{MISSING}" or "{NEVER}"')
    return policy


def with_image(image: str, act: Callable[[], Result], policy: str = MISSING) -> Result:
    """Return the result of *act*, which needs *image*; make the image as the *policy* says, before or on ImageError."""
    if policy == ALWAYS:
        bring(image, policy)
    try:
        return act()
    except ImageError as error:
        from tinybox.images.store import NO_SUCH

        if policy == NEVER and error.cause.startswith(NO_SUCH):
            from tinybox.images.reference import parse

            cure = f"tinybox pull {image}, or leave --pull never out"
            raise ImageError("", f"No such image: {parse(image)}", cure) from error
        if policy != MISSING or not bring(image, policy):
            raise
        return act()


def bring(image: str, policy: str) -> bool:
    """Make *image* by its recipe, with the policy *always* even if the store has it; return whether it was made.

    ImageError: the policy is *always*, and the image has no recipe, or the recipe failed.
    """
    from tinybox.cli.commands import registry

    if policy == ALWAYS:
        registry.make_again(image)
        return True
    return registry.make_missing(image)
