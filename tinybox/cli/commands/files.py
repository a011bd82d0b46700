"""`tinybox cp`, `export` and `commit`: copy a container's files, or make an archive or an image of them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from tinybox.cli import completion
from tinybox.cli.late import Late
from tinybox.container.records.paths import Paths
from tinybox.container.views import units
from tinybox.errors import UsageError, printable

if TYPE_CHECKING:
    from tinybox.container.files import copy, whole_file
else:
    copy = Late("tinybox.container.files.copy")
    whole_file = Late("tinybox.container.files.whole_file")


def skipped(name: str) -> None:
    """Print a warning that the socket or device *name* was left out."""
    print(printable(f"tinybox: {name}: left out, an image or a copy cannot contain it"), file=sys.stderr)


def split(word: str) -> tuple[str, str]:
    """Split ``CONTAINER:PATH``; for a path of the host, which begins with a slash or a dot, the container is empty."""
    container, colon, path = word.partition(":")
    if word.startswith("/") or not colon or container.startswith("."):
        return "", word
    return container, path


@click.command()
@click.option("-a", "--archive", is_flag=True, help="Keep the owners (default: root in a box, the caller on the host).")
@click.option("-L", "--follow-link", "follow", is_flag=True, help="If SRC is a link, copy the file it points to.")
@click.option("-q", "--quiet", is_flag=True, help="Do not print how much was copied; without a terminal, nothing is.")
@click.argument("source", metavar="CONTAINER:SRC|SRC|-", shell_complete=completion.either_side)
@click.argument("destination", metavar="DEST|-|CONTAINER:DEST", shell_complete=completion.either_side)
def cp(source: str, destination: str, *, archive: bool, follow: bool, quiet: bool) -> None:
    """Copy files between a container, running or not, and the host; - is a tar archive on stdin or stdout."""
    (left, src), (right, dst) = split(source), split(destination)
    if left and right:
        raise UsageError("cp", "copying between containers is not supported", "copy to the host first")
    if not left and not right:
        raise UsageError("cp", "neither side is a container", "write CONTAINER:PATH")
    if not src or not dst:
        raise UsageError("cp", "the source or the destination is empty", "write CONTAINER:PATH")
    paths = Paths()
    if left and dst == "-":
        copy.copy_out_as_tar(paths, left, src, _not_terminal(1), follow=follow, told=skipped)
    elif left:
        size = copy.copy_out(paths, left, src, dst, archive=archive, follow=follow, told=skipped)
        _report(size, dst, quiet=quiet)
    elif src == "-":
        copy.copy_in_tar(paths, right, 0, dst, archive=archive)
    else:
        size = copy.copy_in(paths, right, src, dst, archive=archive, follow=follow, told=skipped)
        _report(size, destination, quiet=quiet)


def _report(size: int, where: str, *, quiet: bool) -> None:
    if not quiet and os.isatty(1):  # docker's client looks at stdout, too
        print(printable(f"Successfully copied {units.decimal_size(size)} to {where}"), file=sys.stderr)


def _not_terminal(fd: int) -> int:
    if os.isatty(fd):
        raise UsageError("stdout", "is a terminal, which cannot show an archive", "redirect it")
    return fd


@click.command()
@click.option("-o", "--output", metavar="FILE", help="Write to FILE, not to stdout; it appears when it is complete.")
@click.argument("container", shell_complete=completion.containers)
def export(container: str, output: str | None) -> None:
    """Write the file system of CONTAINER as a tar archive, without its volumes and other mounts."""
    if output is None:
        copy.export(Paths(), container, _not_terminal(1), skipped)
        return
    with whole_file.appearing(output) as file:
        copy.export(Paths(), container, file.fileno(), skipped)


@click.command()
@click.option("-a", "--author", default="", metavar="NAME", help="The author of the image.")
@click.option("-m", "--message", default="", metavar="TEXT", help="A comment on the image.")
@click.option(
    "-c", "--change", "changes", multiple=True, metavar="LINE", help="A Dockerfile instruction, such as CMD ls."
)
@click.option("-p", "--pause/--no-pause", default=True, help="Freeze the container during the commit (default).")
@click.argument("container", shell_complete=completion.containers)
@click.argument("name", required=False, default="", metavar="[NAME[:TAG]]")
def commit(container: str, name: str, author: str, message: str, changes: tuple[str, ...], *, pause: bool) -> None:
    """Make an image of CONTAINER: its changes become one more layer. Volumes are not included.

    The image has the container's program, variables, user, directory and labels.
    """
    from tinybox.container.files import commit as committing

    options = committing.CommitOptions(name, author, message, changes)
    print(f"sha256:{committing.commit(Paths(), container, options, pause=pause, told=skipped)}")
