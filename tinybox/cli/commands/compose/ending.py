"""`tinybox compose down`, stop, kill, rm, pause, unpause and wait: the containers of a project end, or rest."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.commands.compose.project_options import (
    REMOVE_ORPHANS,
    SERVICES,
    TIME,
    command,
    is_set,
    parts,
    remove_or_name_orphans,
    tell,
)
from tinybox.cli.late import Late
from tinybox.container.records.paths import Paths
from tinybox.errors import StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.cli.commands.compose.project_options import ProjectOptions
    from tinybox.compose import down as stopping
    from tinybox.compose import members, rehearsal
    from tinybox.container import control
    from tinybox.container.views.listing import Listed
else:
    stopping = Late("tinybox.compose.down")
    control = Late("tinybox.container.control")
    members = Late("tinybox.compose.members")
    rehearsal = Late("tinybox.compose.rehearsal")


@command()
@click.option("-v", "--volumes", is_flag=True, help="Remove the project's volumes, too.")
@click.option("--rmi", metavar="local|all", help="Remove the images of services, too; local: those without a name.")
@REMOVE_ORPHANS
@TIME
@SERVICES
@click.pass_obj
def down(given: ProjectOptions, /, services: tuple[str, ...], seconds: float | None, **options: Any) -> None:
    """Stop and remove the project's containers and networks, or only the containers of SERVICEs."""
    paths, here, project = parts(given)
    kind, volumes = options["rmi"], options["volumes"]
    if kind not in (None, "local", "all"):
        raise UsageError(f"--rmi {kind}", "is not known", "local or all")
    orphans = options["remove_orphans"] or is_set("COMPOSE_REMOVE_ORPHANS")
    if given.is_dry:
        rehearsal.down(paths, project, given.say, services=services, volumes=volumes, orphans=orphans)
        return
    how = {"services": services, "volumes": volumes, "orphans": orphans, "seconds": seconds}
    stopping.down(paths, here, project, given.say, **how)
    if kind:
        stopping.remove_images(paths, project, services, given.say, local=kind == "local")


@command()
@SERVICES
@TIME
@click.pass_obj
def stop(given: ProjectOptions, /, services: tuple[str, ...], seconds: float | None) -> None:
    """Stop the services, and keep their containers."""
    paths, project = Paths(), given.project()
    found = members.named(paths, project, services)
    if given.is_dry:
        tell(given, _alive(found), "Stopped")
        return
    stopping.stop(paths, project, stopping.ranked(project, found), seconds, given.say)


def _alive(containers: list[Listed]) -> list[Listed]:
    return [listed for listed in containers if listed.word not in stopping.AT_REST]


@command()
@SERVICES
@click.option("-s", "--signal", "signal_word", default="SIGKILL", metavar="SIGNAL", help="The signal (default KILL).")
@REMOVE_ORPHANS
@click.pass_obj
def kill(given: ProjectOptions, /, services: tuple[str, ...], signal_word: str, *, remove_orphans: bool) -> None:
    """Send a signal to the first process of each of the project's containers."""
    control.signal_number(signal_word)
    paths, here, project = parts(given)
    _each(given, services, "Killed", lambda name: control.kill(paths, name, signal_word), lambda each: each.is_alive)
    if remove_orphans:
        remove_or_name_orphans(given, paths, here, project, remove=True)


def _each(
    given: ProjectOptions,
    services: tuple[str, ...],
    what: str,
    act: Callable[[str], object],
    fits: Callable[[Listed], bool],
) -> None:
    """Call *act* with the id of each container of the *services* that *fits*, and print *what* was done."""
    found = [listed for listed in members.named(Paths(), given.project(), services) if fits(listed)]
    for listed in found:
        if not given.is_dry:
            act(listed.id)
        tell(given, [listed], what)


@command()
@SERVICES
@click.pass_obj
def pause(given: ProjectOptions, /, services: tuple[str, ...]) -> None:
    """Freeze all processes of the services."""
    _each(given, services, "Paused", lambda name: control.pause(Paths(), name), lambda each: each.word == "running")


@command()
@SERVICES
@click.pass_obj
def unpause(given: ProjectOptions, /, services: tuple[str, ...]) -> None:
    """Resume paused services."""
    _each(given, services, "Unpaused", lambda name: control.unpause(Paths(), name), lambda each: each.word == "paused")


@command()
@SERVICES
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("-s", "--stop", "stops", is_flag=True, help="Stop the containers first.")
@click.option("-v", "--volumes", is_flag=True, help="Remove their anonymous volumes, too.")
@click.pass_obj
def rm(given: ProjectOptions, /, services: tuple[str, ...], *, force: bool, stops: bool, volumes: bool) -> None:
    """Remove the containers of the services that do not run, also those of `compose run`, after a question."""
    paths, here, project = parts(given)
    found = members.named(paths, project, services, one_off=True)
    found = stopping.ranked(project, [each for each in found if stops or each.word in stopping.AT_REST])
    if given.is_dry:
        tell(given, found, "Removed")
        return
    if not found:
        given.say("No stopped containers")
        return
    if not (force or _agrees(", ".join(listed.name for listed in found))):
        return
    with members.alone(paths, project.name):
        if stops:
            stopping.stop(paths, project, found, None, given.say)
        for listed in found:
            control.remove(paths, here, listed.id, force=stops, volumes=volumes)
            tell(given, [listed], "Removed")


def _agrees(names: str) -> bool:
    """Ask on stderr whether the containers *names* are to be removed, and return the answer; no answer means no."""
    print(f"? Going to remove {names} [yN] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@command()
@click.argument("services", nargs=-1, required=True, metavar="SERVICE...")
@click.option("--down-project", is_flag=True, help="Then stop and remove the project's containers and networks.")
@click.pass_obj
def wait(given: ProjectOptions, /, services: tuple[str, ...], *, down_project: bool) -> int:
    """Wait until the containers of SERVICEs have ended; print their statuses, and end with that of the last one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    paths, here, project = parts(given)
    found = members.named(paths, project, services)
    if not found:
        raise StateError(
            f"service {services[0]}", f"has no container in project {project.name}", "tinybox compose up -d"
        )
    statuses: list[int] = []
    if not given.is_dry:
        waiting = [threading.Thread(target=_await, args=(paths, each, statuses), daemon=True) for each in found]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join()
    if down_project and given.is_dry:
        rehearsal.down(paths, project, given.say)
    elif down_project:
        stopping.down(paths, here, project, given.say)
    return statuses[-1] if statuses else 0


def _await(paths: Paths, listed: Listed, statuses: list[int]) -> None:
    status = control.wait(paths, listed.id)
    click.echo(f'container "{listed.id}" exited with status code {"unknown" if status is None else status}')
    statuses.append(1 if status is None else status)
