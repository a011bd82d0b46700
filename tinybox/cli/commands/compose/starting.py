"""`tinybox compose start` and `restart`: containers that exist are started, each after those that it depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tinybox.cli.commands.compose.project_options import SERVICES, TIME, command, parts, tell
from tinybox.cli.late import Late
from tinybox.errors import StateError

if TYPE_CHECKING:
    from tinybox.cli.commands.compose.project_options import ProjectOptions
    from tinybox.compose import down as stopping
    from tinybox.compose import members
    from tinybox.compose import up as startups
    from tinybox.compose.project import Project
    from tinybox.compose.reading import service_reader
    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed
else:
    stopping = Late("tinybox.compose.down")
    service_reader = Late("tinybox.compose.reading.service_reader")
    startups = Late("tinybox.compose.up")
    members = Late("tinybox.compose.members")


@command()
@SERVICES
@click.option("--wait", is_flag=True, help="Return when all containers run and are healthy.")
@click.option("--wait-timeout", type=float, metavar="SECONDS", help="How long --wait may take.")
@click.pass_obj
def start(given: ProjectOptions, /, services: tuple[str, ...], *, wait: bool, wait_timeout: float | None) -> None:
    """Start the containers of the services that do not run."""
    paths, here, project = parts(given)
    found = members.named(paths, project, services)
    if given.is_dry:
        tell(given, [listed for listed in found if not listed.is_alive], "Started")
        return
    if not project.files:
        _start(given, paths, here, project, found)
        return
    chosen = [service_reader.by_name(project.services, name) for name in services] or project.chosen((), given.profiles)
    startup = startups.Startup(paths, here, project, chosen, given.say)
    there = {service.name: [each for each in found if members.service_of(each) == service.name] for service in chosen}
    if missing := [name for name, containers in there.items() if not containers]:
        raise StateError(
            f"service {missing[0]}", f"has no container in project {project.name}", "tinybox compose up -d"
        )
    for service in chosen:
        for listed in there[service.name]:
            startup.start(service, listed)
    if wait:
        startup.wait(wait_timeout)


@command()
@SERVICES
@click.option("--no-deps", is_flag=True, help="Do not restart the services that are to follow the given ones.")
@TIME
@click.pass_obj
def restart(given: ProjectOptions, /, services: tuple[str, ...], seconds: float | None, *, no_deps: bool) -> None:
    """Stop the services and start them again."""
    paths, here, project = parts(given)
    found = members.named(paths, project, services)
    if services and not no_deps:
        with_them = [each.name for each in project.services.values() if each.follows & {*services}]
        found = members.of(paths, project.name, [*services, *with_them])
    if given.is_dry:
        tell(given, found, "Started")
        return
    stopping.stop(paths, project, stopping.ranked(project, found), seconds, given.say)
    _start(given, paths, here, project, found)


def _start(given: ProjectOptions, paths: Paths, here: Host, project: Project, containers: list[Listed]) -> None:
    """Start those of *containers* that do not run, each before the containers that depend on it."""
    for listed in reversed(stopping.ranked(project, containers)):
        startups.start_again(paths, here, project, listed, given.say)
