"""`tinybox compose run`: a program in a new container of a service, after the services that it depends on."""

from __future__ import annotations

import os
import shlex
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.commands.compose.boxes import terminal_options
from tinybox.cli.commands.compose.project_options import REMOVE_ORPHANS, command, parts, remove_or_name_orphans
from tinybox.cli.late import Late
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from tinybox.cli import pulling
    from tinybox.cli import run as command_line
    from tinybox.cli.commands import attaching, detached
    from tinybox.cli.commands.compose import build as building
    from tinybox.cli.commands.compose.project_options import ProjectOptions
    from tinybox.compose import granted, one_off, rehearsal, resources
    from tinybox.compose import up as startups
    from tinybox.compose.project import Project
    from tinybox.compose.reading import dotenv, service_reader
    from tinybox.compose.reading.service import Service
    from tinybox.container import launch, lifecycle
    from tinybox.container.process import handles
else:
    command_line = Late("tinybox.cli.run")
    attaching = Late("tinybox.cli.commands.attaching")
    detached = Late("tinybox.cli.commands.detached")
    building = Late("tinybox.cli.commands.compose.build")
    service_reader = Late("tinybox.compose.reading.service_reader")
    startups = Late("tinybox.compose.up")
    pulling = Late("tinybox.cli.pulling")
    granted = Late("tinybox.compose.granted")
    one_off = Late("tinybox.compose.one_off")
    rehearsal = Late("tinybox.compose.rehearsal")
    resources = Late("tinybox.compose.resources")
    dotenv = Late("tinybox.compose.reading.dotenv")
    launch = Late("tinybox.container.launch")
    lifecycle = Late("tinybox.container.lifecycle")
    handles = Late("tinybox.container.process.handles")

PULLS = ("always", "missing", "never")


@command("run", context_settings={"allow_interspersed_args": False})
@click.option("-d", "--detach", is_flag=True, help="Leave the container running, and print its id.")
@click.option("--rm", is_flag=True, help="Remove the container when it has ended.")
@terminal_options
@click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set a variable.")
@click.option("--env-from-file", multiple=True, metavar="FILE", help="Read variables from FILE.")
@click.option(
    "--entrypoint", metavar="COMMAND", help="Run this in place of the entrypoint; an image's command is left out."
)
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Run as this user.")
@click.option("-w", "--workdir", metavar="DIR", help="The directory to start in.")
@click.option("-v", "--volume", multiple=True, metavar="[SOURCE:]PLACE", help="Mount also this.")
@click.option("-p", "--publish", multiple=True, metavar="[[IP:]HOST:]PORT", help="Publish this port, and no other.")
@click.option("-P", "--service-ports", is_flag=True, help="Publish the ports of the service (default: none).")
@click.option("--use-aliases", is_flag=True, help="Let other containers find this one by the service's names.")
@click.option("-l", "--label", multiple=True, metavar="NAME=VALUE", help="Add a label.")
@click.option("--cap-add", multiple=True, metavar="CAPABILITY", help="Add a capability.")
@click.option("--cap-drop", multiple=True, metavar="CAPABILITY", help="Take a capability away.")
@click.option("--name", default="", help="The name of the container (default: PROJECT-SERVICE-run-ID).")
@click.option("--no-deps", is_flag=True, help="Do not start the services that this one depends on.")
@click.option("--build", is_flag=True, help="Build the image first.")
@click.option("--pull", metavar="|".join(PULLS), help="When images are brought, in place of pull_policy.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the program's output.")
@click.option("--quiet-build", is_flag=True, help="Print nothing about builds.")
@click.option("--quiet-pull", is_flag=True, help="Print nothing about pulls.")
@REMOVE_ORPHANS
@click.argument("service")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")
@click.pass_obj
def run(given: ProjectOptions, /, service: str, words: tuple[str, ...], **options: Any) -> int:
    """Run COMMAND in a new container of SERVICE, with the service's options, but without its ports."""
    if options["publish"] and options["service_ports"]:
        raise UsageError("--publish", "conflicts with --service-ports", "leave one of them out")
    if options["pull"] and options["pull"] not in PULLS:
        raise UsageError(f"--pull {options['pull']}", "is no policy", ", ".join(PULLS))
    if options["quiet"]:
        given.progress = "quiet"
    paths, here, project = parts(given)
    chosen = service_reader.by_name(project.services, service)
    changes = _changes(project, words, options)
    remove_or_name_orphans(given, paths, here, project, remove=options["remove_orphans"])
    above = [] if options["no_deps"] else [each for each in project.chosen([service], ()) if each is not chosen]
    for each in [*above, chosen]:
        each.pull = options["pull"] or each.pull
    startup = startups.Startup(paths, here, project, above, given.say)
    if given.is_dry:
        rehearsal.up(startup)
        given.say(f" Container {project.name}-{service}-run  Created")
        return 0
    _bring(given, startup, chosen, options)
    return _start(project, chosen, changes, startup.digest(chosen), options)


