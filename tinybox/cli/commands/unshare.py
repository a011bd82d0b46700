"""`tinybox unshare`: run a program in the home of a user without root, where files of other ids can be removed."""

from __future__ import annotations

import os
import signal

import click

from tinybox.container.records.own_paths import INSIDE
from tinybox.errors import NotExecutableError, NotFoundError, UsageError
from tinybox.linux import user_namespaces


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND] [ARGUMENT]...")
def unshare(words: tuple[str, ...]) -> int:
    """Run COMMAND, or a shell, as root of this user's home: the user namespace in which all boxes of the user are.

    There, files that a box has made as another user have their owners, and can be changed and removed. The program is
    in a mount namespace of its own, without the rights of the host's root.
    """
    if user_namespaces.home < 0:
        raise UsageError("unshare", "root has no home to enter", "run it as a user without root")
    command = list(words) or [os.environ.get("SHELL") or "/bin/sh"]
    os.environ[INSIDE] = str(user_namespaces.home)  # a `tinybox` that COMMAND runs is in the home already
    os.set_inheritable(user_namespaces.home, True)  # the home lasts as long as COMMAND does
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and execve(2) would keep that
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except FileNotFoundError as error:
        raise NotFoundError(f"exec {command[0]}", "executable file not found in $PATH") from error
    except OSError as error:
        raise NotExecutableError(f"exec {command[0]}", f"{error.strerror}") from error
