"""The click group `tinybox`: the table of all commands, each imported when it is called; errors and exit statuses."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from tinybox.cli import statuses
from tinybox.cli.lazy_group import LazyGroup, Table, UnknownCommandError
from tinybox.errors import HostError, TinyboxError, UsageError
from tinybox.version import __version__

# command: (module, function, the line that `tinybox --help` shows)
COMMANDS: Table = {
    "checkpoint": (
        "tinybox.cli.commands.checkpoint",
        "checkpoint",
        "Keep the processes of a container, so that they go on later",
    ),
    "attach": ("tinybox.cli.commands.life", "attach", "Connect this terminal to a running container"),
    "create": ("tinybox.cli.commands.life", "create", "Make a container without starting it"),
    "exec": ("tinybox.cli.commands.life", "execute", "Run a program in a running container"),
    "kill": ("tinybox.cli.commands.life", "kill", "Send a signal to containers"),
    "pause": ("tinybox.cli.commands.life", "pause", "Freeze all processes of containers"),
    "rename": ("tinybox.cli.commands.life", "rename", "Give a container another name"),
    "restart": ("tinybox.cli.commands.life", "restart", "Stop containers and start them again"),
    "rm": ("tinybox.cli.commands.life", "rm", "Remove containers and all their files"),
    "start": ("tinybox.cli.commands.life", "start", "Start containers that were created or have stopped"),
    "stop": ("tinybox.cli.commands.life", "stop", "Stop containers"),
    "unpause": ("tinybox.cli.commands.life", "unpause", "Resume paused containers"),
    "update": ("tinybox.cli.commands.life", "update", "Change the limits of containers"),
    "wait": ("tinybox.cli.commands.life", "wait", "Wait until containers have ended"),
    "run": ("tinybox.cli.run_command", "run", "Run a program in a new container"),
    "diff": ("tinybox.cli.commands.diff", "diff", "List the files that a container has changed"),
    "images": ("tinybox.cli.commands.image.images", "images", "List the images in the store"),
    "builder": ("tinybox.cli.commands.groups", "builder", "Build images, and remove the build cache"),
    "buildx": ("tinybox.cli.commands.image.buildx", "buildx", "Build images, by docker's newer name"),
    "container": ("tinybox.cli.commands.groups", "container", "Manage containers, with docker's names of the commands"),
    "image": ("tinybox.cli.commands.groups", "image", "Manage images, with docker's names of the commands"),
    "info": ("tinybox.cli.commands.about", "info", "Show this host and the store: containers, images, limits"),
    "version": ("tinybox.cli.commands.about", "version", "Show the version of tinybox and of this host"),
    "build": ("tinybox.cli.commands.image.build", "build", "Build an image by a Containerfile"),
    "import": ("tinybox.cli.commands.image.archives", "import_image", "Make an image from a tar archive"),
    "load": ("tinybox.cli.commands.image.archives", "load", "Load images from an archive that save has written"),
    "save": ("tinybox.cli.commands.image.archives", "save", "Write images to an archive that other tools can read"),
    "tag": ("tinybox.cli.commands.image.images", "tag", "Give an image another name"),
    "history": ("tinybox.cli.commands.image.images", "history", "Show the instructions that made an image"),
    "pull": (
        "tinybox.cli.commands.image.registry",
        "pull",
        "Pull an image from a registry, or make it from its recipe",
    ),
    "push": ("tinybox.cli.commands.image.registry", "push", "Send an image to a registry"),
    "login": ("tinybox.cli.commands.image.login", "login", "Log in to a registry"),
    "logout": ("tinybox.cli.commands.image.login", "logout", "Log out of a registry"),
    "layers": (
        "tinybox.cli.commands.image.layers",
        "layers",
        "Show the layers of an image or a container, and what they cover",
    ),
    "rmi": ("tinybox.cli.commands.image.images", "rmi", "Remove images"),
    "events": (
        "tinybox.cli.commands.events",
        "events",
        "Show what happens to containers, images, networks and volumes",
    ),
    "inspect": ("tinybox.cli.commands.inspection", "inspect", "Show all details of containers and images as JSON"),
    "logs": ("tinybox.cli.commands.logs", "logs", "Show the output of a container"),
    "ns": ("tinybox.cli.commands.processes", "ns", "Show the namespaces of host and box side by side"),
    "port": ("tinybox.cli.commands.inspection", "port", "Show the published ports of a container"),
    "ps": ("tinybox.cli.commands.listing", "ps", "List containers"),
    "stats": ("tinybox.cli.commands.stats", "stats", "Show how much CPU, memory, network and disk containers use"),
    "top": ("tinybox.cli.commands.processes", "top", "List the processes of a container"),
    "tree": (
        "tinybox.cli.commands.processes",
        "tree",
        "Show the process tree of a container, seen from outside and inside",
    ),
    "watch": ("tinybox.cli.commands.watch", "watch", "Watch host and containers side by side, live"),
    "compose": (
        "tinybox.cli.commands.compose.group",
        "compose",
        "Run the containers that a compose file describes",
    ),
    "commit": ("tinybox.cli.commands.files", "commit", "Make an image from the changes of a container"),
    "cp": ("tinybox.cli.commands.files", "cp", "Copy files between a container and the host"),
    "export": ("tinybox.cli.commands.files", "export", "Write a container's file system as a tar archive"),
    "prune": ("tinybox.cli.commands.prune", "prune", "Remove stopped containers, unused networks, dangling images"),
    "oci": ("tinybox.cli.commands.oci", "oci", "Act as an OCI runtime for podman, buildah and containerd"),
    "lab": ("tinybox.cli.commands.lab", "lab", "Run demonstrations of the kernel that check themselves"),
    "workshop": ("tinybox.cli.commands.workshop", "workshop", "Build a container runtime in levels that are checked"),
    "exercise": (
        "tinybox.cli.commands.exercise",
        "exercise",
        "Solve tasks on live boxes, checked by the kernel's facts",
    ),
    "replay": ("tinybox.cli.commands.seeing", "replay", "Show a run again from its trace, without root"),
    "explain": ("tinybox.cli.commands.seeing", "explain", "Explain a step: what the kernel does, its call, the code"),
    "completion": ("tinybox.cli.completion", "completion", "Print the completion script for a shell"),
    "system": ("tinybox.cli.commands.groups", "system", "Show the space that everything takes, and free it"),
    "doctor": ("tinybox.cli.commands.doctor", "doctor", "Check whether this host can run containers"),
    "network": ("tinybox.cli.commands.networks", "network", "List, make, show and remove networks; connect boxes"),
    "unshare": ("tinybox.cli.commands.unshare", "unshare", "Run a program in the home of a user without root"),
    "volume": ("tinybox.cli.commands.volumes", "volume", "List, make, show and remove volumes"),
}

GROUPS = {"container", "image"}  # their commands are those above

MACHINE = "tinybox runs on one machine: "
ELSEWHERE = {
    **dict.fromkeys(("swarm", "service", "stack", "node"), f"{MACHINE}tinybox compose up"),
    "config": f"{MACHINE}-v FILE:/PLACE:ro",
    "secret": f"{MACHINE}build --secret, or -v FILE:/run/secrets/NAME:ro",
    "context": "there is no daemon: --root DIR or TINYBOX_ROOT chooses a store",
    "plugin": "volumes are directories and networks are bridges of this host: tinybox volume, tinybox network",
    "manifest": "skopeo inspect --raw docker://IMAGE",
    "trust": "an image named by its digest, NAME@sha256:..., is checked",
    "search": "the page of the registry, such as hub.docker.com, has a search",
}


DOCKERS = "28.2.2"  # the version of docker whose commands, options and fields the tests compare with tinybox's
REFUSED = {  # options of docker's that have no meaning here, and what to use
    "--gpus": "--device /dev/NAME gives a box a device of the host",
    "--storage-opt": "the files of all boxes share the file system of the store",
    "--kernel-memory": "-m limits the memory of the kernel, too",
    "--use-api-socket": "there is no daemon, so no socket",
}


def version_line(context: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    """Print the version and end; called as `docker`, in docker's form, with the docker whose words tinybox has."""
    if not is_wanted or context.resilient_parsing:
        return
    from tinybox.cli import completion

    is_docker = completion.called_as() == completion.DOCKER
    click.echo(
        f"Docker version {DOCKERS}, build tinybox-{__version__}" if is_docker else f"tinybox, version {__version__}"
    )
    context.exit()


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    elsewhere=ELSEWHERE,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--root", metavar="DIR", help="Store images and containers in DIR (default: TINYBOX_ROOT or /var/lib/tinybox)"
)
@click.option(
    "-v",
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=version_line,
    help="Show the version and exit.",
)
@click.pass_context
def cli(context: click.Context, root: str | None) -> None:
    """Run containers made from namespaces, cgroups and overlayfs, and show every step."""
    if root:
        os.environ["TINYBOX_ROOT"] = root
    asks_for_help = bool(context.obj)
    if not asks_for_help and context.invoked_subcommand != "doctor":  # it reports leftovers before it removes them
        sweep()


