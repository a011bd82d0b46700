"""`tinybox compose`: the group of its commands, with docker compose's names and options; a module is loaded if used."""

from __future__ import annotations

from typing import Any

import click

from tinybox.cli.commands.compose import project_options
from tinybox.cli.commands.compose.project_options import ANSI, DRY, PROGRESS, ProjectOptions
from tinybox.cli.lazy_group import LazyGroup
from tinybox.version import __version__

HERE = "tinybox.cli.commands.compose."
WORDS_OF = "2.39"  # the version of Docker Compose whose commands and options these are
MODULES = {
    "up": "up create scale",
    "starting": "start restart",
    "ending": "down stop kill rm pause unpause wait",
    "run": "run",
    "boxes": "attach commit cp exec export port",
    "build": "build",
    "images": "images pull push",
    "config": "config",
    "watch": "watch",
    "views": "events logs ps stats top",
    "lists": "ls version volumes",
}
TEXTS = {
    "attach": "Connect this terminal to a running container of a service",
    "build": "Build the images of the services that have a build key",
    "commit": "Make an image from the changes of a service's container",
    "config": "Check the file and print it with its variables filled in and all files merged",
    "cp": "Copy files between a container of a service and the host",
    "create": "Make the project's containers without starting them",
    "down": "Stop and remove the project's containers and networks",
    "events": "Show the events of the project's containers as they happen",
    "exec": "Run a program in a container of a service",
    "export": "Write the file system of a service's container as a tar archive",
    "images": "List the images of the project's containers",
    "kill": "Send a signal to the project's containers",
    "logs": "Show the output of the services",
    "ls": "List the projects that have containers",
    "pause": "Freeze all processes of the services",
    "port": "Show the host address on which a port of a service is published",
    "ps": "List the project's containers",
    "pull": "Bring the images of the services",
    "push": "Push the images of the services",
    "restart": "Stop the services and start them again",
    "rm": "Remove the containers of the services that do not run",
    "run": "Run a program in a new container of a service",
    "scale": "Change how many containers services have",
    "start": "Start the containers of the services that do not run",
    "stats": "Show how much CPU, memory, network and disk the project's containers use",
    "stop": "Stop the services, and keep their containers",
    "top": "List the processes of the project's containers",
    "unpause": "Resume paused services",
    "up": "Make and start the project's containers",
    "version": "Show the version of compose",
    "volumes": "List the project's volumes",
    "wait": "Wait until the containers of services have ended",
    "watch": "Bring changes of files into the containers, as develop.watch says",
}
FUNCTIONS = {"exec": "execute"}
TABLE = {
    name: (f"{HERE}{module}", FUNCTIONS.get(name, name), TEXTS[name])
    for module, names in MODULES.items()
    for name in names.split()
}
ELSEWHERE = {
    "alpha": "its commands are experiments of docker compose",
    "bridge": "it makes files for Kubernetes from a compose file: kompose does that, too",
    "publish": "it puts a compose file into a registry: send the file itself",
}


def version_text() -> str:
    """Return the line of `compose version`: scripts read the number of the compose whose words these are."""
    return f"Docker Compose version v{WORDS_OF}.0 (tinybox {__version__})"


def _print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(version_text())
        context.exit()


@click.group(
    cls=LazyGroup,
    table=TABLE,
    elsewhere=ELSEWHERE,
    other_names={"convert": "config"},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="FILE",
    help="The compose file; a later one overrides an earlier one.",
)
@click.option(
    "-p", "--project-name", "name", default="", metavar="NAME", help="The project's name (default: the folder's)."
)
@click.option(
    "--project-directory",
    "--workdir",
    "folder",
    default="",
    metavar="DIR",
    help="The directory where relative paths begin.",
)
@click.option(
    "--env-file", "env_files", multiple=True, metavar="FILE", help="Read variables from FILE instead of .env."
)
@click.option(
    "--profile", "profiles", multiple=True, metavar="NAME", help="Also bring up the services of this profile."
)
@click.option("--all-resources", is_flag=True, help="Make also the networks that no service uses.")
@click.option(
    "--ansi", default="", metavar="|".join(ANSI), help="When names in front of lines have colours (default auto)."
)
@click.option(
    "--parallel", default="", metavar="N", help="How many containers to stop at the same time (-1: no limit)."
)
@click.option(
    "--progress", default="", metavar="|".join(PROGRESS), help="How progress is printed on stderr (default: lines)."
)
@click.option(
    "-v",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version.",
)
@click.pass_context
def compose(ctx: click.Context, /, files: tuple[str, ...], name: str, folder: str, **more: Any) -> None:
    """Run the containers that a compose file (compose.yaml) describes."""
    ctx.obj = ProjectOptions(files, name, folder, **more)
    ctx.obj.is_dry = bool(ctx.meta.get(DRY))


compose.params.append(project_options.dry_run_option())
