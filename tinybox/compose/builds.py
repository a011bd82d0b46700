"""The builds of a project: the images of services with the key ``build``, each after those that it is based on."""

from __future__ import annotations

from tinybox.build import asking, named_contexts, run_options
from tinybox.errors import NoSuchImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tinybox.compose.reading.service import Service
    from tinybox.images.store import Store

    Build = Callable[[str, asking.Asked, str], object]  # the context, what is asked for, and dockerfile_inline


def build_missing(store: Store, services: Iterable[Service], build: Build, *, again: bool) -> None:
    """Build by *build* the images of *services* that *store* lacks, or *again* all that have a ``build`` key."""
    for service in services:
        if service.build is not None and (again or service.pull == "build" or _is_missing(store, service.image)):
            build_one(store, service, build)


def build_one(
    store: Store,
    service: Service,
    build: Build,
    arguments: Mapping[str, str] | None = None,
    *,
    no_cache: bool = False,
    pull: bool = False,
) -> None:
    """Build the image of *service*, if it has a ``build`` key; ImageError or UsageError: it cannot be built."""
    found = service.build
    if found is None:
        return
    for base in found.bases:
        if base.build is not None and (no_cache or _is_missing(store, base.image) or base.pull == "build"):
            build_one(store, base, build, no_cache=no_cache, pull=pull)
    asked = asking.Asked(
        file=found.file,
        names=[service.image, *found.tags],
        arguments={**found.arguments, **(arguments or {})},
        target=found.target,
        labels=found.labels,
        platform=found.platform,
        secrets=dict(_secret(*pair) for pair in found.secrets.items()),
        network="" if found.network == "default" else found.network,
        no_cache=no_cache or found.no_cache,
        keep_failed=False,
        pull=pull or found.pull,
        for_run=run_options.checked(found.for_run),
        contexts=named_contexts.parsed(f"{name}={value}" for name, value in found.contexts.items()),
    )
    build(found.context, asked, found.inline)


def _secret(name: str, source: str | bytes) -> tuple[str, bytes]:
    return (name, source) if isinstance(source, bytes) else asking.secret(f"id={name},src={source}")


def _is_missing(store: Store, name: str) -> bool:
    try:
        store.image(name)
    except NoSuchImageError:
        return True
    return False
