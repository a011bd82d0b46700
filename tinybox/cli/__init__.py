"""The command line. `tinybox run` with ordinary options goes straight to the engine; all else goes through click.

click's import is longer than the making of a container, so what it does best (help, errors, completion, the other
commands) waits until it is needed. Both ways read the same table of options: container/options.py.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command that sys.argv says and exit with its status; every expected error is one line on stderr."""
    os.umask(0o022)  # what lies in a box has the modes that it is given; our caller's mask is not its business
    gc.disable()  # a short life: what a collection would free, the end frees sooner
    from tinybox.errors import TinyboxError

    open_streams()
    try:
        status = dispatch(sys.argv[1:])
        sys.stdout.flush()
    except TinyboxError as error:
        print(f"tinybox: {error}", file=sys.stderr)
        status = error.status
    except BrokenPipeError:  # the reader of our output has gone, as in `tinybox images | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 128 + 13
    except KeyboardInterrupt:
        status = 128 + 2
    except OSError as error:
        print(f"tinybox: {error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
        status = 125
    sys.stderr.flush()
    os._exit(status)  # the interpreter would take 4 ms to free what is freed anyway; nothing of ours waits for its end


def open_streams() -> None:
    """Open /dev/null where 0, 1 or 2 is closed, so that no file of ours becomes a stream; see open(2)."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # open(2) returns the lowest number that is free
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def dispatch(words: list[str]) -> int:
    """Run one command line and return its exit status."""
    if words[:1] == ["run"] and "_TINYBOX_COMPLETE" not in os.environ:
        from tinybox.cli import quick, run

        parsed = quick.parse(words[1:])
        if parsed is not None:
            options, (image, *command) = parsed
            return run.execute(image, command, options)
    from tinybox.cli import app

    return app.start(words)
