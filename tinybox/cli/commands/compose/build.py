"""`tinybox compose build`, and the builds of `up`: the images of services with the key ``build``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.commands.compose.project_options import SERVICES
from tinybox.cli.commands.compose.project_options import command as project_command
from tinybox.cli.commands.image import build as command
from tinybox.cli.commands.image.registry import send, store
from tinybox.cli.late import Late

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.compose import builds
    from tinybox.compose.reading.service import Service
    from tinybox.container.records import host
else:
    builds = Late("tinybox.compose.builds")
    host = Late("tinybox.container.records.host")


@project_command("build")
@SERVICES
@click.option("--build-arg", "arguments", multiple=True, metavar="NAME[=VALUE]", help="A value for an ARG.")
@click.option("--no-cache", is_flag=True, help="Carry out every instruction again.")
@click.option("--pull", is_flag=True, help="Make or fetch the base images again, even if they are here.")
@click.option("--push", is_flag=True, help="Send the images to the registries in their names.")
@click.option("--with-dependencies", is_flag=True, help="Build also the images of the services that these depend on.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
@click.pass_obj
def build(given: Any, /, services: tuple[str, ...], arguments: tuple[str, ...], **options: bool) -> None:
    """Build the images of the services that have a `build` key."""
    host.read("").check()
    quiet = given.is_quiet or options["quiet"]
    alone = not options["with_dependencies"]
    for service in given.project().chosen(services, given.profiles, alone=alone):
        if service.build is None:
            continue
        if given.is_dry:
            given.say(f" Image {service.image}  Built")
            continue
        how = {key: options[key] for key in ("no_cache", "pull")}
        shown = _shown(quiet=quiet, plain=given.progress == "plain")
        builds.build_one(store(), service, shown, command.given(arguments), **how)
        if options["push"]:
            send(service.image)


def build_missing(services: Iterable[Service], *, again: bool, quiet: bool = False) -> None:
    """Build the images of *services* that the store does not have, or *again* all that have a ``build`` key."""
    builds.build_missing(store(), services, _shown(quiet=quiet), again=again)


def _shown(*, quiet: bool, plain: bool = False) -> builds.Build:
    """Return the function that builds an image, and shows how it goes on."""
    return lambda context, asked, inline: command.started(context, asked, quiet=quiet, plain=plain, inline=inline)
