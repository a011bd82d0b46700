"""`tinybox compose`: the commands up, down, stop, start, restart and exec, with docker compose's options."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tinybox.cli.commands import compose_build, compose_images, compose_views, life
from tinybox.cli.lazy_group import CommandGroup
from tinybox.cli.pulling import bring
from tinybox.compose import down as stopping
from tinybox.compose import members, output
from tinybox.compose import project as projects
from tinybox.compose.reading.service_reader import by_name
from tinybox.compose.up import Startup, start_again
from tinybox.container import control
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.container.views.log_reader import Selection
from tinybox.errors import UsageError, printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from tinybox.compose.project import Project
    from tinybox.container.views.listing import Listed


class ProjectOptions(NamedTuple):
    """The options between `compose` and the command: files, the project's name, and so on."""

    files: tuple[str, ...]
    name: str
    folder: str
    env_files: tuple[str, ...]
    profiles: tuple[str, ...]

    def project(self) -> Project:
        """Load the project; with a name and no file, return the project of the containers with that project label."""
        try:
            return projects.load(self.files, self.name, self.env_files, self.folder)
        except projects.NoFileError:
            if not self.name:
                raise
            return projects.bare(self.name)


def say(line: str) -> None:
    """Print a line about progress on stderr; stdout is for results."""
    print(printable(line), file=sys.stderr, flush=True)


SERVICES = click.argument("services", nargs=-1, metavar="[SERVICE]...")
TIME = click.option("-t", "--timeout", "seconds", type=float, metavar="SECONDS", help="Seconds before SIGKILL.")


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="FILE",
    help="The compose file; a later one overrides an earlier one.",
)
@click.option(
    "-p", "--project-name", "name", default="", metavar="NAME", help="The project's name (default: the folder's)."
)
@click.option(
    "--project-directory", "folder", default="", metavar="DIR", help="The directory where relative paths begin."
)
@click.option(
    "--env-file", "env_files", multiple=True, metavar="FILE", help="Read variables from FILE instead of .env."
)
@click.option(
    "--profile", "profiles", multiple=True, metavar="NAME", help="Also bring up the services of this profile."
)
@click.pass_context
def compose(ctx: click.Context, /, files: tuple[str, ...], name: str, folder: str, **more: tuple[str, ...]) -> None:
    """Run the containers that a compose file (compose.yaml) describes."""
    ctx.obj = ProjectOptions(files, name, folder, more["env_files"], more["profiles"])


@compose.command()
@SERVICES
@click.option("-d", "--detach", is_flag=True, help="Leave the containers running and return.")
@click.option("--wait", is_flag=True, help="Return when all containers run and are healthy; implies -d.")
@click.option("--wait-timeout", type=float, metavar="SECONDS", help="How long --wait may take.")
@click.option("--build", is_flag=True, help="Build the images of services with a build key, even if they are here.")
@click.option("--force-recreate", is_flag=True, help="Recreate containers even if they match the file.")
@click.option("--remove-orphans", is_flag=True, help="Remove containers of services not in the file.")
@click.option(
    "--abort-on-container-exit", "abort", is_flag=True, help="Stop all containers when one ends; not with -d."
)
@click.option("--exit-code-from", "source", metavar="SERVICE", help="The same, and exit with the status of SERVICE.")
@TIME
@click.pass_obj
def up(given: ProjectOptions, /, services: tuple[str, ...], seconds: float | None, **options: Any) -> int:
    """Make and start the project's containers; without -d show their output, and stop them on Ctrl-C."""
    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    project = given.project()
    chosen = project.chosen(services, given.profiles)
    if options["remove_orphans"]:
        stopping.remove_orphans(paths, here, project, say)
    since = time.time_ns()
    compose_build.build_missing(chosen, again=options["build"])
    startup = Startup(paths, here, project, chosen, say, recreate=options["force_recreate"])
    startup.up(bring, wait=options["wait"], seconds=options["wait_timeout"])
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
    """Show the output of the containers until all have ended, or one with *abort*; Ctrl-C and SIGTERM stop them.

    The first signal is only noted, so that it can come at any moment, even while the threads that show the output are
    being started. Return 130 after a signal, else 0.
    """
    noted: list[int] = []
    _on_signals(lambda number, _: noted.append(number))
    threads = output.follow(paths, attached, since, output.Output(sys.stdout.buffer, attached, prefix=True))
    while not noted and (alive := [thread for thread in threads if thread.is_alive()]):
        if abort and alive != threads:
            break
        alive[0].join(0.1)
    if noted:
        say("Gracefully stopping... (Ctrl-C again: KILL)")
    _on_signals(_interrupted)
    try:
        _stop(paths, project, attached, seconds)
    except KeyboardInterrupt:
        _stop(paths, project, attached, 0)
    for thread in threads:
        thread.join()
    return 130 if noted else 0


