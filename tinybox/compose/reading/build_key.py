"""The key ``build`` of a service: the image of the service is made by a Containerfile."""

from __future__ import annotations

import os

from tinybox.build import named_contexts
from tinybox.compose.reading import granted_files, life_keys, service_networks
from tinybox.compose.reading.service import Build
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service, ServiceContext

    Reader = Callable[[Build, Field, ServiceContext], None]


SERVICE = "service:"
_DEEPEST = 50  # services that need the image of the next one


def read(service: Service, field: Field, context: ServiceContext) -> None:
    """Set ``service.build``; UsageError names the wrong entry and its line."""
    if isinstance(field.content, str):
        service.build = Build(context.path(field.text()))
        return
    entries = field.mapping(KEYS)
    found = service.build = Build(context.path(entries["context"].text() if "context" in entries else "."))
    for key, entry in entries.items():
        KEYS[key](found, entry, context)
    service.notes += [f"build: {note}" for note in found.notes]
    if found.file and found.inline:
        raise entries["dockerfile_inline"].wrong("conflicts with dockerfile", "leave one of them out")


def _text(name: str) -> Reader:
    return lambda found, field, _: setattr(found, name, field.text())


def _flag(name: str) -> Reader:
    return lambda found, field, _: setattr(found, name, field.flag())


def _file(found: Build, field: Field, _: ServiceContext) -> None:
    found.file = os.path.normpath(os.path.join(found.context, field.text()))


def _arguments(found: Build, field: Field, context: ServiceContext) -> None:
    """Take the values of ARGs; one without a value has that of the variable of its name, if there is one."""
    for name, value in field.pairs().items():
        given = context.variables.get(name) if value is None else value
        if given is not None:
            found.arguments[name] = given


def _labels(found: Build, field: Field, _: ServiceContext) -> None:
    found.labels = {name: value or "" for name, value in field.pairs().items()}


def _tags(found: Build, field: Field, _: ServiceContext) -> None:
    found.tags = field.texts()


def _secrets(found: Build, field: Field, context: ServiceContext) -> None:
    """Take the secrets of RUN --mount=type=secret; the target is the id there."""
    for entry in field.entries():
        parts = granted_files.parts_of(entry)
        source = granted_files.declared("secrets", parts["source"], context)
        name = parts["target"].text() if "target" in parts else source.key
        path = source.entries.get("file")
        found.secrets[name] = context.path(path.text()) if path else granted_files.content(source, context)


def _platforms(found: Build, field: Field, _: ServiceContext) -> None:
    """Take the platform; an image of the store is for one."""
    platforms = field.texts()
    if len(platforms) > 1:
        raise field.wrong("the store keeps one platform of an image", "name one")
    found.platform = platforms[0] if platforms else ""


def _hosts(found: Build, field: Field, _: ServiceContext) -> None:
    found.hosts = service_networks.host_lines(field)


def _ulimits(found: Build, field: Field, _: ServiceContext) -> None:
    found.ulimits = life_keys.limits(field)


def _contexts(found: Build, field: Field, context: ServiceContext) -> None:
    """Take named contexts: a directory, ``docker-image://NAME``, or ``service:NAME``."""
    for name, value in field.pairs().items():
        kind, _, rest = (value or "").partition(":")
        if kind == "service" and rest not in context.services:
            raise field.wrong(f"there is no service {rest}")
        is_name = value is not None and (kind == "service" or value.startswith(named_contexts.IMAGE))
        if "://" in (value or "") and not is_name:
            raise field.wrong(f"{value} is no context that tinybox knows", "a directory, docker-image:// or service:")
        found.contexts[name] = value if value and is_name else context.path(value or "")


def link(services: Mapping[str, Service]) -> None:
    """Replace each context ``service:NAME`` by the image of that service, which is built before.

    UsageError: services are the contexts of one another.
    """
    for service in services.values():
        found = service.build
        for name, value in (found.contexts if found else {}).items():
            if found and value.startswith(SERVICE):
                other = services[value.removeprefix(SERVICE)]
                found.bases.append(other)
                found.contexts[name] = f"{named_contexts.IMAGE}{other.image}"
    done = set[str]()
    for service in services.values():
        _refuse_circle(service, (), done)


def _refuse_circle(service: Service, above: tuple[Service, ...], done: set[str]) -> None:
    """Raise UsageError if *service*, or a service below it, is among those *above* it; *done* has none below it."""
    if service.name in done:
        return
    if service in above or len(above) > _DEEPEST:
        names = " -> ".join(each.name for each in (*above, service))
        raise UsageError(
            f"{service.place}: services.{service.name}.build", f"services need one another's images: {names}"
        )
    for other in service.build.bases if service.build else ():
        _refuse_circle(other, (*above, service), done)
    done.add(service.name)


def _cache_from(found: Build, field: Field, _: ServiceContext) -> None:
    if field.texts():
        found.notes.append("cache_from is ignored: the build cache is in the store")


def _refused(cause: str, cure: str) -> Reader:
    def read(_: Build, field: Field, __: ServiceContext) -> None:
        raise field.wrong(cause, cure)

    return read


def _privileged(_: Build, field: Field, __: ServiceContext) -> None:
    if field.flag():
        raise field.wrong("a build of tinybox never has more rights than `run`", "leave it out")


def _isolation(_: Build, field: Field, __: ServiceContext) -> None:
    if field.text() not in ("default", ""):
        raise field.wrong(f"invalid isolation {field.text()!r} on linux", "leave it out")


KEYS: dict[str, Reader] = {
    "additional_contexts": _contexts,
    "args": _arguments,
    "cache_from": _cache_from,
    "cache_to": _refused("tinybox keeps its build cache in the store, and exports none", "leave it out"),
    "context": lambda *_: None,  # `read` needs it first
    "dockerfile": _file,
    "dockerfile_inline": _text("inline"),
    "entitlements": _refused("a build of tinybox never has more rights than `run`", "leave it out"),
    "extra_hosts": _hosts,
    "isolation": _isolation,
    "labels": _labels,
    "network": _text("network"),
    "no_cache": _flag("no_cache"),
    "platforms": _platforms,
    "privileged": _privileged,
    "pull": _flag("pull"),
    "secrets": _secrets,
    "shm_size": _text("shm_size"),
    "ssh": _refused("tinybox has no --mount=type=ssh", "secrets: gives a key to RUN"),
    "tags": _tags,
    "target": _text("target"),
    "ulimits": _ulimits,
}
