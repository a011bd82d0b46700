"""`tinybox compose` exec, attach, cp, export, commit and port: as without compose, for a container of a service."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.commands import files, life
from tinybox.cli.commands.compose.project_options import INDEX, command
from tinybox.compose import members
from tinybox.container.network import published_ports
from tinybox.container.records.paths import Paths
from tinybox.errors import StateError, UsageError

if TYPE_CHECKING:
    from tinybox.cli.commands.compose.project_options import ProjectOptions
    from tinybox.container.views.listing import Listed

SERVICE = click.argument("service")


def one(given: ProjectOptions, service: str, index: int) -> Listed:
    """Return the container *index* of *service*, or its first one; StateError if there is none."""
    return members.one(Paths(), given.project().name, service, index)


def _is_dry(given: ProjectOptions, what: str, listed: Listed) -> bool:
    """With --dry-run print *what* would be done with a container."""
    if given.is_dry:
        given.say(f" Container {listed.name}  {what}")
    return given.is_dry


def terminal_options(function: Any) -> Any:
    """Give a command the options -i, -t and -T of `exec` and `run`: by default there is a terminal if we have one."""
    for option in (
        click.option("-i", "--interactive/--no-interactive", default=True, help="Pass stdin on (default)."),
        click.option("-t", "--tty", is_flag=True, expose_value=False, help="Accepted: the default on a terminal."),
        click.option("-T", "--no-TTY", "--no-tty", "no_tty", is_flag=True, help="Give the program no terminal."),
    ):
        function = option(function)
    return function


@command("exec", context_settings={"allow_interspersed_args": False})
@click.option("-d", "--detach", is_flag=True, help="Leave the program running in the background.")
@terminal_options
@INDEX
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Run as this user.")
@click.option("-w", "--workdir", metavar="DIR", help="The directory to start in.")
@click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set a variable.")
@click.option("--privileged", is_flag=True, help="With all capabilities and without the seccomp filter.")
@SERVICE
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def execute(ctx: click.Context, /, service: str, index: int, *, no_tty: bool, **options: Any) -> int:
    """Run COMMAND in a container of SERVICE."""
    found = one(ctx.obj, service, index)
    if _is_dry(ctx.obj, "would execute the command", found):
        return 0
    if not found.is_alive:
        raise StateError(f"service {service}", "is not running", f"tinybox compose start {service}")
    terminal = not no_tty and os.isatty(0) and os.isatty(1)
    status: int = ctx.invoke(life.execute, **options, name=found.id, tty=terminal, env_file=())
    return status


@command()
@click.option("--no-stdin", is_flag=True, help="Do not pass stdin on.")
@click.option("--sig-proxy", type=bool, default=True, metavar="BOOL", help="Pass signals on (default: true).")
@life.DETACH_KEYS
@INDEX
@SERVICE
@click.pass_context
def attach(ctx: click.Context, /, service: str, index: int, **options: Any) -> int:
    """Connect this terminal to a running container of SERVICE."""
    found = one(ctx.obj, service, index)
    if _is_dry(ctx.obj, "would attach", found):
        return 0
    status: int = ctx.invoke(life.attach, name=found.id, **options)
    return status


@command()
@click.option("-a", "--archive", is_flag=True, help="Keep the owners (default: root in a box, the caller on the host).")
@click.option("-L", "--follow-link", "follow", is_flag=True, help="If SRC is a link, copy the file it points to.")
@click.option("--all", "all_of_them", is_flag=True, help="Copy also into the containers of `compose run`.")
@INDEX
@click.argument("source", metavar="SERVICE:SRC|SRC|-")
@click.argument("destination", metavar="DEST|-|SERVICE:DEST")
@click.pass_context
def cp(ctx: click.Context, /, source: str, destination: str, index: int, *, all_of_them: bool, **how: bool) -> None:
    """Copy files from a container of SERVICE, or into all of them; - is a tar archive on stdin or stdout."""
    (left, src), (right, dst) = files.split(source), files.split(destination)
    service = left or right
    if bool(left) == bool(right):
        raise UsageError("compose cp", "exactly one side must be a service", "write SERVICE:PATH")
    project = ctx.obj.project()
    found = [members.one(Paths(), project.name, service, index)]
    if right and not index:
        found = members.of(Paths(), project.name, [service], one_off=all_of_them) or found
    if src == "-" and len(found) > 1:
        raise UsageError("compose cp", "stdin can be copied into one container only", "--index 1")
    for listed in found:
        if _is_dry(ctx.obj, "would copy", listed):
            continue
        sides = (f"{listed.name}:{src}", dst) if left else (src, f"{listed.name}:{dst}")
        ctx.invoke(files.cp, source=sides[0], destination=sides[1], quiet=ctx.obj.is_quiet, **how)


@command()
@click.option("-o", "--output", metavar="FILE", help="Write to FILE, not to stdout; it appears when it is complete.")
@INDEX
@SERVICE
@click.pass_context
def export(ctx: click.Context, /, service: str, index: int, output: str | None) -> None:
    """Write the file system of a container of SERVICE as a tar archive, without its volumes and other mounts."""
    found = one(ctx.obj, service, index)
    if not _is_dry(ctx.obj, "would export", found):
        ctx.invoke(files.export, container=found.id, output=output)


@command()
@click.option("-a", "--author", default="", metavar="NAME", help="The author of the image.")
@click.option("-m", "--message", default="", metavar="TEXT", help="A comment on the image.")
@click.option(
    "-c", "--change", "changes", multiple=True, metavar="LINE", help="A Dockerfile instruction, such as CMD ls."
)
@click.option("-p", "--pause/--no-pause", default=True, help="Freeze the container during the commit (default).")
@INDEX
@SERVICE
@click.argument("name", required=False, default="", metavar="[NAME[:TAG]]")
@click.pass_context
def commit(ctx: click.Context, /, service: str, index: int, **options: Any) -> None:
    """Make an image of a container of SERVICE: its changes become one more layer. Volumes are not included."""
    found = one(ctx.obj, service, index)
    if not _is_dry(ctx.obj, "would become an image", found):
        ctx.invoke(files.commit, container=found.id, **options)


@command()
@SERVICE
@click.argument("private_port", metavar="PORT[/PROTOCOL]")
@click.option("--protocol", default="tcp", metavar="PROTOCOL", help="tcp (default) or udp.")
@INDEX
@click.pass_obj
def port(given: ProjectOptions, /, service: str, private_port: str, protocol: str, index: int) -> None:
    """Show the host address on which a port of SERVICE is published, such as 0.0.0.0:49153."""
    found = one(given, service, index)
    inside = private_port if "/" in private_port else f"{private_port}/{protocol}"
    for entry in found.ports:
        if published_ports.inside(entry) == inside:
            click.echo(published_ports.outside(entry))
            return
    raise StateError(f"service {service}", f"port {inside} is not published", "add it to ports: in the file")
