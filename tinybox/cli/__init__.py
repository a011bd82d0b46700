"""The command line. `tinybox run` with ordinary options goes straight to the engine; all else goes through click.

click's import is longer than the making of a container, so what it does best (help, errors, completion, the other
commands) waits until it is needed. Both ways read the same table of options: container/config/options.py.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command that sys.argv says and exit with its status."""
    os.umask(0o022)  # what lies in a box has the modes that it is given; our caller's mask is not its business
    from tinybox import entry

    entry.command("tinybox", dispatch)


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
