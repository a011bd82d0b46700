"""`tinybox compose up`, `create` and `scale`: make the containers of a project, and start them."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.commands.compose.project_options import (
    REMOVE_ORPHANS,
    SERVICES,
    TIME,
    command,
    parts,
    remove_or_name_orphans,
)
from tinybox.cli.late import Late
from tinybox.compose import members
from tinybox.compose.wishes import ALWAYS, CHANGED, NEVER, Wishes, scaled
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.cli import pulling
    from tinybox.cli.commands.compose import build as building
    from tinybox.cli.commands.compose import foreground
    from tinybox.cli.commands.compose.project_options import ProjectOptions
    from tinybox.compose import output, rehearsal
    from tinybox.compose import up as startups
    from tinybox.compose.project import Project
    from tinybox.compose.reading import service_reader
    from tinybox.compose.reading.service import Service
    from tinybox.container import control
    from tinybox.container.views import log_reader
else:
    building = Late("tinybox.cli.commands.compose.build")
    foreground = Late("tinybox.cli.commands.compose.foreground")
    log_reader = Late("tinybox.container.views.log_reader")
    service_reader = Late("tinybox.compose.reading.service_reader")
    control = Late("tinybox.container.control")
    startups = Late("tinybox.compose.up")
    pulling = Late("tinybox.cli.pulling")
    output = Late("tinybox.compose.output")
    rehearsal = Late("tinybox.compose.rehearsal")

PULLS = ("always", "missing", "never", "build", "policy")
CONFLICTS = (  # options of which only one can be given
    ("build", "no_build"),
    ("force_recreate", "no_recreate"),
    ("always_recreate_deps", "no_recreate"),
    ("renew_anon_volumes", "no_recreate"),
    ("abort_on_container_exit", "abort_on_container_failure"),
    ("exit_code_from", "detach"),
    ("attach", "attach_dependencies"),
    *((key, other) for key in ("detach", "wait") for other in (
        "abort_on_container_exit", "abort_on_container_failure", "attach", "attach_dependencies", "exit_code_from")),
)  # fmt: skip
MAKING = (
    click.option("--build", is_flag=True, help="Build the images of services with a build key, even if they are here."),
    click.option("--no-build", is_flag=True, help="Build no image; one that is missing is an error."),
    click.option("--pull", metavar="|".join(PULLS[:4]), help="When images are brought, in place of pull_policy."),
    click.option("--quiet-pull", is_flag=True, help="Print nothing about pulls."),
    click.option("--force-recreate", is_flag=True, help="Recreate containers even if they match the file."),
    click.option("--no-recreate", is_flag=True, help="Keep containers even if they do not match the file."),
    click.option("--scale", "scale", multiple=True, metavar="SERVICE=N", help="Let SERVICE have N containers."),
    click.option("-y", "--yes", is_flag=True, expose_value=False, help="Accepted: nothing is asked."),
    REMOVE_ORPHANS,
)


def making(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that `up` and `create` share."""
    for option in reversed(MAKING):
        function = option(function)
    return function


@command()
@SERVICES
@click.option("-d", "--detach", is_flag=True, help="Leave the containers running and return.")
@click.option("--wait", is_flag=True, help="Return when all containers run and are healthy; implies -d.")
@click.option("--wait-timeout", type=float, metavar="SECONDS", help="How long --wait may take.")
@making
@click.option("--quiet-build", is_flag=True, help="Print nothing about builds.")
@click.option("--no-deps", is_flag=True, help="Leave the services alone that the given ones depend on.")
@click.option("--always-recreate-deps", is_flag=True, help="Recreate also the containers of those.")
@click.option("-V", "--renew-anon-volumes", is_flag=True, help="Recreated containers get new anonymous volumes.")
@click.option("--no-start", is_flag=True, help="Make the containers, but start none.")
@click.option("--attach", multiple=True, metavar="SERVICE", help="Show only the output of SERVICE.")
@click.option("--no-attach", multiple=True, metavar="SERVICE", help="Do not show the output of SERVICE.")
@click.option("--attach-dependencies", is_flag=True, help="Show also the output of the services that others depend on.")
@click.option("--no-log-prefix", is_flag=True, help="Print lines without the container's name.")
@click.option("--no-color", is_flag=True, help="Print names without colours.")
@click.option("--timestamps", is_flag=True, help="Show the time of each line.")
@click.option("--abort-on-container-exit", is_flag=True, help="Stop all containers when one ends; give its status.")
@click.option("--abort-on-container-failure", is_flag=True, help="The same, when one ends with another status than 0.")
@click.option("--exit-code-from", metavar="SERVICE", help="Stop all when one ends; exit with the status of SERVICE.")
@click.option("--menu", is_flag=True, help="On a terminal an error: there is no menu.")
@TIME
@click.pass_obj
def up(given: ProjectOptions, /, services: tuple[str, ...], seconds: float | None, **options: Any) -> int:
    """Make and start the project's containers; without -d show their output, and stop them on Ctrl-C."""
    check(options)
    if options["menu"] and os.isatty(1):
        raise UsageError("--menu", "there is no menu", "leave it out")
    paths, here, project = parts(given)
    source = service_reader.by_name(project.services, options["exit_code_from"]) if options["exit_code_from"] else None
    chosen = project.chosen(services, given.profiles, alone=options["no_deps"])
    shown = _shown(project, chosen, services, options)
    remove_or_name_orphans(given, paths, here, project, remove=options["remove_orphans"])
    since = time.time_ns()
    startup = startups.Startup(paths, here, project, chosen, given.say, wishes(project, services, options, seconds))
    is_up = make(given, startup, options, wait=options["wait"], seconds=options["wait_timeout"])
    if not is_up or options["detach"] or options["wait"] or options["no_start"]:
        return 0
    attached = members.of(paths, project.name, [service.name for service in chosen])
    hidden = {listed.id for listed in attached if members.service_of(listed) not in shown}
    colours = given.colours(refused=options["no_color"])
    style = {"prefix": not options["no_log_prefix"], "timestamps": options["timestamps"]}
    out = output.Output(sys.stdout.buffer, attached, colours=colours, hidden=hidden, **style)
    shown_here = foreground.Foreground(given, paths, project, attached, seconds, abort_if(options))
    status = shown_here.attend(log_reader.Selection(since=since), out)
    return control.wait(paths, source.container) or 0 if source and status != foreground.INTERRUPTED else status


