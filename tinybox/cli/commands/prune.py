"""`tinybox prune`, and `prune` of system, container, image and builder: remove what is not used, after a question."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tinybox.build import cache
from tinybox.cli.formatting.options import prune_filter_option
from tinybox.container import pruning
from tinybox.container.network import making
from tinybox.container.pruning import Removed
from tinybox.container.records.paths import Paths
from tinybox.container.views import units
from tinybox.container.views.filter_values import Filter
from tinybox.container.views.image_list import PRUNE_KEYS, ListedImage
from tinybox.errors import UsageError
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.store import Image

DANGLING, UNUSED = "dangling images", "images without at least one container associated to them"


def confirm(kinds: list[str], filters: tuple[str, ...] = ()) -> bool:
    """Print the *kinds* of things that will be removed and ask, as docker does; return true only for the answer y."""
    print("WARNING! This will remove:", *(f"  - {line}" for line in kinds), "", sep="\n")
    if filters:
        print("  Items to be pruned will be filtered with:", *(f"  - {one}" for one in filters), "", sep="\n")
    return _asked()


def _asked() -> bool:
    print("Are you sure you want to continue? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() == "y"


@click.command()
@click.option("-a", "--all", "all_of_them", is_flag=True, help="Every image, and volume, that no container uses.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("--volumes", "volumes_too", is_flag=True, help="Anonymous volumes, too; with --all also named ones.")
@prune_filter_option()
def prune(filters: tuple[str, ...], *, all_of_them: bool, force: bool, volumes_too: bool) -> None:
    """Remove stopped containers, networks without a container, images without a name and the build cache.

    Print the freed space. With a filter the build cache stays: it has neither labels nor a date.
    """
    matches = Filter(filters, PRUNE_KEYS)
    if volumes_too and "until" in matches.values:
        raise UsageError("--filter until", "is not supported with --volumes", "leave one of them out")
    kinds = ["all stopped containers", "all networks not used by at least one container"]
    kinds += [f"all {'' if all_of_them else 'anonymous '}volumes not used by at least one container"] * volumes_too
    kinds += [f"all {UNUSED if all_of_them else DANGLING}", *(["all build cache"] if not filters else [])]
    if not force and not confirm(kinds, filters):
        return
    _print(_removed(Paths(), matches, all_of_them=all_of_them, volumes_too=volumes_too))


def _removed(paths: Paths, matches: Filter, *, all_of_them: bool, volumes_too: bool) -> dict[str, Removed]:
    """Remove everything that is not used and matches; return what was removed, by docker's titles."""
    removed = {"Deleted Containers": pruning.containers(paths, matches if matches.values else None)}
    removed["Deleted Networks"] = Removed(making.prune(paths, matches), 0)
    if volumes_too:
        removed["Deleted Volumes"] = pruning.volumes_of(
            paths, lambda volume: (all_of_them or volume.is_anonymous) and matches(volume)
        )
    removed["Deleted Images"] = pruning.images(paths, all_of_them=all_of_them, is_wanted=_of_images(matches))
    if not matches.values:
        removed[""] = Removed([], cache.clear(Store(paths.root)))
    return removed


def _of_images(matches: Filter) -> Callable[[Image], bool]:
    return lambda image: matches(ListedImage(image))


def _print(removed: dict[str, Removed]) -> None:
    for title, removal in removed.items():
        if removal.names:
            print(f"{title}:", *removal.names, "", sep="\n")
    print(f"Total reclaimed space: {units.decimal_size(sum(removal.size for removal in removed.values()))}")


@click.command("prune")
@click.option("-a", "--all", "all_of_them", is_flag=True, help="Every image that no container uses.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@prune_filter_option()
def prune_images(filters: tuple[str, ...], *, all_of_them: bool, force: bool) -> None:
    """Remove images without a name that no container uses; print the freed space."""
    matches = Filter(filters, PRUNE_KEYS)
    if not force:
        print(f"WARNING! This will remove all {UNUSED if all_of_them else DANGLING}.")
        if not _asked():
            return
    _print({"Deleted Images": pruning.images(Paths(), all_of_them=all_of_them, is_wanted=_of_images(matches))})


@click.command("prune")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@prune_filter_option()
def prune_containers(filters: tuple[str, ...], *, force: bool) -> None:
    """Remove the containers that do not run, and print the freed space."""
    matches = Filter(filters, PRUNE_KEYS)
    if not force:
        print("WARNING! This will remove all stopped containers.")
        if not _asked():
            return
    _print({"Deleted Containers": pruning.containers(Paths(), matches if matches.values else None)})


@click.command("prune")
@click.option("-a", "--all", "_all", is_flag=True, help="Has no effect: every entry is removed in any case.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
def prune_cache(*, _all: bool, force: bool) -> None:
    """Remove the build cache, with its cache mounts that no build uses, and print the freed space."""
    if not force:
        print("WARNING! This will remove all build cache.")
        if not _asked():
            return
    _print({"": Removed([], cache.clear(Store(Paths().root)))})
