"""The entry point of the command `tinybox`: a fast parser for `tinybox run`, and click for everything else.

Importing click takes longer than making a container. So click is imported only where it is needed: for help, errors,
completion and the other commands. Both parsers read the same table of options: container/config/options.py.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command line in sys.argv and exit with its status."""
    os.umask(0o022)  # files in a box get the modes that are asked for, whatever the caller's umask is
    from tinybox import entry

    entry.command("tinybox", dispatch)


def dispatch(arguments: list[str]) -> int:
    """Run one command line and return its exit status; a user without root enters the user's own home before."""
    if os.geteuid() != 0 or "_TINYBOX_HOME" in os.environ:
        from tinybox.cli import rootless

        rootless.prepare(arguments)
    if arguments[:2] == ["container", "run"]:
        arguments = arguments[1:]
    if arguments[:1] == ["run"] and "_TINYBOX_COMPLETE" not in os.environ:
        from tinybox.cli import quick, run

        parsed = quick.parse(arguments[1:])
        if parsed is not None:
            options, (image, *command) = parsed
            return run.execute(image, command, options)
    from tinybox.cli import app

    return app.start(arguments)
