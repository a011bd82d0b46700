"""`tinybox compose` ps, logs, port and config: show a project in docker compose's formats, which scripts read."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.commands.listing import columns as container_columns
from tinybox.cli.commands.logs import line_count
from tinybox.cli.formatting.options import format_option, print_lines, quiet_option
from tinybox.cli.formatting.table import Columns, Table
from tinybox.compose import members, output
from tinybox.compose.reading import document
from tinybox.container.network import published_ports
from tinybox.container.records.paths import Paths
from tinybox.container.views.inspection import LOST
from tinybox.container.views.log_reader import Selection
from tinybox.errors import StateError, printable

if TYPE_CHECKING:
    from tinybox.container.views.listing import Listed

USUAL = "Name Image Command Service RunningFor Status Ports"
FIELDS = f"{USUAL} ID Project State Health ExitCode Publishers Labels CreatedAt"


def columns(now: int) -> Columns:
    """Return the columns of `compose ps`: columns of `ps`, and those that only a project's containers have."""
    usual = container_columns(full=True, now=now)
    taken = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "State", "Labels", "CreatedAt", "Label")
    return {key: usual[key] for key in taken} | {
        "Name": ("NAME", lambda c: c.name),
        "Service": ("SERVICE", members.service_of),
        "Project": ("PROJECT", lambda c: c.labels.get(members.PROJECT, "")),
        "Health": ("HEALTH", lambda c: "" if c.health == "none" else c.health),
        "ExitCode": (
            "EXIT CODE",
            lambda c: 0 if c.is_alive else LOST if c.state.get("exitCode", 0) is None else c.state.get("exitCode", 0),
        ),
        "Publishers": ("PUBLISHERS", publishers),
    }


def publishers(listed: Listed) -> list[dict[str, Any]]:
    """Return the published ports in the form of docker compose's JSON."""
    return [
        {
            "URL": port["hostIp"] or "0.0.0.0",  # noqa: S104  shown, not bound
            "TargetPort": port["containerPort"],
            "PublishedPort": port["hostPort"],
            "Protocol": port["protocol"],
        }
        for port in (listed.ports if listed.is_alive else [])
    ]


@click.command()
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("-a", "--all", "all_of_them", is_flag=True, help="Show containers that have ended, too.")
@quiet_option()
@click.option("--services", "names_only", is_flag=True, help="Print the names of the services.")
@format_option(FIELDS)
@click.pass_obj
def ps(obj: Any, services: tuple[str, ...], style: str, *, all_of_them: bool, quiet: bool, names_only: bool) -> None:
    """List the project's containers."""
    found = members.named(Paths(), obj.project(), services)
    found = [listed for listed in found if all_of_them or listed.word in ("running", "paused", "restarting")]
    if quiet:
        lines = [listed.id for listed in found]
    elif names_only:
        lines = [printable(members.service_of(listed)) for listed in found]
    else:
        lines = Table(columns(time.time_ns()), style, USUAL).lines(found)
    print_lines(lines)


@click.command()
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("-f", "--follow", is_flag=True, help="Go on with new output until all containers have ended.")
@click.option("-n", "--tail", default="all", metavar="N", help="Only the last N lines of each container.")
@click.option("-t", "--timestamps", is_flag=True, help="Show the time of each line.")
@click.option("--no-log-prefix", "bare", is_flag=True, help="Without the container's name.")
@click.option("--no-color", is_flag=True, expose_value=False, help="Accepted for docker's sake: there are no colours.")
@click.pass_obj
def logs(obj: Any, services: tuple[str, ...], tail: str, *, follow: bool, timestamps: bool, bare: bool) -> None:
    """Show the output of the services; each line begins with the name of its container."""
    paths = Paths()
    found = members.named(paths, obj.project(), services)
    selection = Selection(tail=line_count(tail))
    out = output.Output(sys.stdout.buffer, found, prefix=not bare, timestamps=timestamps)
    if not follow:
        output.show(paths, found, selection, out)
        return
    for thread in output.follow(paths, found, selection, out):
        thread.join()


@click.command()
@click.argument("service")
@click.argument("private_port", metavar="PORT[/PROTOCOL]")
@click.option("--protocol", default="tcp", metavar="PROTOCOL", help="tcp (default) or udp.")
@click.pass_obj
def port(obj: Any, service: str, private_port: str, protocol: str) -> None:
    """Show the host address on which a port of SERVICE is published, such as 0.0.0.0:49153."""
    found = members.one(Paths(), obj.project().name, service)
    inside = private_port if "/" in private_port else f"{private_port}/{protocol}"
    for entry in found.ports:
        if published_ports.inside(entry) == inside:
            click.echo(published_ports.outside(entry))
            return
    raise StateError(f"service {service}", f"port {inside} is not published", "add it to ports: in the file")


@click.command()
@click.option("-q", "--quiet", is_flag=True, help="Only check the file.")
@click.option("--services", "names_only", is_flag=True, help="Print the names of the services.")
@click.option("--volumes", "volumes_only", is_flag=True, help="Print the names of the volumes.")
@click.option("--format", "style", type=click.Choice(["yaml", "json"]), default="yaml", help="yaml or json.")
@click.pass_obj
def config(obj: Any, style: str, *, quiet: bool, names_only: bool, volumes_only: bool) -> None:
    """Check the file and print it with its variables filled in and all files merged."""
    project = obj.project()
    if quiet:
        return
    if names_only or volumes_only:
        click.echo("\n".join(map(printable, project.services if names_only else project.volumes)))
        return
    tree = {"name": project.name} | project.tree.plain()
    click.echo(json.dumps(tree, indent=2, default=str) + "\n" if style == "json" else document.written(tree), nl=False)
