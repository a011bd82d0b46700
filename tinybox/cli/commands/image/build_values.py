"""Values of options of `tinybox build`: --build-arg, --secret, SOURCE_DATE_EPOCH; and a warning for --cache-from."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from tinybox.errors import UsageError, printable
from tinybox.text_values import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EPOCH = "SOURCE_DATE_EPOCH"
_SECRET_MOST = 500 << 10  # bytes, as in docker


def warn_of_caches(images: Iterable[str]) -> None:
    """Print a line if there is a --cache-from; docker ignores an image without a cache in it, too."""
    for image in images:
        text = f"--cache-from {image}: has no effect: the build cache is in the store, not in images"
        print(printable(f"tinybox: {text}"), file=sys.stderr)


def given(words: Iterable[str]) -> dict[str, str]:
    """Return the values of --build-arg: a name without a value has that of the caller's environment, if it is set."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise UsageError(f"--build-arg {word!r}", "names no variable", "NAME[=VALUE]")
        if equals or name in os.environ:
            found[name] = value if equals else os.environ[name]
    return found


def epoch(arguments: Mapping[str, str]) -> int | None:
    """Return SOURCE_DATE_EPOCH of --build-arg or of the environment, in seconds since 1970; None: it is not set."""
    text = arguments.get(EPOCH, os.environ.get(EPOCH, ""))
    if not text:
        return None
    if not is_whole(text) or int(text) >= 1 << 33:
        raise UsageError(f"{EPOCH}={text}", "is no number of seconds since 1970", "date +%s prints one")
    return int(text)


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