def _changes(project: Project, words: tuple[str, ...], options: dict[str, Any]) -> one_off.Changes:
    """Return what the options and *words* of the command line change; UsageError: --entrypoint has an open quote."""
    try:
        entrypoint = shlex.split(options["entrypoint"] or "")
    except ValueError as error:
        raise UsageError("--entrypoint", f"cannot be split into words: {error}", "close the quote") from error
    variables = [pair for path in options["env_from_file"] for pair in dotenv.read(path, project.variables).items()]
    added = {
        "env": [*(name if value is None else f"{name}={value}" for name, value in variables), *options["env"]],
        "volume": one_off.mounted(project, options["volume"]),
        "label": list(options["label"]),
        "cap_add": list(options["cap_add"]),
        "cap_drop": list(options["cap_drop"]),
    }
    return one_off.Changes(
        words,
        entrypoint,
        name=options["name"],
        publish=options["publish"],
        service_ports=options["service_ports"],
        aliases=options["use_aliases"],
        added=added,
        replaced={key: options[key] for key in ("user", "workdir") if options[key] is not None},
    )


def _bring(given: ProjectOptions, startup: startups.Startup, service: Service, options: dict[str, Any]) -> None:
    """Build or pull the images, start the services that *service* depends on, and make its networks and volumes."""
    quiet = given.is_quiet or options["quiet_build"]
    building.build_missing([service], again=options["build"], quiet=quiet)
    building.build_missing(startup.services, again=False, quiet=quiet)
    fetch = partial(pulling.bring, quiet=given.is_quiet or options["quiet_pull"])
    one_off.prepare(startup, service, fetch)


def _start(project: Project, service: Service, changes: one_off.Changes, digest: str, options: dict[str, Any]) -> int:
    """Run the container as `tinybox run` does, and return its status."""
    resources.make_folders(service)
    on_terminal = os.isatty(0) and os.isatty(1) and not options["no_tty"]
    how = {
        "detach": options["detach"],
        "rm": options["rm"],
        "tty": on_terminal and not options["detach"],
        "interactive": options["interactive"] and not options["detach"],
        "pull": pulling.NEVER,  # the image is here
    }
    whole = changes.options(project, service, digest) | how
    try:
        if service.files:
            return _start_with_files(service, changes.arguments(service), whole)
        return command_line.execute(service.image, changes.arguments(service), whole)
    except UsageError as error:
        raise startups.misused(service, error) from error


def _start_with_files(service: Service, arguments: list[str], options: dict[str, Any]) -> int:
    """Run a container into which secrets or configs are copied before it starts; return its status."""
    container = launch.register(service.image, arguments, options, handles.Handles())
    try:
        granted.put(container.paths, container.id, service.files)
    except BaseException:
        container.handles.close()
        lifecycle.discard(container)
        raise
    if options["detach"]:
        detached.begin(container)
        print(container.id)
        return 0
    return attaching.begin_attached(container.paths, container, interactive=options["interactive"], keys="")