def check(options: dict[str, Any]) -> None:
    """Raise UsageError for options that conflict, and for a --pull that is no policy."""
    for one, other in CONFLICTS:
        if options.get(one) and options.get(other):
            first, second = (f"--{key.replace('_', '-')}" for key in (one, other))
            raise UsageError(first, f"conflicts with {second}", "leave one of them out")
    if options["pull"] and options["pull"] not in PULLS:
        raise UsageError(f"--pull {options['pull']}", "is no policy", ", ".join(PULLS[:4]))


def wishes(project: Project, services: tuple[str, ...], options: dict[str, Any], seconds: float | None) -> Wishes:
    """Return what *options* say about the containers of the *services* that were named, and of all others."""
    recreate = NEVER if options["no_recreate"] else ALWAYS if options["force_recreate"] else CHANGED
    others = NEVER if options["no_recreate"] else ALWAYS if options.get("always_recreate_deps") else CHANGED
    return Wishes(
        recreate=recreate,
        others=others,
        named=services,
        scale=scaled(options["scale"], project.services),
        start=not options.get("no_start"),
        renew=bool(options.get("renew_anon_volumes")),
        seconds=seconds,
    )


def make(
    given: ProjectOptions,
    startup: startups.Startup,
    options: dict[str, Any],
    *,
    wait: bool = False,
    seconds: float | None = None,
) -> bool:
    """Bring the services up, after their images were built; with --dry-run print it, and return false."""
    policy = options.get("pull") or "policy"
    for service in startup.services:
        if options.get("no_build"):
            service.build = None
        if policy != "policy" and not (policy == "build" and service.build is None):
            service.pull = policy
    again = bool(options.get("build"))
    if given.is_dry:
        rehearsal.up(startup, build=again)
        return False
    quiet = given.is_quiet or bool(options.get("quiet_build"))
    building.build_missing(startup.services, again=again, quiet=quiet)
    fetch = partial(pulling.bring, quiet=given.is_quiet or bool(options.get("quiet_pull")))
    startup.up(fetch, wait=wait, seconds=seconds)
    return True


def _shown(project: Project, chosen: list[Service], services: tuple[str, ...], options: dict[str, Any]) -> set[str]:
    """Return the services whose output is shown: those that were named, or all; see --attach and its like."""
    known = {service.name for service in chosen}
    for name in (*options["attach"], *options["no_attach"]):
        if name not in known:
            raise UsageError(f"service {name}", "is not brought up, so it cannot be attached to", "name it after up")
    if options["attach"]:
        found = {*options["attach"]}
    else:
        found = known if options["attach_dependencies"] or not services else {*services}
        found = {name for name in found if project.services[name].attach}
    return found - {*options["no_attach"]}


def abort_if(options: dict[str, Any]) -> Callable[[int], bool]:
    """Return the test whether a container that has ended with a status ends all others, too."""
    if options["abort_on_container_failure"]:
        return lambda status: status != 0
    abort = bool(options["abort_on_container_exit"] or options["exit_code_from"])
    return lambda _: abort


@command()
@SERVICES
@making
@click.pass_obj
def create(given: ProjectOptions, /, services: tuple[str, ...], **options: Any) -> None:
    """Make the project's containers without starting them."""
    check(options)
    options["no_start"] = True
    paths, here, project = parts(given)
    chosen = project.chosen(services, given.profiles)
    remove_or_name_orphans(given, paths, here, project, remove=options["remove_orphans"])
    wanted = wishes(project, services, options, None)
    make(given, startups.Startup(paths, here, project, chosen, given.say, wanted), options)


@command()
@click.option("--no-deps", is_flag=True, help="Leave the services alone that the given ones depend on.")
@click.argument("numbers", nargs=-1, required=True, metavar="SERVICE=N...")
@click.pass_obj
def scale(given: ProjectOptions, /, numbers: tuple[str, ...], *, no_deps: bool) -> None:
    """Let each SERVICE have N containers: make and start those that are missing, and remove the others."""
    paths, here, project = parts(given)
    wanted = scaled(numbers, project.services)
    chosen = project.chosen(wanted, given.profiles, alone=no_deps)
    make(given, startups.Startup(paths, here, project, chosen, given.say, Wishes(scale=wanted)), {})
