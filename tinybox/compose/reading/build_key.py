"""The key ``build`` of a service: the image of the service is made by a Containerfile."""

from __future__ import annotations

import os

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


KEYS: dict[str, Reader] = {
    "args": _arguments,
    "context": lambda *_: None,  # `read` needs it first
    "dockerfile": _file,
    "dockerfile_inline": _text("inline"),
    "labels": _labels,
    "network": _text("network"),
    "no_cache": _flag("no_cache"),
    "pull": _flag("pull"),
    "tags": _tags,
    "target": _text("target"),
}
