"""What a build is asked for: the order that all stages get, and where the files of `--from` come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.build import named_contexts, stages
from tinybox.errors import ImageError
from tinybox.images.store import layer_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinybox.build.files.context import Context
    from tinybox.build.stages import Stage
    from tinybox.images.registry.manifests import Platform
    from tinybox.images.store import Store

    Bring = Callable[[str, str], None]

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
PREDEFINED = frozenset([*PROXIES, *map(str.lower, PROXIES)])  # ARGs that need no declaration, and are in no key


class Order(NamedTuple):
    """One build: its *context*, the *given* values of --build-arg, and the options of the command.

    *platform* is that of the new image; if it is given, base images must be for it. *arguments* are the ARGs before the
    first FROM, with TARGETARCH and the like. *secrets* has the content of each secret by its id. *bring* makes an image
    that is not in the store, by its name and its platform ("": any). *now* is the time that the image gets, in seconds
    since 1970; *newest*, if not None, is SOURCE_DATE_EPOCH. *for_run* are options of the container of each RUN.
    *contexts* are named ones; see named_contexts.py.
    """

    store: Store
    context: Context
    escape: str
    stages: list[Stage]
    arguments: Mapping[str, str]
    given: Mapping[str, str]
    platform: Platform
    is_platform_given: bool
    secrets: Mapping[str, bytes]
    network: str
    uses_cache: bool
    keeps_failed: bool
    bring: Bring
    now: int
    newest: int | None
    for_run: Mapping[str, Any]
    contexts: Mapping[str, str]


class Origin(NamedTuple):
    """The files of a stage or an image: their *diff_ids*, the directories of its *layers*, and its name."""

    diff_ids: list[str]
    layers: list[str]
    name: str


def origin(order: Order, finished: Mapping[int, dict[str, Any]], number: int, name: str) -> Origin:
    """Return where ``--from=name`` in the stage *number* takes files from; ImageError: there is no such image.

    *finished* has the config document of each stage that is done.
    """
    image_name = named_contexts.image(order.contexts, name)
    other = stages.numbered(order.stages[:number], name)
    if other is not None and image_name == name:
        if other not in finished:
            raise ImageError(f"--from={name}", "this stage is not built", "a trigger of ONBUILD cannot name it")
        diff_ids: list[str] = finished[other]["rootfs"]["diff_ids"]
        paths = [f"{order.store.root}/layers/{layer_key(diff_id)}/fs" for diff_id in diff_ids]
        return Origin(diff_ids, paths, f"stage {name}")
    order.bring(image_name, "")
    image = order.store.image(image_name)
    return Origin(image.diff_ids, image.layers, f"image {name}")
