"""Open what a build is made of: the Containerfile, and its context, a directory or a tar archive from a stream."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinybox.build.building import EPOCH
from tinybox.build.containerfile import LARGEST
from tinybox.build.files.context import Context, ignore_file_of
from tinybox.errors import UsageError
from tinybox.images import intake
from tinybox.text_values import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import ExitStack
    from io import BufferedReader

    from tinybox.images.store import Store

NAMES = ("Containerfile", "Dockerfile")
_ARCHIVES = {0: (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"), 257: (b"ustar",)}  # marks, by position


def opened(
    stack: ExitStack, store: Store, context: str, file: str, stdin: BufferedReader
) -> tuple[bytes, str, Context]:
    """Return the Containerfile, its name for messages, and the context, which *stack* closes.

    *context* is a directory, or ``-``: then *stdin* is a tar archive, or a Containerfile alone. *file* is the path of
    the Containerfile, or ``-`` for *stdin*, or "" for the usual name in the context. UsageError: there is none.
    """
    if context == "-":
        if file == "-":
            raise UsageError("build", "CONTEXT and --file cannot both be stdin", "give one of them a path")
        if not _is_archive(stdin.peek(512)):
            if file:
                raise UsageError(f"--file {file}", "stdin is no archive that could have it", "leave --file out")
            return stdin.read(LARGEST + 1), "stdin", stack.enter_context(Context.nothing())
        work = stack.enter_context(_workspace(store))
        found = stack.enter_context(Context.of_archive(stdin, work, f"{file or NAMES[0]}.dockerignore"))
        return *_inside(found, file), found
    if file == "-":
        return stdin.read(LARGEST + 1), "stdin", stack.enter_context(Context.of_directory(context))
    path = file or next(filter(os.path.exists, (os.path.join(context, name) for name in NAMES)), "")
    if not path:
        if not os.path.isdir(context):
            raise UsageError(f"build {context}", "is no directory", "give the directory with the files")
        raise UsageError(f"build {context}", "has no Containerfile and no Dockerfile", "-f FILE")
    try:
        with open(path, "rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(path, f"cannot be read: {error.strerror}", "-f FILE") from error
    return content, path, stack.enter_context(Context.of_directory(context, ignore_file_of(path)))


def _inside(context: Context, file: str) -> tuple[bytes, str]:
    for name in [file] if file else NAMES:
        content = context.read(name, LARGEST)
        if content is not None:
            return content, name
    raise UsageError("build -", f"the archive has no {file or ' and no '.join(NAMES)}", "-f FILE")


@contextmanager
def _workspace(store: Store) -> Iterator[str]:
    with intake.workspace(store) as work:
        yield work.path


def _is_archive(beginning: bytes) -> bool:
    return any(beginning[at:].startswith(marks) for at, marks in _ARCHIVES.items())


def epoch(arguments: Mapping[str, str]) -> int | None:
    """Return SOURCE_DATE_EPOCH of --build-arg or of the environment, in seconds since 1970; None: it is not set."""
    text = arguments.get(EPOCH, os.environ.get(EPOCH, ""))
    if not text:
        return None
    if not is_whole(text) or int(text) >= 1 << 33:
        raise UsageError(f"{EPOCH}={text}", "is no number of seconds since 1970", "date +%s prints one")
    return int(text)
