"""Make a missing image from its recipe and report that on stderr, as docker pulls a missing image."""

from __future__ import annotations

from tinybox.errors import ImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")


def with_image(image: str, act: Callable[[], Result]) -> Result:
    """Return the result of *act*; if *image* is missing and has a recipe, make the image and call *act* again."""
    try:
        return act()
    except ImageError:
        from tinybox.cli.commands import images

        if not images.make_missing(image):
            raise
        return act()
