"""`tinybox exec`: run one more program in a running container; container/execute.py makes its process.

The exit status is the program's, as with docker-exec(1).
"""

from __future__ import annotations

import os
import sys

from tinybox.container import execute as executing
from tinybox.container import sweeping
from tinybox.container.process.handles import Handles
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.errors import (
    NoTerminalError,
    NotExecutableError,
    NotFoundError,
    StateError,
    TinyboxError,
    printable,
)
from tinybox.images import tidying

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.process.detaching import Departure

FAILED = 1


def command_line(name: str, command: list[str], options: dict[str, Any]) -> int:
    """Do the same as `execute`, after the clean-up that every command begins with; errors have docker's status."""
    try:
        if os.geteuid() == 0:
            paths = Paths()
            sweeping.sweep(paths)
            tidying.tidy(paths.root)
        return execute(name, command, options)
    except TinyboxError as error:
        from tinybox.cli import statuses

        error.status = statuses.of(["exec"], error)
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        failed = TinyboxError(str(error.filename or "system"), error.strerror or str(error))
        failed.status = FAILED
        raise failed from error


def execute(name: str, command: list[str], options: dict[str, Any]) -> int:
    """Run *command* in the running container *name*, with the *options* of docker-exec(1); return its exit status."""
    options["tty"] = bool(options.get("tty")) and not options.get("detach")  # with -d no process reads the terminal
    if options["tty"] and options.get("interactive") and os.isatty(0):
        from tinybox.container.config import defaults
        from tinybox.container.process import detaching

        keys = options.get("detach_keys") or defaults.detach_keys()
        make = lambda departure: _execute(name, command, options, departure)  # noqa: E731
        return detaching.in_owner(make, keys, b"tinybox:exec")
    return _execute(name, command, options)


def _execute(name: str, command: list[str], options: dict[str, Any], departure: Departure | None = None) -> int:
    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    if options["tty"] and options.get("interactive") and not os.isatty(0):
        raise NoTerminalError
    is_detached = bool(options.get("detach"))
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    out, err = (null, null) if is_detached else (1, 2)
    stdin = 0 if options.get("interactive") and not is_detached else null
    handles = Handles((stdin, out, err), interactive=stdin == 0, watched=not is_detached)
    if departure is not None:
        departure.area, handles.leaving = here.arguments, departure
    try:
        ending = executing.execute(paths, here, name, command, options, handles)
    except StateError:  # the container is paused, or has just ended
        raise
    except TinyboxError as error:
        error.status = _status(error, is_detached=is_detached)
        raise
    if ending is not None and ending.complaint:
        print(printable(f"tinybox: {ending.complaint}"), file=sys.stderr)
    return 0 if ending is None else ending.status


def _status(error: TinyboxError, *, is_detached: bool) -> int:
    """Return the status after an *error* when the container was found, as docker's `exec` ends.

    A program that cannot be started is 127 if a file is missing, else 126. With -d it is 1, because docker's client
    does not ask for the status of that program.
    """
    if is_detached or error.thing.startswith("--env"):
        return FAILED
    if error.status != TinyboxError.status:
        return error.status
    is_missing = "no such file" in error.cause.lower()
    return NotFoundError.status if is_missing else NotExecutableError.status
