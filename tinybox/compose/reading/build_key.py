"""The key ``build`` of a service: the image of the service is made by a Containerfile."""

from __future__ import annotations

import os

from tinybox.compose.reading import granted_files, life_keys, service_networks
from tinybox.compose.reading.service import Build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service, ServiceContext

    Reader = Callable[[Build, Field, ServiceContext], None]


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
        kind, separator, rest = (value or "").partition(":")
        if kind == "service" and rest not in context.services:
            raise field.wrong(f"there is no service {rest}")
        if separator and kind not in ("service", "docker-image"):
            raise field.wrong(f"{value} is no context that tinybox knows", "a directory, docker-image:// or service:")
        found.contexts[name] = value if separator and value else context.path(value or "")


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
