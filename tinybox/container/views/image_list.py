"""images: the images of a store, one row for each name, and docker's filters for them (images, image prune)."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from tinybox.container.views import units
from tinybox.container.views.filter_values import Filter, truth
from tinybox.errors import TinyboxError, UsageError, report
from tinybox.images.reference import DEFAULT_TAG, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinybox.errors import ImageError
    from tinybox.images.store import Image, Store

    Test = Callable[["ListedImage"], bool]

NONE = "<none>"
KEYS = ("before", "dangling", "label", "label!", "reference", "since", "until")


class ListedImage:
    """An *image* with one of its names: repository *name* and *tag*, ``<none>`` if there is none.

    *digest* is what the image has in the registry of that name, or "".
    """

    def __init__(self, image: Image, name: str = NONE, tag: str = NONE, digest: str = "") -> None:
        self.image, self.name, self.tag, self.digest = image, name, tag, digest

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the image."""
        return self.image.config.get("Labels") or {}

    @property
    def created(self) -> int:
        """When the image was made, in ns since 1970; 0 if that is unknown."""
        return made_at(self.image.created)

    @property
    def is_dangling(self) -> bool:
        """Whether it has no name at all, neither a tag nor a digest."""
        return self.name == NONE


class ImageFilter(Filter):
    """The combined test of several --filter options for images; UsageError names the option that is wrong."""

    def __init__(self, store: Store, words: Sequence[str], keys: Sequence[str] = KEYS) -> None:
        self._store = store
        super().__init__(words, keys)

    def _dangling(self, value: str) -> Test:
        dangling = truth("dangling", value)
        return lambda listed: listed.is_dangling == dangling

    def _reference(self, value: str) -> Test:
        pattern = _pattern(value)
        return lambda listed: any(map(pattern.fullmatch, (listed.name, f"{listed.name}:{listed.tag}")))

    def _before(self, value: str) -> Test:
        limit = made_at(self._store.image(value).created)
        return lambda listed: listed.created < limit

    def _since(self, value: str) -> Test:
        limit = made_at(self._store.image(value).created)
        return lambda listed: listed.created > limit


def rows(
    store: Store, damaged: Callable[[ImageError], object] = report, *, each_digest: bool = False
) -> list[ListedImage]:
    """Return a row for each name of each image, the newest image first; call *damaged* with each error.

    With *each_digest* there is a row for each digest of a name, too. An image that was pulled by its digest has the
    name of its repository, and no tag.
    """
    digests, found = store.digests(), []
    for image in store.images(damaged):
        repository, _, tag = image.reference.rpartition(":")
        names = [name.partition("@")[::2] for name in digests.get(image.id, [])]
        if image.reference:
            mine = [digest for name, digest in names if name == repository] if each_digest else []
            found += [ListedImage(image, repository, tag, digest) for digest in mine or [""]]
        else:
            found += [ListedImage(image, name, NONE, digest) for name, digest in names] or [ListedImage(image)]
    return sorted(found, key=lambda listed: -listed.created)


def history(store: Store, image: Image) -> list[dict[str, Any]]:
    """Return the steps of the image's history, the newest first, as OCI writes them, each with its layer's ``size``.

    The keys are ``created created_by comment empty_layer author``, as far as they are known; a layer without an entry
    has a step of its own, with the time of the image. The size is in bytes.
    """
    sizes = image.sizes()
    entries = store.record(image.id).get("history") or []
    missing = max(len(sizes) - sum(not step.get("empty_layer") for step in entries), 0)
    found = []
    for step in [*[{"created": image.created}] * missing, *entries]:
        size = sizes.pop(0) if sizes and not step.get("empty_layer") else 0
        found.append({**step, "size": size})
    return found[::-1]


def named(text: str) -> str:
    """Return the value of the filter ``reference`` for the argument of `images`, which may be a pattern, as in docker.

    A name without a tag means every tag.
    """
    try:
        reference = parse(text)
    except TinyboxError:  # a pattern, such as busy*
        return text
    is_tagged = reference.tag != DEFAULT_TAG or text.endswith(f":{DEFAULT_TAG}")
    return str(reference) if is_tagged else reference.name


def made_at(text: str) -> int:
    """Return a date of an image's config in ns since 1970; 0 if it is missing, or no date."""
    try:
        return units.moment("created", text, 0) if text else 0
    except TinyboxError:
        return 0


def ago(then: int) -> str:
    """Return how long ago the time *then* was, as docker's tables have it."""
    return units.ago(then, time.time_ns()) if then else "N/A"


def _pattern(text: str) -> re.Pattern[str]:
    r"""Return a shell pattern as a regular expression, in which ``*`` stops at a slash, as in Go's path.Match."""
    parts = re.findall(r"\*|\?|\[\^?[^\]\\]+\]|\\.|.", text, re.DOTALL)
    if "[" in parts:
        raise UsageError(f"--filter reference={text}", "syntax error in pattern", "a [ needs a ]")
    known = {"*": "[^/]*", "?": "[^/]"}
    made = [known.get(part) or (part if part[0] == "[" and len(part) > 1 else re.escape(part[-1])) for part in parts]
    return re.compile("".join(made))
