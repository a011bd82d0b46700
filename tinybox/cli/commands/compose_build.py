"""`tinybox compose build`, and the builds of `up`: the images of services with the key ``build``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.commands.image import build as command
from tinybox.cli.commands.image import build_values
from tinybox.cli.commands.image.registry import store
from tinybox.container.records import host
from tinybox.errors import ImageError
from tinybox.images.store import NO_SUCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tinybox.compose.service import Service


@click.command("build")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("--build-arg", "arguments", multiple=True, metavar="NAME[=VALUE]", help="A value for an ARG.")
@click.option("--no-cache", is_flag=True, help="Carry out every instruction again.")
@click.option("--pull", is_flag=True, help="Make or fetch the base images again, even if they are here.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
@click.pass_obj
def build(given: Any, /, services: tuple[str, ...], arguments: tuple[str, ...], **options: bool) -> None:
    """Build the images of the services that have a `build` key."""
    host.read("").check()
    for service in given.project().chosen(services, given.profiles):
        build_one(service, build_values.given(arguments), **options)


def build_missing(services: Iterable[Service], *, again: bool) -> None:
    """Build the images of *services* that the store does not have, or *again* all that have a ``build`` key."""
    for service in services:
        if service.build is not None and (again or service.pull == "build" or _is_missing(service.image)):
            build_one(service, {})


def build_one(
    service: Service, arguments: Mapping[str, str], *, no_cache: bool = False, pull: bool = False, quiet: bool = False
) -> None:
    """Build the image of *service*, if it has a ``build`` key; ImageError or UsageError: it cannot be built."""
    found = service.build
    if found is None:
        return
    asked = command.Asked(
        file=found.file,
        names=[service.image, *found.tags],
        arguments={**found.arguments, **arguments},
        target=found.target,
        labels=found.labels,
        platform="",
        secrets={},
        network="" if found.network == "default" else found.network,
        no_cache=no_cache or found.no_cache,
        keep_failed=False,
        pull=pull or found.pull,
    )
    command.started(found.context, asked, quiet=quiet, inline=found.inline)


def _is_missing(name: str) -> bool:
    try:
        store().image(name)
    except ImageError as error:
        if error.cause.startswith(NO_SUCH):
            return True
        raise
    return False
