"""`tinybox compose build`, and the builds of `up`: the images of services with the key ``build``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tinybox.build import run_options
from tinybox.cli.commands.compose.project_options import SERVICES
from tinybox.cli.commands.compose.project_options import command as project_command
from tinybox.cli.commands.image import build as command
from tinybox.cli.commands.image.registry import send, store
from tinybox.container.records import host
from tinybox.errors import ImageError
from tinybox.images.store import NO_SUCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tinybox.compose.reading.service import Service


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
        build_one(service, command.given(arguments), quiet=quiet, plain=given.progress == "plain", **how)
        if options["push"]:
            send(service.image)


def build_missing(services: Iterable[Service], *, again: bool, quiet: bool = False) -> None:
    """Build the images of *services* that the store does not have, or *again* all that have a ``build`` key."""
    for service in services:
        if service.build is not None and (again or service.pull == "build" or _is_missing(service.image)):
            build_one(service, {}, quiet=quiet)


def build_one(
    service: Service,
    arguments: Mapping[str, str],
    *,
    no_cache: bool = False,
    pull: bool = False,
    quiet: bool = False,
    plain: bool = False,
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
        platform=found.platform,
        secrets=dict(_secret(*pair) for pair in found.secrets.items()),
        network="" if found.network == "default" else found.network,
        no_cache=no_cache or found.no_cache,
        keep_failed=False,
        pull=pull or found.pull,
        for_run=run_options.checked(found.for_run),
    )
    command.started(found.context, asked, quiet=quiet, plain=plain, inline=found.inline)


def _secret(name: str, source: str | bytes) -> tuple[str, bytes]:
    return (name, source) if isinstance(source, bytes) else command.secret(f"id={name},src={source}")


def _is_missing(name: str) -> bool:
    try:
        store().image(name)
    except ImageError as error:
        if error.cause.startswith(NO_SUCH):
            return True
        raise
    return False
