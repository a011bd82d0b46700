"""`tinybox compose images`, `pull` and `push`: the images of a project, listed, brought and sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tinybox.cli.commands.compose.project_options import SERVICES, command
from tinybox.cli.commands.image.registry import send, store
from tinybox.cli.formatting.functions import as_json
from tinybox.cli.formatting.options import print_lines, quiet_option
from tinybox.cli.formatting.table import Columns, Table
from tinybox.cli.pulling import ALWAYS, MISSING, NEVER, bring
from tinybox.compose import members
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.container.views import image_list, units
from tinybox.container.views.listing import Listed
from tinybox.errors import TinyboxError, UsageError, report
from tinybox.images.reference import parse
from tinybox.images.store import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.cli.commands.compose.project_options import ProjectOptions
    from tinybox.compose.reading.service import Service

USUAL = "ContainerName Repository Tag Platform ID Size Created"


class Used(NamedTuple):
    """The image of a container of the project."""

    listed: Listed
    image: Image
    name: str  # without the tag; "" if the image has no name any more
    tag: str


COLUMNS: Columns = {
    "ID": ("IMAGE ID", lambda used: f"sha256:{used.image.id}"),
    "ContainerName": ("CONTAINER", lambda used: used.listed.name),
    "Repository": ("REPOSITORY", lambda used: used.name or image_list.NONE),
    "Tag": ("TAG", lambda used: used.tag or image_list.NONE),
    "Platform": ("PLATFORM", lambda used: str(used.image.platform)),
    "Size": ("SIZE", lambda used: used.image.size),
    "Created": ("CREATED", lambda used: used.image.created),
}
SHOWN: Columns = {
    **COLUMNS,
    "ID": ("IMAGE ID", lambda used: used.image.id[:12]),
    "Size": ("SIZE", lambda used: units.decimal_size(used.image.size)),
    "Created": ("CREATED", lambda used: image_list.ago(image_list.made_at(used.image.created))),
}


@command()
@SERVICES
@quiet_option()
@click.option("--format", "style", default="table", type=click.Choice(["table", "json"]), help="table or json.")
@click.pass_obj
def images(given: Any, /, services: tuple[str, ...], style: str, *, quiet: bool) -> None:
    """List the images of the project's containers."""
    found = [_used(each) for each in members.named(Paths(), given.project(), services, one_off=True)]
    if quiet:
        print_lines(dict.fromkeys(used.image.id for used in found))
    elif style == "json":
        rows = [{name: value(used) for name, (_, value) in COLUMNS.items()} for used in found]
        click.echo(as_json(rows))
    else:
        print_lines(Table(SHOWN, "", USUAL).lines(found))


def _used(listed: Listed) -> Used:
    """Return the image that a container was made from, and the name that the container's maker gave for it."""
    image = store().image(listed.image_id)
    reference = parse(listed.image)
    is_named = any(name == str(reference) and key == image.id for name, key in store().names())
    return Used(listed, image, reference.name if is_named else "", reference.tag if is_named else "")


@command()
@SERVICES
@click.option("--policy", default=ALWAYS, metavar="WHEN", help="always (default), or missing: only what is not here.")
@click.option("--ignore-buildable", is_flag=True, help="Leave out the services that have a build key.")
@click.option("--ignore-pull-failures", "go_on", is_flag=True, help="Pull the others, and end with status 0.")
@click.option("--include-deps", is_flag=True, help="Pull also for the services that these depend on.")
@click.option("-q", "--quiet", is_flag=True, help="Print no line for each service.")
@click.pass_obj
def pull(given: Any, /, services: tuple[str, ...], policy: str, *, go_on: bool, **options: bool) -> int:
    """Pull the images of the services, or make them by their recipes; not those with `pull_policy: never`."""
    if policy not in {ALWAYS, MISSING}:
        raise UsageError(f"--policy {policy}", "is no policy of pull", f"{ALWAYS} or {MISSING}")
    found = given.project().chosen(services, given.profiles, alone=not options["include_deps"])
    chosen = [each for each in found if each.pull != NEVER and not (options["ignore_buildable"] and each.build)]
    quiet = options["quiet"] or given.is_quiet
    act = lambda service: bring(service.image, policy, service.options.get("platform", ""), quiet=quiet)  # noqa: E731
    failed = _each(given, chosen, "Pulled", act, quiet=quiet)
    return 0 if go_on else failed


@command()
@SERVICES
@click.option("--ignore-push-failures", "go_on", is_flag=True, help="Push the others, and end with status 0.")
@click.option("--include-deps", is_flag=True, help="Push also those of the services that these depend on.")
@click.option("-q", "--quiet", is_flag=True, help="Print no line for each service.")
@click.pass_obj
def push(given: Any, /, services: tuple[str, ...], *, go_on: bool, include_deps: bool, quiet: bool) -> int:
    """Push the images of the services to the registries in their names."""
    chosen = given.project().chosen(services, given.profiles, alone=not include_deps)
    act = lambda service: send(service.image)  # noqa: E731
    failed = _each(given, chosen, "Pushed", act, quiet=quiet or given.is_quiet)
    return 0 if go_on else failed


def _each(
    given: ProjectOptions, services: list[Service], what: str, act: Callable[[Service], object], *, quiet: bool
) -> int:
    """Do *act* for each image of *services* once; report an error, and go on; return 1 after an error, else 0."""
    host.read("").check()
    status, done = 0, set[tuple[str, str]]()
    for service in services:
        image = (service.image, service.options.get("platform", ""))
        if image in done:
            continue
        done.add(image)
        try:
            if not given.is_dry:
                act(service)
        except TinyboxError as error:
            report(f"service {service.name}: {error}")
            status = 1
        else:
            if not quiet:
                given.say(f" {service.name} {what}")
    return status