def sweep() -> None:
    """Clean up after tinybox processes that were killed; every command does this first, if it runs as root."""
    if os.geteuid() != 0:
        return
    from tinybox.container import sweeping
    from tinybox.container.records.paths import Paths
    from tinybox.images import tidying

    try:
        paths = Paths()
    except HostError:  # the store is not trusted: a command that uses it reports that, and `explain` uses none
        return
    sweeping.sweep(paths)
    sweeping.finish_removals()
    tidying.tidy(paths.root)


def start(arguments: list[str]) -> int:
    """Run the command line *arguments* with click; turn click's errors into tinybox's: one line, docker's status.

    ``help COMMAND`` is ``COMMAND --help``, as in docker.
    """
    if arguments[:1] in (["__complete"], ["__completeNoDesc"]):
        from tinybox.cli import completion

        completion.answer(cli, arguments[1:], explained=arguments[0] == "__complete")
        return 0
    words = [*arguments[1:], "--help"] if arguments[:1] == ["help"] else arguments
    asks_for_help = words[-1:] in (["--help"], ["-h"])
    try:
        result: Any = cli.main(words, prog_name="tinybox", standalone_mode=False, obj=asks_for_help)
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a command; click 8.1 prints the help itself
            click.echo(error.format_message())
            return 0
        failure = _in_one_line(error)
        failure.status = statuses.of_command_line(error)
        raise failure from error
    except TinyboxError as error:
        error.status = _status(arguments, error)
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        failed = TinyboxError(str(error.filename or "system"), error.strerror or str(error))
        failed.status = _status(arguments, failed)
        raise failed from error
    except click.Abort:
        return 130
    except click.ClickException as error:
        raise UsageError("", error.format_message()) from error
    except click.exceptions.Exit as error:
        return error.exit_code
    return result if isinstance(result, int) else 0


def _in_one_line(error: click.UsageError) -> UsageError:
    """Return click's *error* about the command line as tinybox's; the cure is the nearest name, or the help."""
    if isinstance(error, UnknownCommandError):
        return UsageError(error.word, error.cause, error.cure)
    if isinstance(error, click.NoSuchOption) and error.option_name in REFUSED:
        return UsageError(error.option_name, "is not supported", REFUSED[error.option_name])
    where = error.ctx.command_path if error.ctx else "tinybox"
    return UsageError("", error.format_message(), f"{where} --help")


def _status(arguments: list[str], error: TinyboxError) -> int:
    """Return the exit status of the command line *arguments* after *error*."""
    named = [word for word in arguments if word in COMMANDS and word not in GROUPS]
    return statuses.of(named or ["run"], error)


if __name__ == "__main__":
    sys.exit(start(sys.argv[1:]))
