"""What a build is asked for, by the command line, a compose file or Python; and the wish that is made of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from tinybox.build import opening
from tinybox.build.building import Wish
from tinybox.build.files.context import Context
from tinybox.errors import UsageError
from tinybox.images.reference import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import ExitStack
    from io import BufferedReader
    from typing import Any

    from tinybox.images.store import Store

_SECRET_MOST = 500 << 10  # bytes, as in docker


class Asked(NamedTuple):
    """The options of a build, with the names and meanings that `tinybox build --help` gives; *names* are the tags.

    *for_run* are options of the containers of RUN (run_options.py), *contexts* other contexts by their names.
    """

    file: str
    names: Iterable[str]
    arguments: Mapping[str, str]
    target: str
    labels: Mapping[str, str]
    platform: str
    secrets: Mapping[str, bytes]
    network: str
    no_cache: bool
    keep_failed: bool
    pull: bool
    for_run: Mapping[str, Any] = {}
    contexts: Mapping[str, str] = {}


def wish(stack: ExitStack, store: Store, context: str, asked: Asked, stdin: BufferedReader, inline: str = "") -> Wish:
    """Open the directory *context*, or "-" for *stdin*, which *stack* closes, and return what is to be built there.

    *inline* is the content of the Containerfile, if it is no file. UsageError: there is none, or a name is wrong.
    """
    if inline:
        content, file = inline.encode("utf-8", "surrogateescape"), "dockerfile_inline"
        found = stack.enter_context(Context.of_directory(context))
    else:
        content, file, found = opening.opened(stack, store, context, asked.file, stdin)
    names = [parse(name) for name in asked.names]
    for name in names:
        if name.digest:
            raise UsageError(f"--tag {name}", "a new image cannot have a digest", "NAME[:TAG]")
    return Wish(
        content, file, found, names, asked.arguments, asked.target, asked.labels, asked.platform, asked.secrets,
        asked.network, not asked.no_cache, asked.keep_failed, asked.for_run, asked.contexts,
    )  # fmt: skip


def secret(text: str) -> tuple[str, bytes]:
    """Return the id and the content of a --secret; UsageError: it cannot be read."""
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    name, kind = fields.pop("id", ""), fields.pop("type", "")
    file, variable = fields.pop("src", "") or fields.pop("source", ""), fields.pop("env", "")
    if fields or not name or kind not in {"", "file", "env"}:
        raise UsageError(f"--secret {text}", "is wrong", "id=NAME,src=FILE or id=NAME,env=VARIABLE")
    if not file and (variable or kind == "env" or name in os.environ):
        variable = variable or name
        if variable not in os.environ:
            raise UsageError(f"--secret id={name}", f"the variable {variable} is not set", "export it")
        return name, os.environb[os.fsencode(variable)]
    try:
        with open(file or name, "rb") as opened:
            content = opened.read(_SECRET_MOST + 1)
    except OSError as error:
        raise UsageError(f"--secret id={name}", f"{file or name}: {error.strerror}", "src=FILE") from error
    if len(content) > _SECRET_MOST:
        raise UsageError(f"--secret id={name}", f"is larger than {_SECRET_MOST >> 10} KiB", "it is hardly a secret")
    return name, content
