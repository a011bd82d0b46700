"""The exit status of each command after an error, as that of docker's client.

An option that cannot be read is 125 in every command, and a wrong number of arguments or an unknown command is 1, also
for `run`. Docker's client also reads the values of the options of `create`: the status is 125 if it cannot, and 1 if
its daemon refuses the value (UnfitValueError). Every other error is 125 for `run`, and 1 for other commands.
tests/data/docker_statuses.json has docker's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tinybox.errors import NotExecutableError, NotFoundError, OptionError, TinyboxError, UnfitValueError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = 1
OF_PROGRAM = (NotExecutableError.status, NotFoundError.status)  # a program that cannot be started
AS_RUN = {"run", "oci", "unshare"}  # these end with 125, 126 or 127, as docker-run(1)


def of_command_line(error: click.UsageError) -> int:
    """Return the status after click's *error* about the command line; in compose it is always 1, as in docker's."""
    if error.ctx is not None and error.ctx.command_path.split()[1:2] == ["compose"]:
        return FAILED
    if isinstance(error, click.NoSuchOption | click.BadOptionUsage):
        return OptionError.status
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        return OptionError.status if isinstance(error.param, click.Option) else FAILED
    return FAILED


def of(words: Sequence[str], error: TinyboxError) -> int:
    """Return the status after *error* in a command; *words* are its name, and what follows."""
    if words[0] == "compose":
        is_of_program = words[1:2] in (["exec"], ["run"]) and error.status in OF_PROGRAM
        return error.status if is_of_program else FAILED
    if words[0] in AS_RUN or isinstance(error, OptionError):
        return error.status
    if words[0] == "create" and isinstance(error, UsageError) and error.thing.startswith("-"):
        return FAILED if isinstance(error, UnfitValueError) else error.status
    if words[0] == "exec":
        return error.status if error.status in OF_PROGRAM else FAILED
    return FAILED
