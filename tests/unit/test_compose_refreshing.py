"""pull_policy daily and its like: an image is asked for again if the last time is longer ago."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tinybox.compose import refreshing
from tinybox.compose.reading.service import Service
from tinybox.images.reference import parse
from tinybox.images.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def test_an_old_image_is_asked_for_again(tmp_path: Path) -> None:
    """A missing image is `missing`; a young one, too; an old one is `always`, once: the time is then noted."""
    service = Service("web", "here")
    service.image, service.pull, service.refresh = "localhost:1/x", "refresh", 3600
    root = str(tmp_path)
    assert refreshing.policy(root, service) == "missing"
    link = Store(root).link(parse(service.image))
    os.makedirs(os.path.dirname(link))
    os.symlink("../images/x", link)
    assert refreshing.policy(root, service) == "missing"
    old = time.time() - 3601
    os.utime(link, (old, old), follow_symlinks=False)
    refreshing.note(root, service, "missing")  # the control: nothing was asked, so nothing is noted
    assert refreshing.policy(root, service) == "always"
    refreshing.note(root, service, "always")
    assert refreshing.policy(root, service) == "missing"


def test_other_policies_stay(tmp_path: Path) -> None:
    """`always`, `never` and so on are used as they are written."""
    service = Service("web", "here")
    for service.pull in ("always", "never", "missing", "build"):
        assert refreshing.policy(str(tmp_path), service) == service.pull
