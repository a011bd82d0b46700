"""`tinybox compose`: several containers that belong together, written down in one file; docker compose's words."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tinybox.cli.commands import compose_views, life
from tinybox.cli.pulling import bring
from tinybox.compose import down as descent
from tinybox.compose import members, output
from tinybox.compose import project as projects
from tinybox.compose.service_reader import by_name
from tinybox.compose.up import Ascent, start_again
from tinybox.container import control
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.container.views.log_reader import Selection
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from tinybox.compose.project import Project
    from tinybox.container.views.listing import Listed


class Asked(NamedTuple):
    """What stands between `compose` and the command: files, the project's name, and so on."""

    files: tuple[str, ...]
    name: str
    folder: str
    env_files: tuple[str, ...]
    profiles: tuple[str, ...]

    def project(self) -> Project:
        """Load the project; with a name and no file, what goes by that name is a project, too."""
        try:
            return projects.load(self.files, self.name, self.env_files, self.folder)
        except projects.NoFileError:
            if not self.name:
                raise
            return projects.bare(self.name)


def say(line: str) -> None:
    """Tell on stderr what is being done, so that stdout stays for what is asked."""
    print(line, file=sys.stderr, flush=True)


SERVICES = click.argument("services", nargs=-1, metavar="[SERVICE]...")
TIME = click.option("-t", "--timeout", "seconds", type=float, metavar="SECONDS", help="Seconds before KILL.")


@click.group(context_settings={"help_option_names": ["--help"]})
@click.option("-f", "--file", "files", multiple=True, metavar="FILE", help="The file, or several on top of another.")
@click.option("-p", "--project-name", "name", default="", metavar="NAME", help="Its name (default: of the folder).")
@click.option("--project-directory", "folder", default="", metavar="DIR", help="Where relative paths begin.")
@click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="Variables, instead of .env.")
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Bring up services of this profile, too.")
@click.pass_context
def compose(ctx: click.Context, /, files: tuple[str, ...], name: str, folder: str, **more: tuple[str, ...]) -> None:
    """Bring up containers that belong together, by a compose file (compose.yaml)."""
    ctx.obj = Asked(files, name, folder, more["env_files"], more["profiles"])


@compose.command()
@SERVICES
@click.option("-d", "--detach", is_flag=True, help="Leave them running and return.")
@click.option("--wait", is_flag=True, help="Return when all run and are healthy; implies -d.")
@click.option("--wait-timeout", type=float, metavar="SECONDS", help="How long --wait may take.")
@click.option("--build", is_flag=True, help="Accepted for docker's sake: tinybox builds no images.")
@click.option("--force-recreate", is_flag=True, help="Make containers anew that are as the file says, too.")
@click.option("--remove-orphans", is_flag=True, help="Remove containers of services that the file has no more.")
@click.option("--abort-on-container-exit", "abort", is_flag=True, help="Stop all when one ends; not with -d.")
@click.option("--exit-code-from", "source", metavar="SERVICE", help="The same, and end with the status of SERVICE.")
@TIME
@click.pass_obj
def up(asked: Asked, /, services: tuple[str, ...], seconds: float | None, **options: Any) -> int:
    """Make and start what the file says; without -d show what all say, and stop them on Ctrl-C."""
    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    project = asked.project()
    chosen = project.chosen(services, asked.profiles)
    if options["remove_orphans"]:
        descent.remove_orphans(paths, here, project, say)
    since = time.time_ns()
    ascent = Ascent(paths, here, project, chosen, say, anew=options["force_recreate"])
    ascent.up(bring, wait=options["wait"], seconds=options["wait_timeout"])
    if options["detach"] or options["wait"]:
        return 0
    attached = members.of(paths, project.name, [service.name for service in chosen])
    source = by_name(project.services, options["source"]) if options["source"] else None
    abort = options["abort"] or source is not None
    status = _attend(paths, project, attached, Selection(since=since), seconds, abort=abort)
    return control.wait(paths, source.container) or 0 if source and not status else status


