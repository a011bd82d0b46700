"""`tinybox prune`: remove unused containers, networks, images and volumes, after a question."""

from __future__ import annotations

import sys

import click

from tinybox.container import pruning
from tinybox.container.network import making
from tinybox.container.records.paths import Paths
from tinybox.container.views import units


def confirm(kinds: list[str]) -> bool:
    """Print the *kinds* of things that will be removed and ask, as docker does; return true only for the answer y."""
    print("WARNING! This will remove:", *(f"  - {line}" for line in kinds), "", sep="\n")
    print("Are you sure you want to continue? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() == "y"


@click.command()
@click.option("-a", "--all", "all_of_them", is_flag=True, help="Every image, and volume, that no container uses.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("--volumes", "volumes_too", is_flag=True, help="Anonymous volumes, too; with --all also named ones.")
def prune(*, all_of_them: bool, force: bool, volumes_too: bool) -> None:
    """Remove stopped containers, networks without a container and images without a name; print the freed space."""
    paths = Paths()
    images = "images without at least one container associated to them" if all_of_them else "dangling images"
    kind = "volumes" if all_of_them else "anonymous volumes"
    kinds = ["all stopped containers", "all networks not used by at least one container", f"all {images}"]
    kinds += [f"all {kind} not used by at least one container"] if volumes_too else []
    if not force and not confirm(kinds):
        return
    removed = {"Deleted Containers": pruning.containers(paths)}
    removed["Deleted Networks"] = pruning.Removed(making.prune(paths), 0)
    if volumes_too:
        removed["Deleted Volumes"] = pruning.volumes_of(paths, lambda volume: all_of_them or volume.is_anonymous)
    removed["Deleted Images"] = pruning.images(paths, all_of_them=all_of_them)
    for title, removal in removed.items():
        if removal.names:
            print(f"{title}:", *removal.names, "", sep="\n")
    print(f"Total reclaimed space: {units.decimal_size(sum(removal.size for removal in removed.values()))}")
