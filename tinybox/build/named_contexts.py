"""Named contexts, docker's --build-context and compose's additional_contexts: NAME is an image or a directory.

With ``docker-image://IMAGE``, NAME in FROM and --from is that image. With a directory, --from=NAME of COPY and of a
bind mount takes its files, as from the context of the build. In --from such a name goes before a stage of that name, in
both before an image.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

IMAGE = "docker-image://"


def parsed(words: Iterable[str]) -> dict[str, str]:
    """Return the values of --build-context, ``NAME=VALUE``; UsageError: one is neither a directory nor an image."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise UsageError(f"--build-context {word}", "is not NAME=VALUE", f"NAME=DIRECTORY, or NAME={IMAGE}IMAGE")
        if not value.startswith(IMAGE) and not os.path.isdir(value):
            cause = "is no directory" if "://" not in value else "is no context that tinybox knows"
            raise UsageError(f"--build-context {word}", cause, f"a directory, or {IMAGE}IMAGE")
        found[name] = value if value.startswith(IMAGE) else os.path.abspath(value)
    return found


def image(contexts: Mapping[str, str], name: str) -> str:
    """Return the image that *name* is a context for, or *name* itself."""
    value = contexts.get(name, "")
    return value.removeprefix(IMAGE) if value.startswith(IMAGE) else name


def directory(contexts: Mapping[str, str], name: str) -> str:
    """Return the directory that *name* is a context for, or "" if it is none."""
    value = contexts.get(name, "")
    return "" if value.startswith(IMAGE) else value
