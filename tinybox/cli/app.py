"""The click side: a group that loads a command's file only when that command is asked for."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from tinybox import __version__
from tinybox.container import lifecycle
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.errors import HostError, TinyboxError, UsageError

# command: (module, function, the line that `tinybox --help` shows)
COMMANDS = {
    "attach": ("tinybox.cli.commands.life", "attach", "Connect our terminal with that of a running container"),
    "create": ("tinybox.cli.commands.life", "create", "Make a container without starting it"),
    "exec": ("tinybox.cli.commands.life", "execute", "Run a program in a running container"),
    "kill": ("tinybox.cli.commands.life", "kill", "Send a signal to containers"),
    "pause": ("tinybox.cli.commands.life", "pause", "Freeze all processes of containers"),
    "rename": ("tinybox.cli.commands.life", "rename", "Give a container another name"),
    "restart": ("tinybox.cli.commands.life", "restart", "Stop containers and start them again"),
    "rm": ("tinybox.cli.commands.life", "rm", "Remove containers and all they wrote"),
    "start": ("tinybox.cli.commands.life", "start", "Start containers that are at rest"),
    "stop": ("tinybox.cli.commands.life", "stop", "Stop containers"),
    "unpause": ("tinybox.cli.commands.life", "unpause", "Let frozen containers go on"),
    "update": ("tinybox.cli.commands.life", "update", "Change the limits of containers"),
    "wait": ("tinybox.cli.commands.life", "wait", "Wait until containers have ended"),
    "run": ("tinybox.cli.run_command", "run", "Run a program in a new container"),
    "diff": ("tinybox.cli.commands.diff", "diff", "Show what a container has changed in its files"),
    "images": ("tinybox.cli.commands.images", "images", "List the images in the store"),
    "import": ("tinybox.cli.commands.images", "import_image", "Make an image from a tar archive"),
    "load": ("tinybox.cli.commands.images", "load", "Bring in images from an archive that save has written"),
    "save": ("tinybox.cli.commands.images", "save", "Write images as an archive for other tools"),
    "pull": ("tinybox.cli.commands.images", "pull", "Make an image by its recipe, from the first source that works"),
    "rmi": ("tinybox.cli.commands.images", "rmi", "Remove images"),
    "events": ("tinybox.cli.commands.events", "events", "Show what happens to containers, as it happens"),
    "inspect": ("tinybox.cli.commands.inspection", "inspect", "Show all that is known of containers and images"),
    "logs": ("tinybox.cli.commands.logs", "logs", "Show what a container has said"),
    "ns": ("tinybox.cli.commands.processes", "ns", "Show the namespaces of host and box side by side"),
    "port": ("tinybox.cli.commands.inspection", "port", "Show the published ports of a container"),
    "ps": ("tinybox.cli.commands.listing", "ps", "List containers"),
    "stats": ("tinybox.cli.commands.stats", "stats", "Show what containers use of CPU, memory, network and disk"),
    "top": ("tinybox.cli.commands.processes", "top", "List the processes of a container"),
    "tree": (
        "tinybox.cli.commands.processes",
        "tree",
        "Show the process tree of a container, seen from outside and inside",
    ),
    "compose": (
        "tinybox.cli.commands.compose",
        "compose",
        "Bring up containers that belong together, by a compose file",
    ),
    "commit": ("tinybox.cli.commands.files", "commit", "Make an image of what a container has changed"),
    "cp": ("tinybox.cli.commands.files", "cp", "Copy files between a container and the host"),
    "export": ("tinybox.cli.commands.files", "export", "Write a container's file system as a tar archive"),
    "prune": ("tinybox.cli.commands.prune", "prune", "Remove what is not used: containers at rest, dangling images"),
    "oci": ("tinybox.cli.commands.oci", "oci", "Be an OCI runtime, on which podman, buildah and containerd run"),
    "lab": ("tinybox.cli.commands.lab", "lab", "Show what the kernel does, by demonstrations that check themselves"),
    "replay": ("tinybox.cli.commands.seeing", "replay", "Show a run again from its trace, without root"),
    "explain": ("tinybox.cli.commands.seeing", "explain", "Explain a step: what the kernel does, the call, the code"),
    "completion": ("tinybox.cli.completion", "completion", "Print the script that makes a shell complete words"),
    "doctor": ("tinybox.cli.commands.doctor", "doctor", "Look whether this host is fit for containers"),
    "network": ("tinybox.cli.commands.networks", "network", "List, make, show and remove networks; connect boxes"),
    "volume": ("tinybox.cli.commands.volumes", "volume", "List, make, show and remove volumes"),
}

AS_RUN = {"run", "exec", "create", "start", "import", "load", "save", "pull", "images", "rmi", "oci"}


class LazyGroup(click.Group):
    """A group of commands that are imported one by one, when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the file of *cmd_name* and return its command."""
        if cmd_name not in COMMANDS:
            return None
        module, function, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in sorted(COMMANDS)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["--help"], "max_content_width": 100})
@click.option(
    "--root", metavar="DIR", help="Where images and containers are kept (default: TINYBOX_ROOT or /var/lib/tinybox)"
)
@click.version_option(__version__, prog_name="tinybox")
@click.pass_context
def cli(context: click.Context, root: str | None) -> None:
    """Containers from namespaces, cgroups and overlayfs, every step of which can be seen."""
    if root:
        os.environ["TINYBOX_ROOT"] = root
    if context.invoked_subcommand != "doctor":  # which tells what there is to sweep
        sweep()


def sweep() -> None:
    """Clean up after tinybox processes that were killed, whichever command comes next; root alone can."""
    if os.geteuid() != 0:
        return
    try:
        paths = Paths()
    except HostError:  # a store that is not to be trusted: a command that uses it says so, and `explain` uses none
        return
    if paths.with_run_directory():
        lifecycle.sweep(paths, host.read(paths.cache))


def start(words: list[str]) -> int:
    """Run the command line *words* through click; its errors become ours: one line, status 125."""
    try:
        result: Any = cli.main(words, prog_name="tinybox", standalone_mode=False)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "tinybox"
        raise UsageError("", error.format_message(), f"{where} --help") from error
    except TinyboxError as error:
        error.status = _status(words, error)
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        failure = TinyboxError(str(error.filename or "system"), error.strerror or str(error))
        failure.status = _status(words, failure)
        raise failure from error
    except click.Abort:
        return 130
    except click.ClickException as error:
        raise UsageError("", error.format_message()) from error
    except click.exceptions.Exit as error:
        return error.exit_code
    return result if isinstance(result, int) else 0


def _status(words: list[str], error: TinyboxError) -> int:
    """Return the exit status of the command line *words* after *error*: docker's is 1 where no program is run."""
    named = [word for word in words if word in COMMANDS] or ["run"]
    return error.status if named[0] in AS_RUN or named[:2] == ["compose", "exec"] else 1


if __name__ == "__main__":
    sys.exit(start(sys.argv[1:]))
