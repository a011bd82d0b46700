"""The entry point of the command `tinybox`: a fast parser for `run` and `exec`, and click for everything else.

Importing click takes longer than making a container. So click is imported only where it is needed: for help, errors,
completion and the other commands. Both parsers read the same tables of options: container/config/options.py and
exec_options.py.
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
    if arguments[:2] in (["container", "run"], ["container", "exec"]):
        arguments = arguments[1:]
    status = None
    if "_TINYBOX_COMPLETE" not in os.environ:
        if arguments[:1] == ["run"]:
            status = _run(arguments[1:])
        elif arguments[:1] == ["exec"]:
            status = _exec(arguments[1:])
    if status is not None:
        return status
    from tinybox.cli import app

    return app.start(arguments)


def _run(arguments: list[str]) -> int | None:
    """Carry out `run` without click; None: click must read its *arguments*."""
    from tinybox.cli import quick

    parsed = quick.parse(arguments)
    if parsed is None:
        return None
    from tinybox.cli import run

    options, (image, *command) = parsed
    return run.execute(image, command, options)


def _exec(arguments: list[str]) -> int | None:
    """Carry out `exec` without click; None: click must read its *arguments*."""
    from tinybox.cli import quick
    from tinybox.container.config import exec_options

    parsed = quick.parse(arguments, (exec_options.BY_NAME, exec_options.BY_SHORT))
    if parsed is None or len(parsed[1]) < 2:  # the container, and a command
        return None
    from tinybox.cli import execute

    options, (name, *command) = parsed
    return execute.command_line(name, command, options)