def _attend(
    paths: Paths, project: Project, attached: list[Listed], since: Selection, seconds: float | None, *, abort: bool
) -> int:
    """Show what the containers say until all have ended, or one with *abort*; Ctrl-C and SIGTERM stop them.

    The first signal is only noted, so that it can come at any moment, also while those who show are being started.
    """
    asked: list[int] = []
    _on_signals(lambda number, _: asked.append(number))
    threads = output.follow(paths, attached, since, output.Output(sys.stdout.buffer, attached, prefix=True))
    while not asked and (alive := [thread for thread in threads if thread.is_alive()]):
        if abort and alive != threads:
            break
        alive[0].join(0.1)
    if asked:
        say("Gracefully stopping... (Ctrl-C again: KILL)")
    _on_signals(_interrupted)
    try:
        _stop(paths, project, attached, seconds)
    except KeyboardInterrupt:
        _stop(paths, project, attached, 0)
    for thread in threads:
        thread.join()
    return 130 if asked else 0


def _on_signals(act: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, act)


def _interrupted(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop(paths: Paths, project: Project, containers: list[Listed], seconds: float | None) -> None:
    descent.stop(paths, project, descent.ranked(project, containers), seconds, say)


@compose.command()
@SERVICES
@click.option("-v", "--volumes", is_flag=True, help="Remove the volumes, too.")
@click.option("--remove-orphans", is_flag=True, help="Remove containers of services that the file has no more.")
@TIME
@click.pass_obj
def down(
    asked: Asked, services: tuple[str, ...], seconds: float | None, *, volumes: bool, remove_orphans: bool
) -> None:
    """Stop and remove the project's containers and networks."""
    if services:
        raise UsageError("compose down", "takes no services here", "tinybox compose stop SERVICE")
    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    descent.down(paths, here, asked.project(), say, volumes=volumes, orphans=remove_orphans, seconds=seconds)


@compose.command()
@SERVICES
@TIME
@click.pass_obj
def stop(asked: Asked, services: tuple[str, ...], seconds: float | None) -> None:
    """Stop the services, and keep their containers."""
    paths, project = Paths(), asked.project()
    _stop(paths, project, members.named(paths, project, services), seconds)


@compose.command()
@SERVICES
@click.pass_obj
def start(asked: Asked, services: tuple[str, ...]) -> None:
    """Start containers that are at rest."""
    paths, project = Paths(), asked.project()
    found = members.named(paths, project, services)
    if not project.files:
        _start(paths, project, found)
        return
    here = host.read(paths.cache)
    here.check()
    wanted = [by_name(project.services, name) for name in services] or project.chosen((), asked.profiles)
    ascent = Ascent(paths, here, project, wanted, say)
    for service in wanted:
        ascent.start(service, members.one(paths, project.name, service.name))


@compose.command()
@SERVICES
@TIME
@click.pass_obj
def restart(asked: Asked, services: tuple[str, ...], seconds: float | None) -> None:
    """Stop the services and start them again."""
    paths, project = Paths(), asked.project()
    found = members.named(paths, project, services)
    if services:
        with_them = [each.name for each in project.services.values() if each.follows & {*services}]
        found = members.of(paths, project.name, [*services, *with_them])
    _stop(paths, project, found, seconds)
    _start(paths, project, found)


def _start(paths: Paths, project: Project, containers: list[Listed]) -> None:
    """Start *containers* that are at rest, those first on which others depend."""
    here = host.read(paths.cache)
    here.check()
    for listed in reversed(descent.ranked(project, containers)):
        start_again(paths, here, listed, say)


@compose.command(name="exec", context_settings={"allow_interspersed_args": False})
@click.option("-d", "--detach", is_flag=True, help="Leave it running in the background.")
@click.option("-i", "--interactive", is_flag=True, expose_value=False, help="Accepted: our input is passed on anyhow.")
@click.option("-t", "--tty", is_flag=True, expose_value=False, help="Accepted: it has a terminal where we have one.")
@click.option("-T", "--no-tty", "no_tty", is_flag=True, help="Give it no terminal (default: one, if ours is).")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Run as this user.")
@click.option("-w", "--workdir", metavar="DIR", help="The directory to start in.")
@click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set a variable.")
@click.option("--privileged", is_flag=True, help="With all capabilities and without the filter.")
@click.argument("service")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def execute(ctx: click.Context, /, service: str, *, no_tty: bool, **options: Any) -> int:
    """Run COMMAND in the container of SERVICE."""
    found = members.one(Paths(), ctx.obj.project().name, service)
    terminal = not no_tty and os.isatty(0) and os.isatty(1)
    more = {"name": found.id, "interactive": True, "tty": terminal, "env_file": ()}
    status: int = ctx.invoke(life.execute, **options, **more)
    return status


for _view in (compose_views.ps, compose_views.logs, compose_views.port, compose_views.config):
    compose.add_command(_view)
