"""`tinybox checkpoint`: keep the processes of a container as files, list and remove these; needs the program criu."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tinybox.cli import completion
from tinybox.cli.formatting.options import print_lines
from tinybox.cli.formatting.table import Columns, Table
from tinybox.cli.late import Late
from tinybox.cli.lazy_group import CommandGroup
from tinybox.container.records.paths import Paths

if TYPE_CHECKING:
    from tinybox.container import checkpoint as checkpoints
    from tinybox.container.records import host
else:
    checkpoints = Late("tinybox.container.checkpoint")
    host = Late("tinybox.container.records.host")

COLUMNS: Columns = {"Name": ("CHECKPOINT NAME", lambda name: name)}
USUAL = "Name"

FOLDER = click.option(
    "--checkpoint-dir", "folder", default="", metavar="DIR", help="Checkpoints are in DIR, not with the container."
)
NAME = click.argument("name", metavar="CHECKPOINT", shell_complete=completion.checkpoints)


@click.group(cls=CommandGroup)
def checkpoint() -> None:
    """Keep the processes of a container, so that they go on later: tinybox start --checkpoint."""


@checkpoint.command("create")
@FOLDER
@click.option("--leave-running", is_flag=True, help="Let the container go on running.")
@click.argument("container", metavar="CONTAINER", shell_complete=completion.running)
@click.argument("name", metavar="CHECKPOINT")
def create(container: str, name: str, folder: str, *, leave_running: bool) -> None:
    """Make a checkpoint of a running container, which ends with that; print the name of the checkpoint."""
    paths = Paths()
    host.read(paths.cache).check()
    checkpoints.create(paths, container, name, directory=folder, leave_running=leave_running)
    print(name)


@checkpoint.command("ls")
@FOLDER
@click.argument("container", metavar="CONTAINER", shell_complete=completion.containers)
def ls(container: str, folder: str) -> None:
    """List the checkpoints of a container."""
    print_lines(Table(COLUMNS, "", USUAL).lines(checkpoints.names(Paths(), container, folder)))


@checkpoint.command("rm")
@FOLDER
@click.argument("container", metavar="CONTAINER", shell_complete=completion.containers)
@NAME
def rm(container: str, name: str, folder: str) -> None:
    """Remove a checkpoint of a container."""
    checkpoints.remove(Paths(), container, name, folder)
