"""Commands that move the files of containers: cp, export, commit."""

from __future__ import annotations

import os
import sys

import click

from tinybox.cli import completion
from tinybox.cli.whole_file import appearing
from tinybox.container.files import copy
from tinybox.container.records.paths import Paths
from tinybox.container.views import units
from tinybox.errors import UsageError


def skipped(name: str) -> None:
    """Tell that a socket or a device was left out."""
    print(f"tinybox: {name}: left out, an image or a copy has no place for it", file=sys.stderr)


def split(word: str) -> tuple[str, str]:
    """Part ``CONTAINER:PATH``; a path of the host, with a slash or a dot in front, has no container."""
    container, colon, path = word.partition(":")
    if word.startswith("/") or not colon or container.startswith("."):
        return "", word
    return container, path


@click.command()
@click.option("-a", "--archive", is_flag=True, help="Keep the owners; else copies are root's, or ours.")
@click.option("-L", "--follow-link", "follow", is_flag=True, help="Copy what the link SRC points to, not the link.")
@click.option("-q", "--quiet", is_flag=True, help="Do not say how much was copied.")
@click.argument("source", metavar="CONTAINER:SRC|SRC|-", shell_complete=completion.either_side)
@click.argument("destination", metavar="DEST|-|CONTAINER:DEST", shell_complete=completion.either_side)
def cp(source: str, destination: str, *, archive: bool, follow: bool, quiet: bool) -> None:
    """Copy files between a container, running or not, and the host; - is a tar archive on stdin or stdout."""
    (left, src), (right, dst) = split(source), split(destination)
    if left and right:
        raise UsageError("cp", "copying between containers is not supported", "copy by way of the host")
    if not left and not right:
        raise UsageError("cp", "neither side is a container", "write CONTAINER:PATH")
    if not src or not dst:
        raise UsageError("cp", "the source or the destination is empty", "write CONTAINER:PATH")
    paths = Paths()
    if left and dst == "-":
        copy.copy_out_as_tar(paths, left, src, _not_terminal(1), follow=follow, told=skipped)
    elif left:
        size = copy.copy_out(paths, left, src, dst, archive=archive, follow=follow, told=skipped)
        _say(size, dst, quiet=quiet)
    elif src == "-":
        copy.copy_in_tar(paths, right, 0, dst, archive=archive)
    else:
        size = copy.copy_in(paths, right, src, dst, archive=archive, follow=follow, told=skipped)
        _say(size, destination, quiet=quiet)


def _say(size: int, where: str, *, quiet: bool) -> None:
    if not quiet:
        print(f"Successfully copied {units.decimal_size(size)} to {where}", file=sys.stderr)


def _not_terminal(fd: int) -> int:
    if os.isatty(fd):
        raise UsageError("stdout", "is a terminal: an archive would upset it", "redirect it")
    return fd


@click.command()
@click.option("-o", "--output", metavar="FILE", help="Write to FILE, which appears when it is whole; not to stdout.")
@click.argument("container", shell_complete=completion.containers)
def export(container: str, output: str | None) -> None:
    """Write the file system of CONTAINER as a tar archive, without its volumes and other mounts."""
    if output is None:
        copy.export(Paths(), container, _not_terminal(1), skipped)
        return
    with appearing(output) as file:
        copy.export(Paths(), container, file.fileno(), skipped)


class CommitCommand(click.Command):
    """The command, whose flag can be written as docker writes it: ``--pause=false``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, after ``--pause=false`` has been written as ``--no-pause``."""
        words = {"--pause=false": "--no-pause", "--pause=0": "--no-pause", "--pause=true": "--pause"}
        return super().parse_args(ctx, [words.get(word, word) for word in args])


@click.command(cls=CommitCommand)
@click.option("-a", "--author", default="", metavar="NAME", help="Who made the image.")
@click.option("-m", "--message", default="", metavar="TEXT", help="What the image is.")
@click.option("-c", "--change", "changes", multiple=True, metavar="LINE", help="A Dockerfile instruction, as CMD ls.")
@click.option("-p", "--pause/--no-pause", default=True, help="Freeze the container meanwhile (default).")
@click.argument("container", shell_complete=completion.containers)
@click.argument("name", required=False, default="", metavar="[NAME[:TAG]]")
def commit(container: str, name: str, author: str, message: str, changes: tuple[str, ...], *, pause: bool) -> None:
    """Make an image of CONTAINER: what it has changed becomes one more layer. Volumes are no part of it.

    The image runs as the container does: program, variables, user, directory, labels.
    """
    from tinybox.container.files import commit as committing

    wish = committing.CommitOptions(name, author, message, changes)
    print(f"sha256:{committing.commit(Paths(), container, wish, pause=pause, told=skipped)}")
