"""How a command of ours begins and ends: streams that are there, one line for an error, and a status.

Both console scripts, tinybox and tinybox-oci, are this around a function of their own.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def command(name: str, dispatch: Callable[[list[str]], int]) -> NoReturn:
    """Run ``NAME WORDS`` by *dispatch* and exit with its status; every expected error is one line on stderr."""
    gc.disable()  # a short life: what a collection would free, the end frees sooner
    from tinybox.errors import TinyboxError

    open_streams()
    try:
        status = dispatch(sys.argv[1:])
        sys.stdout.flush()
    except TinyboxError as error:
        print(f"{name}: {error}", file=sys.stderr)
        status = error.status
    except BrokenPipeError:  # the reader of our output has gone, as in `tinybox images | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 128 + 13
    except KeyboardInterrupt:
        status = 128 + 2
    except OSError as error:
        print(f"{name}: {error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
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
