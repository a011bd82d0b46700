"""Entry point of both console scripts: open the standard streams, print an error in one line, exit with a status.

Each console script, tinybox and tinybox-oci, calls `command` with its own dispatch function.
"""

from __future__ import annotations

import gc
import os
import sys

from tinybox import modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import NoReturn
else:
    import _signal as signal  # the C module alone, as in linux/signals, which is above this file


def command(name: str, dispatch: Callable[[list[str]], int]) -> NoReturn:
    """Run *dispatch* with the command-line arguments and exit with its status; print an expected error in one line.

    *name* is the name of the command, printed before an error on stderr. A TinyboxError has its own exit status; any
    other OSError is 125, a broken pipe is 128 + SIGPIPE, and Ctrl-C is 128 + SIGINT.
    """
    gc.disable()  # the process is short-lived: its end frees the memory sooner than a collection would
    modules.install()
    from tinybox.errors import TinyboxError, printable

    open_streams()
    wait_for_children()
    try:
        status = dispatch(sys.argv[1:])
        sys.stdout.flush()
    except TinyboxError as error:
        print_error(f"{name}: {error}")
        status = error.status
    except BrokenPipeError:  # the reader of this command's output has ended, as in `tinybox images | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 128 + 13
    except KeyboardInterrupt:
        status = 128 + 2
    except OSError as error:
        print_error(printable(f"{name}: {error.filename or 'system'}: {error.strerror or error}"))
        status = 125
    print_error("")
    os._exit(status)  # a normal exit would take 4 ms to free memory, which the kernel frees; there is no exit handler


def print_error(line: str) -> None:
    """Print *line*, and all text before it, on stderr; the exit status stays if that fails (EIO: a closed terminal)."""
    try:
        print(line, end="\n" if line else "", file=sys.stderr, flush=True)
    except OSError:
        return


def open_streams() -> None:
    """Open /dev/null on each of the fds 0, 1 and 2 that is closed, so that no other file gets that fd; see open(2)."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # open(2) returns the lowest number that is free
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def wait_for_children() -> None:
    """Take the default for SIGCHLD: if the caller ignores it, the kernel reaps children unseen; see waitpid(2)."""
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
