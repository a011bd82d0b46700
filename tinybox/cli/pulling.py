"""What docker does about an image before a container is made of it: it gets what is missing, and says so.

`--pull` and compose's `pull_policy` choose: *missing* makes an image by its recipe where the store has none, *always*
makes it anew, *never* does neither.
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
    """Return the *policy* of --pull; UsageError, in docker's words, if there is none of this name."""
    if policy not in (MISSING, ALWAYS, NEVER):
        raise UsageError("", f'invalid pull option: \'{policy}\': must be one of "{ALWAYS}", "{MISSING}" or "{NEVER}"')
    return policy


def with_image(image: str, act: Callable[[], Result], policy: str = MISSING) -> Result:
    """Do *act*; if *image* is not there and has a recipe, make it and try again, unless the *policy* is another one."""
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
    """Have *image* in the store if it can be got, by *policy* anew or only if it is missing; tell whether it was made.

    ImageError: it should be made anew, and cannot be.
    """
    from tinybox.cli.commands import images

    if policy == ALWAYS:
        images.make_anew(image)
        return True
    return images.make_missing(image)
