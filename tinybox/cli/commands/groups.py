"""`tinybox image` and `tinybox system`: groups as docker has them; most of their commands have a shorter name, too."""

from __future__ import annotations

import click

from tinybox.cli.lazy_group import LazyGroup, Table

_IMAGES, _ARCHIVES = "tinybox.cli.commands.image.images", "tinybox.cli.commands.image.archives"
_REGISTRY = "tinybox.cli.commands.image.registry"

OF_IMAGES: Table = {
    "build": ("tinybox.cli.commands.image.build", "build", "Build an image by a Containerfile"),
    "history": (_IMAGES, "history", "Show the instructions that made an image"),
    "import": (_ARCHIVES, "import_image", "Make an image from a tar archive"),
    "inspect": ("tinybox.cli.commands.inspection", "inspect_image", "Show all details of images as JSON"),
    "load": (_ARCHIVES, "load", "Load images from an archive that save has written"),
    "ls": (_IMAGES, "images", "List the images in the store"),
    "prune": ("tinybox.cli.commands.prune", "prune_images", "Remove images that no container uses"),
    "pull": (_REGISTRY, "pull", "Pull an image from a registry, or make it from its recipe"),
    "push": (_REGISTRY, "push", "Send an image to a registry"),
    "rm": (_IMAGES, "rmi", "Remove images"),
    "save": (_ARCHIVES, "save", "Write images to an archive that other tools can read"),
    "tag": (_IMAGES, "tag", "Give an image another name"),
}
OF_SYSTEM: Table = {
    "df": ("tinybox.cli.commands.disk_usage", "df", "Show how much space images, containers and volumes take"),
    "prune": ("tinybox.cli.commands.prune", "prune", "Remove everything that is not used"),
}


@click.group(cls=LazyGroup, table=OF_IMAGES)
def image() -> None:
    """Manage images: docker's names of the commands that also exist without `image`."""


@click.group(cls=LazyGroup, table=OF_SYSTEM)
def system() -> None:
    """Show how much space everything takes, and remove what is not used."""
