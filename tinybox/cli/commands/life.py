"""`tinybox create`, start, attach, exec, stop, kill, restart, wait, pause, unpause, rename, rm and update."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli import completion
from tinybox.cli.before_run import warn_of_host_changes
from tinybox.cli.run_command import declared, table_command
from tinybox.cli.several import each
from tinybox.container.config import defaults, exec_options, option_values
from tinybox.container.config.options import OPTIONS
from tinybox.errors import OptionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


def several_names(offer: completion.Offer) -> Callable[[Any], Any]:
    """Return the argument ``CONTAINER...``, for which shell completion offers the names of *offer*."""
    return click.argument("names", nargs=-1, required=True, metavar="CONTAINER...", shell_complete=offer)


NAMES = several_names(completion.containers)
LIVING_NAMES = several_names(completion.running)
RESTING_NAMES = several_names(completion.at_rest)
NAME = click.argument("name", metavar="CONTAINER", shell_complete=completion.containers)
LIVING_NAME = click.argument("name", metavar="CONTAINER", shell_complete=completion.running)


def _check_seconds(_context: click.Context, _option: click.Parameter, seconds: float | None) -> float | None:
    """Return *seconds*; OptionError for nan, inf, and more than the kernel can wait."""
    if seconds is not None and not abs(seconds) <= option_values.TIME_MOST:
        raise OptionError(f"--time {seconds}", "is not a time in seconds", "10 is usual; -1: no limit")
    return seconds


TIME = click.option(
    "-t",
    "--timeout",
    "--time",
    "seconds",
    type=float,
    callback=_check_seconds,
    help="Seconds before SIGKILL (default: the container's, or 10); -1: no limit.",
)
DETACH_KEYS = click.option(
    "--detach-keys",
    default=defaults.detach_keys,
    show_default=False,
    metavar="KEYS",
    help="The keys that detach from a terminal (default ctrl-p,ctrl-q).",
)
SIGNAL = click.option("-s", "--signal", "signal_word", default="", metavar="SIGNAL", help="Send this signal.")


def _create(image: str, command: list[str], options: dict[str, Any]) -> int:
    from tinybox.cli.commands import detached

    return detached.create(image, command, options)


create = table_command(
    "create",
    _create,
    "Make a container of IMAGE that will run COMMAND, and print its id; `tinybox start` starts it.",
    without=("detach", "sig-proxy", "detach-keys"),  # create attaches nothing; docker's client does not know them there
)


@click.command()
@RESTING_NAMES
@click.option("-a", "--attach", "attached", is_flag=True, help="Show its output and exit with its status.")
@click.option("-i", "--interactive", is_flag=True, help="Attach, and pass stdin on.")
@DETACH_KEYS
@click.option("--checkpoint", default="", metavar="NAME", help="Let the container go on from this checkpoint.")
@click.option("--checkpoint-dir", "folder", default="", metavar="DIR", help="The checkpoint is in DIR.")
def start(names: tuple[str, ...], *, detach_keys: str, checkpoint: str, folder: str, **how: bool) -> int:
    """Start containers that were created, or have stopped."""
    from tinybox.cli.commands import attaching

    if checkpoint:
        return attaching.restore(names, checkpoint, folder, keys=detach_keys, **how)
    return attaching.start(names, keys=detach_keys, **how)


@click.command()
@LIVING_NAME
@click.option("--no-stdin", is_flag=True, help="Do not pass stdin on.")
@click.option("--sig-proxy", type=bool, default=True, metavar="BOOL", help="Pass signals on (default: true).")
@DETACH_KEYS
def attach(name: str, *, no_stdin: bool, sig_proxy: bool, detach_keys: str) -> int:
    """Connect this terminal to a running container."""
    from tinybox.cli.commands import attaching

    return attaching.attach_to(name, stdin=not no_stdin, proxy=sig_proxy, keys=detach_keys)


def _exec(name: str, command: tuple[str, ...], **options: Any) -> int:
    from tinybox.cli import execute as executing

    given = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
    return executing.execute(name, list(command), {key: value for key, value in given.items() if value is not None})


execute = click.Command(
    "exec",
    callback=_exec,
    params=[
        *(declared(option) for option in exec_options.OPTIONS),
        click.Argument(["name"], metavar="CONTAINER", shell_complete=completion.running),
        click.Argument(["command"], nargs=-1, required=True, type=click.UNPROCESSED),
    ],
    help="Run COMMAND in a running container, beside its first process.",
    context_settings={"allow_interspersed_args": False},
)


@click.command()
@LIVING_NAMES
@TIME
@SIGNAL
def stop(names: tuple[str, ...], seconds: float | None, signal_word: str) -> int:
    """Stop containers, all at the same time: send the stop signal, and SIGKILL after some seconds."""
    from tinybox.container import control
    from tinybox.container.records.paths import Paths

    stopped = lambda name: control.stop(Paths(), name, seconds, signal_word)  # noqa: E731
    if len(names) == 1:
        return each(names, stopped)
    from tinybox.cli import at_once

    return at_once.each(names, stopped)


@click.command()
@LIVING_NAMES
@click.option("-s", "--signal", "signal_word", default="KILL", metavar="SIGNAL", help="The signal (default KILL).")
def kill(names: tuple[str, ...], signal_word: str) -> int:
    """Send a signal to the first process of containers."""
    from tinybox.container import control
    from tinybox.container.records.paths import Paths

    control.signal_number(signal_word)
    return each(names, lambda name: control.kill(Paths(), name, signal_word))


@click.command()
@NAMES
@TIME
@SIGNAL
def restart(names: tuple[str, ...], seconds: float | None, signal_word: str) -> int:
    """Stop containers and start them again."""
    from tinybox.container.monitor import starting
    from tinybox.container.records import host
    from tinybox.container.records.paths import Paths

    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    again = lambda name: starting.restart(paths, here, name, seconds, signal_word, warn_of_host_changes)  # noqa: E731
    return each(names, again)


@click.command()
@LIVING_NAMES
def wait(names: tuple[str, ...]) -> int:
    """Wait until containers have ended, and print the exit status of each."""
    from tinybox.container import control
    from tinybox.container.records.paths import Paths

    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def waited(name: str) -> str:
        status = control.wait(Paths(), name)
        return "unknown" if status is None else str(status)

    return each(names, waited)


@click.command()
@LIVING_NAMES
def pause(names: tuple[str, ...]) -> int:
    """Freeze all processes of containers."""
    from tinybox.container import control
    from tinybox.container.records.paths import Paths

    return each(names, lambda name: control.pause(Paths(), name))


@click.command()
@LIVING_NAMES
def unpause(names: tuple[str, ...]) -> int:
    """Resume paused containers."""
    from tinybox.container import control
    from tinybox.container.records.paths import Paths

    return each(names, lambda name: control.unpause(Paths(), name))


@click.command()
@NAME
@click.argument("new_name")
def rename(name: str, new_name: str) -> None:
    """Give a container another name."""
    from tinybox.container import control
    from tinybox.container.records.paths import Paths

    control.rename(Paths(), name, new_name)


@click.command()
@NAMES
@click.option("-f", "--force", is_flag=True, help="Kill running containers first; ignore names that no container has.")
@click.option("-v", "--volumes", is_flag=True, help="Remove their anonymous volumes, too.")
def rm(names: tuple[str, ...], *, force: bool, volumes: bool) -> int:
    """Remove containers and all their files."""
    from tinybox.container import control
    from tinybox.container.records import host, naming
    from tinybox.container.records.paths import Paths

    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    # With --force, a container that is already gone, or that another command removes now, is no failure, as in docker.
    is_gone = (lambda error: error.cause == naming.NO_SUCH) if force else (lambda _: False)
    return each(names, lambda name: control.remove(paths, here, name, force=force, volumes=volumes), is_gone)


@click.command(params=[declared(option) for option in OPTIONS if option.update])
@NAMES
def update(names: tuple[str, ...], **options: str | None) -> int:
    """Change the limits of containers; on running containers they take effect at once."""
    from tinybox.container import update as updating
    from tinybox.container.records import host
    from tinybox.container.records.paths import Paths

    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    given = {key: value for key, value in options.items() if value is not None}
    if not given:
        raise UsageError("update", "no option was given", "tinybox update --help lists them")
    updating.check(given)
    return each(names, lambda name: updating.update(paths, here, name, given))
