"""Groups as docker has them: container, image, system, builder; most of their commands have a shorter name, too."""

from __future__ import annotations

import click

from tinybox.cli.app import COMMANDS
from tinybox.cli.lazy_group import LazyGroup, Table

_PRUNE = "tinybox.cli.commands.prune"


def _shared(names: str) -> Table:
    """Return the commands *names* of tinybox as a table of a group."""
    return {name: COMMANDS[name] for name in names.split()}


OF_CONTAINERS: Table = {
    **_shared("attach commit cp create diff exec export kill logs pause port rename restart rm run start stats stop"),
    **_shared("top unpause update wait"),
    "inspect": ("tinybox.cli.commands.inspection", "inspect_container", "Show all details of containers as JSON"),
    "ls": COMMANDS["ps"],
    "prune": (_PRUNE, "prune_containers", "Remove the containers that do not run"),
}
OF_IMAGES: Table = {
    **_shared("build history import load pull push save tag"),
    "inspect": ("tinybox.cli.commands.inspection", "inspect_image", "Show all details of images as JSON"),
    "ls": COMMANDS["images"],
    "prune": (_PRUNE, "prune_images", "Remove images that no container uses"),
    "rm": COMMANDS["rmi"],
}
OF_SYSTEM: Table = {
    **_shared("events info"),
    "df": ("tinybox.cli.commands.disk_usage", "df", "Show how much space images, containers and volumes take"),
    "prune": (_PRUNE, "prune", "Remove everything that is not used"),
}
OF_BUILDS: Table = {
    **_shared("build"),
    "prune": (_PRUNE, "prune_cache", "Remove the build cache"),
}


@click.group(cls=LazyGroup, table=OF_CONTAINERS, other_names={"ps": "ls"})
def container() -> None:
    """Manage containers: docker's names of the commands that also exist without `container`."""


@click.group(cls=LazyGroup, table=OF_IMAGES)
def image() -> None:
    """Manage images: docker's names of the commands that also exist without `image`."""


@click.group(cls=LazyGroup, table=OF_SYSTEM)
def system() -> None:
    """Show this host, how much space everything takes, and what happens; remove what is not used."""


@click.group(cls=LazyGroup, table=OF_BUILDS)
def builder() -> None:
    """Build images, and remove the build cache."""
