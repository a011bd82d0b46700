"""Options of docker's former builder: `docker build` with BuildKit takes them, and ignores them; so does tinybox.

BuildKit's limits are those of the machine, it removes the containers of a build in any case, and it does not squash.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SWITCHES = ("compress", "force-rm", "rm", "squash")
VALUES = {
    **dict.fromkeys("cpu-period cpu-quota cpuset-cpus cpuset-mems isolation memory-swap security-opt".split(), ""),
    "cpu-shares": "-c",
    "memory": "-m",
}


def ignored_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options, which are in no help."""
    for name in SWITCHES:
        option = click.option(f"--{name}", is_flag=True, hidden=True, expose_value=False, callback=_told)
        command = option(command)
    for name, letter in VALUES.items():
        names = [f"--{name}", *filter(None, [letter])]
        command = click.option(*names, multiple=True, hidden=True, expose_value=False)(command)
    return command


def _told(_: click.Context, option: click.Parameter, value: bool) -> None:
    if value and option.name == "squash":
        print("tinybox: --squash: has no effect: in a build of several stages, COPY only the result", file=sys.stderr)
