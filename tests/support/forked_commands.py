"""Commands of tinybox in forked children of this process: several times faster than new processes, and as real.

A corpus of hostile inputs is thousands of commands. The child has the modules loaded already, runs the entry point of
the console script with a command line, and ends as the script does; an error that no code has caught is printed as
Python prints it, with the status 1.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import tempfile
import time
import traceback
from typing import TYPE_CHECKING, NamedTuple

from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO


PATIENCE = 20.0 * SLOWNESS  # seconds for one command: a hostile input must not take longer than a good one
HUNG = -1


class Outcome(NamedTuple):
    """How a command has ended: its exit *status* (HUNG: it was killed), what it printed, and how long it took."""

    words: tuple[str, ...]
    status: int
    stdout: str
    stderr: str
    seconds: float

    def complaint(self) -> str:
        """Return what is wrong with the way in which it has ended, or ""; an error is one line and no traceback."""
        if self.status == HUNG:
            return f"it hung for {self.seconds:.0f} s"
        if re.search(r"^(Traceback|[\w.]*Error\b)", self.stderr, re.MULTILINE):
            return "a traceback"
        lines = self.stderr.splitlines()
        if any(not line.startswith(("tinybox: ", "tinybox-oci: ", "warning: ")) for line in lines):
            return "a line on stderr that is no message of tinybox"
        if not all(line.isprintable() for line in lines):
            return "a control character on stderr"
        if self.status != 0 and not lines:
            return f"the status {self.status} without a message"
        return ""


def run(root: str, *words: str, stdin: bytes = b"", settings: Mapping[str, str] | None = None) -> Outcome:
    """Run ``tinybox WORDS`` on the store *root*, with *stdin* as its input; kill it after PATIENCE seconds."""
    from tinybox.cli import app  # noqa: F401  loaded once for all children

    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        begun = time.monotonic()
        child = os.fork()
        if child == 0:
            _become(root, words, (given, out, err), settings or {})
        status = _end_of(child)
        seconds = time.monotonic() - begun
        return Outcome(words, status, _text(out), _text(err), seconds)


def _become(root: str, words: tuple[str, ...], streams: tuple[IO[bytes], ...], settings: Mapping[str, str]) -> None:
    """Run the command in this child process, and end it."""
    try:
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream.fileno(), number)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, closefd=False, errors="backslashreplace" if number == 2 else "surrogateescape")
            for number, mode in enumerate("rww")
        )
        os.environ.update({"TINYBOX_ROOT": root, **settings})
        sys.argv = ["tinybox", *words]
        from tinybox import cli

        cli.main()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    except BaseException:  # noqa: BLE001  as Python's own end
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _end_of(child: int) -> int:
    """Wait for the end of *child*, and return its exit status; HUNG: it was killed; see pidfd_open(2)."""
    pidfd = os.pidfd_open(child)
    try:
        if not select.select([pidfd], [], [], PATIENCE)[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return HUNG
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(pidfd)


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")
