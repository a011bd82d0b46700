"""`tinybox events`: print what happens to containers, images, networks and volumes, as text, JSON or by a template."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.formatting.functions import as_json
from tinybox.cli.formatting.options import filter_option
from tinybox.cli.formatting.template import of_document, unescaped
from tinybox.container.records.paths import Paths
from tinybox.container.views import event_reader, units
from tinybox.errors import TemplateError, UsageError, printable

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = units.SECOND


def in_dockers_form(event: dict[str, Any]) -> dict[str, Any]:
    """Return one event with docker's keys, for templates and for --format json."""
    older: dict[str, Any] = {}  # docker keeps these for containers and images
    if event["Type"] in ("container", "image"):
        older = {"status": event["Action"], "id": event["id"]}
    if image := event["Attributes"].get("image"):
        older["from"] = image
    return {
        **older,
        "Type": event["Type"],
        "Action": event["Action"],
        "Actor": {"ID": event["id"], "Attributes": event["Attributes"]},
        "scope": "local",
        "time": event["timeNano"] // SECOND,
        "timeNano": event["timeNano"],
    }


def _formatter(style: str) -> Callable[[dict[str, Any]], str]:
    if not style:
        return lambda event: printable(event_reader.line(event))
    if style == "json":
        return lambda event: as_json(in_dockers_form(event))
    template = of_document(unescaped(style))
    names = {"ID": "id", "Status": "status", "From": "from", "Time": "time", "TimeNano": "timeNano", "Scope": "scope"}

    def render(event: dict[str, Any]) -> str:
        known = in_dockers_form(event)
        try:
            return template.render({**{name: known.get(key, "") for name, key in names.items()}, **known})
        except UsageError as error:  # docker has this status here, too
            raise TemplateError(error.thing, error.cause, error.cure) from error

    return render


@click.command()
@click.option("--since", default="", metavar="TIME", help="Show events since then: 10m, a date, or Unix seconds.")
@click.option("--until", default="", metavar="TIME", help="Show events up to then; without it, go on until Ctrl-C.")
@filter_option(event_reader.KEYS)
@click.option(
    "--format", "style", default="", metavar="FORMAT", help="json, or a template such as '{{.Action}} {{.ID}}'."
)
def events(since: str, until: str, filters: tuple[str, ...], style: str) -> None:
    """Show what happens to containers (create, start, die ...), images, networks and volumes.

    Several values of one key of --filter are alternatives; all keys must agree, and all labels.
    """
    paths, now = Paths(), time.time_ns()
    show = _formatter(style)
    selection = event_reader.EventSelection(
        paths,
        units.moment("--since", since, now) if since else None,
        units.moment("--until", until, now) if until else None,
        filters,
    )
    for batch in event_reader.read(paths, selection):
        for event in batch:
            click.echo(show(event))
