"""The pull policies of container/pull_policy.py, with reports on stderr about each image that is made or pulled."""

from __future__ import annotations

from tinybox.container import pull_policy
from tinybox.container.pull_policy import ALWAYS, MISSING, NEVER, checked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from tinybox.container.bringing import Bringer

    Result = TypeVar("Result")

__all__ = ["ALWAYS", "MISSING", "NEVER", "bring", "checked", "with_image"]


def with_image(
    image: str, act: Callable[[], Result], policy: str = MISSING, platform: str = "", *, quiet: bool = False
) -> Result:
    """Return the result of *act*, which needs *image*, as pull_policy.with_image() does; with *quiet*, say nothing."""
    return pull_policy.with_image(image, act, policy, platform, lambda: _reporting(quiet=quiet))


def bring(image: str, policy: str, platform: str = "", *, quiet: bool = False) -> bool:
    """Make or pull *image* as the *policy* says; return whether this was done."""
    return _reporting(quiet=quiet).bring(image, policy, platform)


def _reporting(*, quiet: bool) -> Bringer:
    from tinybox.cli.commands.image import registry  # late: most runs find their image in the store

    return registry.Reporting(quiet=quiet)
