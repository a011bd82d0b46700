"""Relative paths of a file that is included or extended begin in its own directory: `anchored` makes them absolute."""

from __future__ import annotations

import os

from tinybox.compose.reading.document import Field

_LIST = "[]"
# The places of paths in a file; * is any key. A service's `volumes` and a volume's `device` are decided by their text.
_PLACES = {
    tuple(place.split("."))
    for place in (
        "services.*.build services.*.build.context services.*.build.additional_contexts.* services.*.env_file "
        "services.*.env_file.[] services.*.env_file.[].path services.*.label_file services.*.label_file.[] "
        "services.*.extends.file services.*.develop.watch.[].path services.*.volumes.[] services.*.volumes.[].source "
        "volumes.*.driver_opts.device configs.*.file secrets.*.file"
    ).split()
}
_SHORT, _SOURCE, _DEVICE = (
    ("services", "*", "volumes", _LIST),
    ("services", "*", "volumes", _LIST, "source"),
    ("volumes", "*", "driver_opts", "device"),
)
_WAYS = {place[:length] for place in _PLACES for length in range(len(place) + 1)}  # where a path may stand below


def is_path(text: str) -> bool:
    """Return whether the source of a volume is a path of the host, and not the name of a volume."""
    return text.startswith((".", "/", "~"))


def joined(folder: str, path: str) -> str:
    """Return *path* as an absolute path; a relative one begins in *folder*."""
    return os.path.normpath(os.path.join(folder, os.path.expanduser(path)))


def anchored(tree: Field, folder: str) -> Field:
    """Return the *tree* of a file with its relative paths made absolute: they begin in *folder*."""
    return _anchored(tree, folder, (), None)


def anchored_service(service: Field, folder: str) -> Field:
    """Do the same for one service."""
    return _anchored(service, folder, ("services", "*"), None)


def _anchored(field: Field, folder: str, place: tuple[str, ...], above: Field | None) -> Field:
    content = field.content
    if place not in _WAYS:
        return field
    if isinstance(content, dict):
        made = {key: _anchored(value, folder, _below(place, key), field) for key, value in content.items()}
        return Field(made, field.name, field.place, field.tag)
    if isinstance(content, list):
        items = [_anchored(item, folder, (*place, _LIST), field) for item in content]
        return Field(items, field.name, field.place, field.tag)
    if isinstance(content, str) and place in _PLACES:
        return Field(_absolute(content, folder, place, above), field.name, field.place, field.tag)
    return field


def _below(place: tuple[str, ...], key: str) -> tuple[str, ...]:
    exact = (*place, key)
    return exact if exact in _WAYS else (*place, "*")


def _absolute(text: str, folder: str, place: tuple[str, ...], above: Field | None) -> str:
    kind = _text(above, "type")
    if place == _SHORT:
        source, colon, rest = text.partition(":")
        return f"{joined(folder, source)}{colon}{rest}" if colon and is_path(source) else text
    if (place == _SOURCE and kind != "bind") or (place == _DEVICE and "bind" not in _text(above, "o").split(",")):
        return text
    is_address = "://" in text or text.startswith(("service:", "git@"))
    return text if is_address or not text else joined(folder, text)


def _text(field: Field | None, key: str) -> str:
    found = field.content.get(key) if field is not None and isinstance(field.content, dict) else None
    return found.content if found is not None and isinstance(found.content, str) else ""
