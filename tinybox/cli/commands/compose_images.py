"""`tinybox compose pull` and `push`: the images of a project's services, from their registries and to them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.pulling import ALWAYS, MISSING, NEVER, bring
from tinybox.container.records import host
from tinybox.errors import TinyboxError, UsageError, printable, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.compose.reading.service import Service

SERVICES = click.argument("services", nargs=-1, metavar="[SERVICE]...")


@click.command()
@SERVICES
@click.option("--policy", default=ALWAYS, metavar="WHEN", help="always (default), or missing: only what is not here.")
@click.option("--ignore-pull-failures", "go_on", is_flag=True, help="Pull the others, and end with status 0.")
@click.option("-q", "--quiet", is_flag=True, help="Print no line for each service.")
@click.pass_obj
def pull(given: Any, /, services: tuple[str, ...], policy: str, *, go_on: bool, quiet: bool) -> int:
    """Pull the images of the services, or make them by their recipes; not those with `pull_policy: never`."""
    if policy not in {ALWAYS, MISSING}:
        raise UsageError(f"--policy {policy}", "is no policy of pull", f"{ALWAYS} or {MISSING}")
    chosen = [service for service in given.project().chosen(services, given.profiles) if service.pull != NEVER]
    act = lambda service: bring(service.image, policy, service.options.get("platform", ""))  # noqa: E731
    failed = _each(chosen, "Pull", act, quiet=quiet)
    return 0 if go_on else failed


@click.command()
@SERVICES
@click.option("--ignore-push-failures", "go_on", is_flag=True, help="Push the others, and end with status 0.")
@click.option("-q", "--quiet", is_flag=True, help="Print no line for each service.")
@click.pass_obj
def push(given: Any, /, services: tuple[str, ...], *, go_on: bool, quiet: bool) -> int:
    """Push the images of the services to the registries in their names."""
    from tinybox.cli.commands.image.registry import send

    failed = _each(
        given.project().chosen(services, given.profiles), "Push", lambda service: send(service.image), quiet=quiet
    )
    return 0 if go_on else failed


def _each(services: list[Service], verb: str, act: Callable[[Service], object], *, quiet: bool) -> int:
    """Do *act* for each image of *services* once; report an error, and go on; return 1 after an error, else 0."""
    host.read("").check()
    status, done = 0, set[tuple[str, str]]()
    for service in services:
        image = (service.image, service.options.get("platform", ""))
        if image in done:
            continue
        done.add(image)
        try:
            act(service)
        except TinyboxError as error:
            report(f"service {service.name}: {error}")
            status = 1
        else:
            if not quiet:
                print(printable(f" {service.name} {verb}ed"), file=sys.stderr, flush=True)
    return status
