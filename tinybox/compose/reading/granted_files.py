"""The keys `secrets` and `configs` of a service: files that it gets at /run/secrets/NAME, or at /NAME.

A file of the host is mounted, so its owner and mode stay as they are. Text of a variable or of the compose file itself
is copied into the container before it starts; the program can read it, but no other box and no other user of the host.
"""

from __future__ import annotations

import os
from functools import partial

from tinybox.compose.reading.service import GrantedFile
from tinybox.compose.reading.service_mounts import joined_fields
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.compose.reading.declared import Resource
    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service, ServiceContext

_FOLDERS = {"secrets": "/run/secrets/", "configs": "/"}
_OWN = ("uid", "gid", "mode")
_MODE = 0o444
_MOST = (1 << 32) - 2  # ids of users and groups have 32 bits, and the largest one means none


def _read(kind: str, service: Service, field: Field, context: ServiceContext) -> None:
    for entry in field.entries():
        parts = parts_of(entry)
        source = declared(kind, parts["source"], context)
        target = parts["target"].text() if "target" in parts else source.key
        target = os.path.normpath(os.path.join(_FOLDERS[kind], target))
        if "file" in source.entries:
            if ignored := [key for key in _OWN if key in parts]:
                words = " and ".join(ignored)
                service.notes.append(f"{kind}: {words} of {source.key}: a file of the host keeps its own; ignored")
            path = context.path(source.entries["file"].text())
            service.add("mount", joined_fields(["type=bind", f"source={path}", f"target={target}", "readonly"]))
        else:
            owner = (_number(parts, "uid"), _number(parts, "gid"))
            mode = parts["mode"].mode() if "mode" in parts else _MODE
            service.files.append(GrantedFile(target, content(source, context), owner, mode))


READERS: dict[str, Any] = {kind: partial(_read, kind) for kind in _FOLDERS}


def parts_of(entry: Field) -> dict[str, Field]:
    """Return the parts of the short form, a name, or of the long form; UsageError: it names no source."""
    parts = entry.mapping(("source", "target", *_OWN)) if isinstance(entry.content, dict) else {"source": entry}
    if "source" not in parts:
        raise entry.wrong("names no source")
    return parts


def declared(kind: str, field: Field, context: ServiceContext) -> Resource:
    """Return the secret or config that *field* names; UsageError: the file declares none of this name."""
    known = context.granted[kind]
    if field.text() not in known:
        word = kind.removesuffix("s")
        raise field.wrong(
            f"there is no {word} {field.text()}", f"declare it: {kind}: {{{field.text()}: {{file: PATH}}}}"
        )
    return known[field.text()]


def content(source: Resource, context: ServiceContext) -> bytes:
    """Return the content of a secret or config that is no file; UsageError: its variable is not set."""
    if "content" in source.entries:
        return source.entries["content"].text().encode("utf-8", "surrogateescape")
    field = source.entries["environment"]
    value = context.variables.get(field.text())
    if value is None:
        raise field.wrong(f"the variable {field.text()} is not set", f"export {field.text()}")
    return value.encode("utf-8", "surrogateescape")


def _number(parts: dict[str, Field], key: str) -> int:
    text = parts[key].text() if key in parts else "0"
    if not is_whole(text) or int(text) > _MOST:
        raise parts[key].wrong(f"{text!r} is no number from 0 to {_MOST}")
    return int(text)
