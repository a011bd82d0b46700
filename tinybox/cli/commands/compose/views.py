"""`tinybox compose` ps, logs, top, stats and events: show a project in docker compose's formats, which scripts read."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.commands import stats as statistics
from tinybox.cli.commands.compose.project_options import INDEX, SERVICES, command
from tinybox.cli.commands.listing import columns as container_columns
from tinybox.cli.commands.logs import line_count
from tinybox.cli.commands.processes import top_columns
from tinybox.cli.formatting.functions import as_json
from tinybox.cli.formatting.options import format_option, no_trunc_option, print_lines, quiet_option
from tinybox.cli.formatting.table import Columns, Table
from tinybox.cli.late import Late
from tinybox.compose import members
from tinybox.container.records.paths import Paths
from tinybox.container.views import event_reader, processes, units
from tinybox.container.views.log_reader import Selection
from tinybox.errors import UsageError, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.cli.commands.compose.project_options import ProjectOptions
    from tinybox.compose import output
    from tinybox.container.views import inspection
    from tinybox.container.views.listing import Listed
    from tinybox.container.views.processes import Process
else:
    inspection = Late("tinybox.container.views.inspection")
    output = Late("tinybox.compose.output")

ALIVE = ("running", "paused", "restarting")
STATES = (*ALIVE, "created", "exited", "dead", "removing")
USUAL = "Name Image Command Service RunningFor Status Ports"
FIELDS = f"{USUAL} ID Project State Health ExitCode Publishers Labels CreatedAt"


def columns(now: int, *, full: bool = False) -> Columns:
    """Return the columns of `compose ps`: columns of `ps`, and those that only a project's containers have."""
    usual = container_columns(full=full, now=now) | {"ID": ("ID", lambda c: c.id)}
    taken = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "State", "Labels", "CreatedAt", "Label")
    return {key: usual[key] for key in taken} | {
        "Name": ("NAME", lambda c: c.name),
        "Service": ("SERVICE", members.service_of),
        "Project": ("PROJECT", lambda c: c.labels.get(members.PROJECT, "")),
        "Health": ("HEALTH", lambda c: "" if c.health == "none" else c.health),
        "ExitCode": (
            "EXIT CODE",
            _exit_code,
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


def _exit_code(listed: Listed) -> int:
    """Return the exit status of a container that has ended; 0 while it runs."""
    code: int | None = 0 if listed.is_alive else listed.state.get("exitCode", 0)
    return inspection.LOST if code is None else code


@command()
@SERVICES
@click.option(
    "-a", "--all", "all_of_them", is_flag=True, help="Show containers that do not run, too, and those of run."
)
@quiet_option()
@no_trunc_option("commands")
@click.option("--services", "names_only", is_flag=True, help="Print the names of the services.")
@click.option(
    "--orphans", type=bool, default=True, metavar="BOOL", help="Show services not in the file (default true)."
)
@click.option("--filter", "filters", multiple=True, metavar="status=STATE", help="Show only containers in this state.")
@click.option("--status", "states", multiple=True, metavar="STATE", help="The same; of several states, any fits.")
@format_option(FIELDS)
@click.pass_obj
def ps(given: ProjectOptions, /, services: tuple[str, ...], style: str, **options: Any) -> None:
    """List the project's containers."""
    project = given.project()
    states = [*options["states"], *map(_state, options["filters"])]
    if wrong := [state for state in states if state not in STATES]:
        raise UsageError(f"--status {wrong[0]}", "is no state", ", ".join(STATES))
    wanted = states or (STATES if options["all_of_them"] else ALIVE)
    found = members.named(Paths(), project, services, one_off=options["all_of_them"])
    found = [listed for listed in found if listed.word in wanted]
    if not options["orphans"]:
        found = [listed for listed in found if members.service_of(listed) in project.services]
    if options["quiet"]:
        lines = [listed.id for listed in found]
    elif options["names_only"]:
        lines = [printable(name) for name in dict.fromkeys(map(members.service_of, found))]
    else:
        lines = Table(columns(time.time_ns(), full=options["no_trunc"]), style, USUAL).lines(found)
    print_lines(lines)


def _state(word: str) -> str:
    """Return the state of ``status=STATE``, the only filter that there is."""
    key, equals, state = word.partition("=")
    if key != "status" or not equals:
        raise UsageError(f"--filter {word}", "is no filter of compose ps", "status=running")
    return state


@command()
@SERVICES
@click.option("-f", "--follow", is_flag=True, help="Go on with new output until all containers have ended.")
@click.option("-n", "--tail", default="all", metavar="N", help="Only the last N lines of each container.")
@click.option("--since", default="", metavar="TIME", help="Only output since then: 10m, a date, or Unix seconds.")
@click.option("--until", default="", metavar="TIME", help="Only output before then.")
@click.option("-t", "--timestamps", is_flag=True, help="Show the time of each line.")
@click.option("--no-log-prefix", "bare", is_flag=True, help="Without the container's name.")
@click.option("--no-color", is_flag=True, help="Print names without colours.")
@INDEX
@click.pass_obj
def logs(given: ProjectOptions, /, services: tuple[str, ...], tail: str, index: int, **options: Any) -> None:
    """Show the output of the services; each line begins with the name of its container."""
    paths, now = Paths(), time.time_ns()
    project = given.project()
    found = members.named(paths, project, services)
    if index:
        found = [listed for listed in found if members.number_of(listed) == index]
    since, until = (units.moment(f"--{key}", options[key], now) if options[key] else 0 for key in ("since", "until"))
    selection = Selection(since, until, line_count(tail))
    style = {"prefix": not options["bare"], "timestamps": options["timestamps"]}
    colours = given.colours(refused=options["no_color"])
    out = output.Output(sys.stdout.buffer, found, colours=colours, **style)
    if not options["follow"]:
        output.show(paths, found, selection, out)
        return
    for thread in output.follow(paths, found, selection, out):
        thread.join()


TOP = "Service Number UID PID PPID C STIME TTY TIME CMD"


@command()
@SERVICES
@click.pass_obj
def top(given: ProjectOptions, /, services: tuple[str, ...]) -> None:
    """List the processes of the services, with their PIDs on the host; the columns are those of `ps -ef`."""
    found = [each for each in members.named(Paths(), given.project(), services, one_off=True) if each.has_process]
    rows = [(listed, process) for listed in found for process in processes.of(listed)]
    usual = top_columns(time.time())
    known: Columns = {
        "Service": ("SERVICE", lambda row: members.service_of(row[0])),
        "Number": ("#", lambda row: members.number_of(row[0])),
    }
    known |= {name: (heading, _of_process(value)) for name, (heading, value) in usual.items()}
    print_lines(Table(known, "", TOP).lines(rows))


def _of_process(value: Callable[[Process], Any]) -> Callable[[tuple[Listed, Process]], Any]:
    return lambda row: value(row[1])


@command()
@click.argument("service", required=False, default="")
@click.option("-a", "--all", "at_rest", is_flag=True, help="Show containers that do not run, too.")
@click.option("--no-stream", is_flag=True, help="Print once, and end (after two samples, for the CPU).")
@no_trunc_option()
@format_option(statistics.FIELDS)
@click.pass_obj
def stats(given: ProjectOptions, /, service: str, style: str, *, at_rest: bool, **how: bool) -> None:
    """Show the CPU, memory, network, disk and processes of the project's containers, until Ctrl-C."""
    project = given.project()
    names = [service] if service else []
    members.named(Paths(), project, names)

    def chosen() -> list[Listed]:
        found = members.of(Paths(), project.name, names)
        return [listed for listed in found if at_rest or listed.is_alive]

    statistics.show(chosen, style, **how)


@command()
@SERVICES
@click.option("--json", "as_objects", is_flag=True, help="Print an object of JSON for each event.")
@click.option("--since", default="", metavar="TIME", help="Show events since then: 10m, a date, or Unix seconds.")
@click.option("--until", default="", metavar="TIME", help="Show events up to then; without it, go on until Ctrl-C.")
@click.pass_obj
def events(given: ProjectOptions, /, services: tuple[str, ...], since: str, until: str, *, as_objects: bool) -> None:
    """Show the events of the project's containers (create, start, die, destroy ...) as they happen."""
    paths, now = Paths(), time.time_ns()
    project = given.project()
    members.named(paths, project, services)
    wanted = event_reader.EventSelection(
        paths,
        units.moment("--since", since, now) if since else None,
        units.moment("--until", until, now) if until else None,
        ("type=container",),
    )
    known: dict[str, str] = {}  # container to service; a container that was destroyed is not listed any more
    for batch in event_reader.read(paths, wanted):
        for event in batch:
            service = _service_of(paths, project.name, event, known)
            if service and (not services or service in services):
                click.echo(_object(event, service) if as_objects else _line(event))


def _service_of(paths: Paths, project: str, event: dict[str, Any], known: dict[str, str]) -> str:
    """Return the service of the container of *event*; "" for one of another project, or one that is gone."""
    identity, labels = event["id"], event["Attributes"]
    if labels.get(members.PROJECT, project) != project:
        return ""
    if identity not in known:
        known |= {listed.id: members.service_of(listed) for listed in members.of(paths, project, one_off=True)}
    return labels.get(members.SERVICE) or known.get(identity, "")


def _own(event: dict[str, Any]) -> dict[str, str]:
    """Return the attributes of *event* without compose's labels."""
    return {key: value for key, value in event["Attributes"].items() if not key.startswith(members.PREFIX)}


def _object(event: dict[str, Any], service: str) -> str:
    when = units.stamp(event["timeNano"])
    return as_json({
        "time": when, "type": "container", "service": service, "id": event["id"], "action": event["Action"],
        "attributes": _own(event),
    })  # fmt: skip


def _line(event: dict[str, Any]) -> str:
    """Return *event* as docker compose prints it: the local time, what was done, and the attributes."""
    seconds, part = divmod(event["timeNano"], units.SECOND)
    when = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}.{part // 1000:06}"
    known = ", ".join(f"{key}={value}" for key, value in sorted(_own(event).items()))
    return printable(f"{when} container {event['Action']} {event['id']} ({known})")
