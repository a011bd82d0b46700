"""What docker does when an image is not there: it gets it, and says so."""

from __future__ import annotations

from tinybox.errors import ImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")


def with_image(image: str, act: Callable[[], Result]) -> Result:
    """Do *act*; if *image* is not there and has a recipe, make it and try again, as docker pulls what it lacks."""
    try:
        return act()
    except ImageError:
        from tinybox.cli.commands import images

        if not images.make_missing(image):
            raise
        return act()