def _on_signals(act: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, act)


def _interrupted(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop(paths: Paths, project: Project, containers: list[Listed], seconds: float | None) -> None:
    stopping.stop(paths, project, stopping.ranked(project, containers), seconds, say)


@compose.command()
@SERVICES
@click.option("-v", "--volumes", is_flag=True, help="Remove the project's volumes, too.")
@click.option("--remove-orphans", is_flag=True, help="Remove containers of services not in the file.")
@TIME
@click.pass_obj
def down(
    given: ProjectOptions, services: tuple[str, ...], seconds: float | None, *, volumes: bool, remove_orphans: bool
) -> None:
    """Stop and remove the project's containers and networks."""
    if services:
        raise UsageError("compose down", "takes no services", "tinybox compose stop SERVICE")
    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    stopping.down(paths, here, given.project(), say, volumes=volumes, orphans=remove_orphans, seconds=seconds)


@compose.command()
@SERVICES
@TIME
@click.pass_obj
def stop(given: ProjectOptions, services: tuple[str, ...], seconds: float | None) -> None:
    """Stop the services, and keep their containers."""
    paths, project = Paths(), given.project()
    _stop(paths, project, members.named(paths, project, services), seconds)


@compose.command()
@SERVICES
@click.pass_obj
def start(given: ProjectOptions, services: tuple[str, ...]) -> None:
    """Start the containers of the services that do not run."""
    paths, project = Paths(), given.project()
    found = members.named(paths, project, services)
    if not project.files:
        _start(paths, project, found)
        return
    here = host.read(paths.cache)
    here.check()
    chosen = [by_name(project.services, name) for name in services] or project.chosen((), given.profiles)
    startup = Startup(paths, here, project, chosen, say)
    for service in chosen:
        startup.start(service, members.one(paths, project.name, service.name))


@compose.command()
@SERVICES
@TIME
@click.pass_obj
def restart(given: ProjectOptions, services: tuple[str, ...], seconds: float | None) -> None:
    """Stop the services and start them again."""
    paths, project = Paths(), given.project()
    found = members.named(paths, project, services)
    if services:
        with_them = [each.name for each in project.services.values() if each.follows & {*services}]
        found = members.of(paths, project.name, [*services, *with_them])
    _stop(paths, project, found, seconds)
    _start(paths, project, found)


def _start(paths: Paths, project: Project, containers: list[Listed]) -> None:
    """Start those of *containers* that do not run, each before the containers that depend on it."""
    here = host.read(paths.cache)
    here.check()
    for listed in reversed(stopping.ranked(project, containers)):
        start_again(paths, here, listed, say)


@compose.command(name="exec", context_settings={"allow_interspersed_args": False})
@click.option("-d", "--detach", is_flag=True, help="Leave the program running in the background.")
@click.option("-i", "--interactive", is_flag=True, expose_value=False, help="Accepted: stdin is always passed on.")
@click.option(
    "-t",
    "--tty",
    is_flag=True,
    expose_value=False,
    help="Accepted: the program has a terminal if stdin and stdout are terminals.",
)
@click.option(
    "-T",
    "--no-tty",
    "no_tty",
    is_flag=True,
    help="Give the program no terminal (default: one, if stdin and stdout are terminals).",
)
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Run as this user.")
@click.option("-w", "--workdir", metavar="DIR", help="The directory to start in.")
@click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set a variable.")
@click.option("--privileged", is_flag=True, help="With all capabilities and without the seccomp filter.")
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
for _command in (compose_build.build, compose_images.pull, compose_images.push):
    compose.add_command(_command)
