"""pull_policy `daily`, `weekly` and `every_12h`: an image is asked for again if the last time is longer ago.

That time is the age of the link from the image's name to the image: a pull makes it, and `note` renews it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from tinybox.images.reference import parse
from tinybox.images.store import Store

REFRESH = "refresh"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.compose.reading.service import Service


def policy(root: str, service: Service) -> str:
    """Return the pull policy for the image of *service* now; ``refresh`` becomes ``always``, or ``missing``."""
    if service.pull != REFRESH:
        return service.pull
    try:
        since = os.lstat(_link(root, service)).st_mtime
    except FileNotFoundError:
        return "missing"
    return "always" if time.time() - since >= service.refresh else "missing"


def note(root: str, service: Service, used: str) -> None:
    """Note that the registry was asked now, if the policy *used* was to do that; see utimensat(2)."""
    if service.pull != REFRESH or used != "always":
        return
    with suppress(FileNotFoundError):
        os.utime(_link(root, service), follow_symlinks=False)


def _link(root: str, service: Service) -> str:
    return Store(root).link(parse(service.image))
