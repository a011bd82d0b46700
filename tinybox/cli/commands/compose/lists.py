"""`tinybox compose ls`, volumes and version: the projects that there are, the volumes of one, and compose's version."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from tinybox.cli.commands.compose.group import WORDS_OF, version_text
from tinybox.cli.commands.compose.project_options import SERVICES, command
from tinybox.cli.commands.volumes import COLUMNS as VOLUME_COLUMNS
from tinybox.cli.formatting.functions import as_json
from tinybox.cli.formatting.options import format_option, print_lines, quiet_option
from tinybox.cli.formatting.table import Columns, Table
from tinybox.compose import members
from tinybox.container.records.paths import Paths
from tinybox.container.storage import volumes as store_volumes
from tinybox.container.views import listing
from tinybox.errors import UsageError, printable

if TYPE_CHECKING:
    from tinybox.cli.commands.compose.project_options import ProjectOptions
    from tinybox.container.views.listing import Listed

COLUMNS: Columns = {
    "Name": ("NAME", lambda row: row["Name"]),
    "Status": ("STATUS", lambda row: row["Status"]),
    "ConfigFiles": ("CONFIG FILES", lambda row: row["ConfigFiles"]),
}


@command()
@click.option("-a", "--all", "all_of_them", is_flag=True, help="Show projects whose containers do not run, too.")
@quiet_option("names")
@click.option("--filter", "filters", multiple=True, metavar="name=REGEX", help="Show only projects with such a name.")
@click.option(
    "--format", "style", default="table", type=click.Choice(["table", "pretty", "json"]), help="table or json."
)
def ls(filters: tuple[str, ...], style: str, *, all_of_them: bool, quiet: bool) -> None:
    """List the projects that have containers; the list is kept nowhere, it is read from labels of containers."""
    rows = _projects(at_rest=all_of_them)
    for word in filters:
        rows = [row for row in rows if _pattern(word).search(row["Name"])]
    if quiet:
        print_lines(printable(row["Name"]) for row in rows)
    elif style == "json":
        click.echo(as_json(rows))
    else:
        print_lines(Table(COLUMNS, "", " ".join(COLUMNS)).lines(rows))


def _pattern(word: str) -> re.Pattern[str]:
    key, equals, text = word.partition("=")
    if key != "name" or not equals:
        raise UsageError(f"--filter {word}", "is no filter of compose ls", "name=shop")
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"--filter {word}", f"is no regular expression: {error}", "name=shop") from error


def _projects(*, at_rest: bool) -> list[dict[str, str]]:
    """Return the name, the states and the files of each project, by name."""
    found: dict[str, list[Listed]] = {}
    for listed in listing.containers(Paths(), at_rest=at_rest, is_wanted=lambda each: members.PROJECT in each.labels):
        if at_rest or listed.word == "running":
            found.setdefault(listed.labels[members.PROJECT], []).append(listed)
    return [
        {"Name": name, "Status": _states(containers), "ConfigFiles": _files(containers)}
        for name, containers in sorted(found.items())
    ]


def _states(containers: list[Listed]) -> str:
    words = sorted(listed.word for listed in containers)
    return ", ".join(f"{word}({words.count(word)})" for word in dict.fromkeys(words))


def _files(containers: list[Listed]) -> str:
    named = [path for each in containers for path in each.labels.get(members.FILES, "").split(",") if path]
    return ",".join(dict.fromkeys(named)) or "N/A"


@command()
@SERVICES
@quiet_option("names")
@format_option("Driver Name Mountpoint Labels Label Scope")
@click.pass_obj
def volumes(given: ProjectOptions, /, services: tuple[str, ...], style: str, *, quiet: bool) -> None:
    """List the project's volumes, or those that containers of SERVICEs use."""
    paths, project = Paths(), given.project()
    containers = members.named(paths, project, services)
    mounted = {mount["Source"] for listed in containers for mount in listed.mounts()}
    own = [each for each in store_volumes.every(paths) if each.labels.get(members.PROJECT) == project.name]
    found = [each for each in own if not services or os.path.realpath(each.path) in map(os.path.realpath, mounted)]
    print_lines([each.name for each in found] if quiet else Table(VOLUME_COLUMNS, style, "Driver Name").lines(found))


@command()
@click.option(
    "-f", "--format", "style", type=click.Choice(["pretty", "json"]), default="pretty", help="pretty or json."
)
@click.option("--short", is_flag=True, help="Print only the number.")
def version(style: str, *, short: bool) -> None:
    """Show the version of Docker Compose whose commands and options these are, and the version of tinybox."""
    if short:
        click.echo(f"{WORDS_OF}.0")
    else:
        click.echo(as_json({"version": f"v{WORDS_OF}.0"}) if style == "json" else version_text())
