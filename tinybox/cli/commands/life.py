"""`tinybox create`, start, attach, exec, stop, kill, restart, wait, pause, unpause, rename, rm and update."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli import completion, statuses
from tinybox.cli.before_run import warn_of_host_changes
from tinybox.cli.commands import detached
from tinybox.cli.run_command import declared, table_command
from tinybox.cli.several import each
from tinybox.container import control
from tinybox.container import update as updating
from tinybox.container.config import defaults, option_values
from tinybox.container.config.options import OPTIONS
from tinybox.container.monitor import starting
from tinybox.container.process.handles import Handles
from tinybox.container.records import host, naming
from tinybox.container.records.paths import Paths
from tinybox.errors import OptionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.process.detaching import Departure


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

create = table_command(
    "create",
    detached.create,
    "Make a container of IMAGE that will run COMMAND, and print its id; `tinybox start` starts it.",
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
    if checkpoint:
        return detached.restore(names, checkpoint, folder, keys=detach_keys, **how)
    return detached.start(names, keys=detach_keys, **how)


@click.command()
@LIVING_NAME
@click.option("--no-stdin", is_flag=True, help="Do not pass stdin on.")
@click.option("--sig-proxy", type=bool, default=True, metavar="BOOL", help="Pass signals on (default: true).")
@DETACH_KEYS
def attach(name: str, *, no_stdin: bool, sig_proxy: bool, detach_keys: str) -> int:
    """Connect this terminal to a running container."""
    return detached.attach_to(name, stdin=not no_stdin, proxy=sig_proxy, keys=detach_keys)


# By hand, though `run` has options of these names: here they mean less, and their help says what is left.
@click.command(name="exec", context_settings={"allow_interspersed_args": False})
@click.option("-d", "--detach", is_flag=True, help="Leave the program running in the background.")
@click.option("-i", "--interactive", is_flag=True, help="Pass stdin on.")
@click.option("-t", "--tty", is_flag=True, help="Give the program a terminal.")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Run as this user.")
@click.option("-w", "--workdir", metavar="DIR", help="The directory to start in.")
@click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set a variable.")
@click.option("--env-file", multiple=True, metavar="FILE", help="Read variables from a file.")
@click.option("--privileged", is_flag=True, help="With all capabilities and without the seccomp filter.")
@DETACH_KEYS
@LIVING_NAME
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(name: str, command: tuple[str, ...], **options: Any) -> int:
    """Run COMMAND in a running container, beside its first process."""
    options["tty"] = options["tty"] and not options["detach"]  # with -d no process would read the terminal
    if options["tty"] and options["interactive"] and os.isatty(0):
        from tinybox.container.process import detaching

        execute = lambda departure: _execute(name, command, options, departure)  # noqa: E731
        return detaching.in_owner(execute, options.get("detach_keys", ""), b"tinybox:exec")
    return _execute(name, command, options)


def _execute(name: str, command: tuple[str, ...], options: dict[str, Any], departure: Departure | None = None) -> int:
    from tinybox.container import execute as executing

    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    if options["tty"] and options["interactive"] and not os.isatty(0):
        raise UsageError("--tty", "the input device is not a terminal", "leave -t out, or run it on a terminal")
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    out, err = (null, null) if options["detach"] else (1, 2)
    stdin = 0 if options["interactive"] and not options["detach"] else null
    handles = Handles((stdin, out, err), interactive=stdin == 0, watched=not options["detach"])
    if departure is not None:
        departure.area, handles.leaving = here.arguments, departure
    with statuses.of_program(detached=options["detach"]):
        ending = executing.execute(paths, here, name, command, options, handles)
    if ending is not None and ending.complaint:
        print(f"tinybox: {ending.complaint}", file=sys.stderr)
    return 0 if ending is None else ending.status


@click.command()
@LIVING_NAMES
@TIME
@SIGNAL
def stop(names: tuple[str, ...], seconds: float | None, signal_word: str) -> int:
    """Stop containers: send the stop signal, and SIGKILL after some seconds."""
    return each(names, lambda name: control.stop(Paths(), name, seconds, signal_word))


@click.command()
@LIVING_NAMES
@click.option("-s", "--signal", "signal_word", default="KILL", metavar="SIGNAL", help="The signal (default KILL).")
def kill(names: tuple[str, ...], signal_word: str) -> int:
    """Send a signal to the first process of containers."""
    control.signal_number(signal_word)
    return each(names, lambda name: control.kill(Paths(), name, signal_word))


@click.command()
@NAMES
@TIME
@SIGNAL
def restart(names: tuple[str, ...], seconds: float | None, signal_word: str) -> int:
    """Stop containers and start them again."""
    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    again = lambda name: starting.restart(paths, here, name, seconds, signal_word, warn_of_host_changes)  # noqa: E731
    return each(names, again)


@click.command()
@LIVING_NAMES
def wait(names: tuple[str, ...]) -> int:
    """Wait until containers have ended, and print the exit status of each."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def waited(name: str) -> str:
        status = control.wait(Paths(), name)
        return "unknown" if status is None else str(status)

    return each(names, waited)


@click.command()
@LIVING_NAMES
def pause(names: tuple[str, ...]) -> int:
    """Freeze all processes of containers."""
    return each(names, lambda name: control.pause(Paths(), name))


@click.command()
@LIVING_NAMES
def unpause(names: tuple[str, ...]) -> int:
    """Resume paused containers."""
    return each(names, lambda name: control.unpause(Paths(), name))


@click.command()
@NAME
@click.argument("new_name")
def rename(name: str, new_name: str) -> None:
    """Give a container another name."""
    control.rename(Paths(), name, new_name)


@click.command()
@NAMES
@click.option("-f", "--force", is_flag=True, help="Kill running containers first; ignore names that no container has.")
@click.option("-v", "--volumes", is_flag=True, help="Remove their anonymous volumes, too.")
def rm(names: tuple[str, ...], *, force: bool, volumes: bool) -> int:
    """Remove containers and all their files."""
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
    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    given = {key: value for key, value in options.items() if value is not None}
    if not given:
        raise UsageError("update", "no option was given", "tinybox update --help lists them")
    updating.check(given)
    return each(names, lambda name: updating.update(paths, here, name, given))
