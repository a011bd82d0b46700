"""pull_policy `daily`, `weekly` and `every_12h`: an image is asked for again if the last time is longer ago.

That time is the age of the link from the image's name to the image: a pull makes it, and `note` renews it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from tinybox.images.reference import parse
from tinybox.images.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.compose.reading.service import Service


def policy(root: str, service: Service) -> str:
    """Return the pull policy for the image of *service* now: ``always`` if it is too old, else ``missing``."""
    try:
        since = os.lstat(_link(root, service)).st_mtime
    except FileNotFoundError:
        return "missing"
    return "always" if time.time() - since >= service.refresh else "missing"


def note(root: str, service: Service) -> None:
    """Note that the registry was asked now; see utimensat(2)."""
    with suppress(FileNotFoundError):
        os.utime(_link(root, service), follow_symlinks=False)


def _link(root: str, service: Service) -> str:
    return Store(root).link(parse(service.image))
