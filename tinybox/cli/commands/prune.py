"""`tinybox prune`, and `prune` of system, container, image and builder: remove what is not used, after a question."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from tinybox.cli.formatting.options import prune_filter_option
from tinybox.cli.late import Late
from tinybox.container.config import option_values
from tinybox.container.records.paths import Paths
from tinybox.container.views import units
from tinybox.container.views.filter_values import PRUNE_KEYS, Filter, truth
from tinybox.container.views.image_list import ListedImage
from tinybox.errors import OptionError, UsageError
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.build import cache
    from tinybox.build.cache import Item
    from tinybox.container import pruning
    from tinybox.container.network import making
    from tinybox.images.store import Image
else:
    cache = Late("tinybox.build.cache")
    pruning = Late("tinybox.container.pruning")
    making = Late("tinybox.container.network.making")

CACHE_KEYS = ("id", "type", "until", "unused-for")
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


def _removed(paths: Paths, matches: Filter, *, all_of_them: bool, volumes_too: bool) -> dict[str, pruning.Removed]:
    """Remove everything that is not used and matches; return what was removed, by docker's titles."""
    removed = {"Deleted Containers": pruning.containers(paths, matches if matches.values else None)}
    removed["Deleted Networks"] = pruning.Removed(making.prune(paths, matches), 0)
    if volumes_too:
        removed["Deleted Volumes"] = pruning.volumes_of(
            paths, lambda volume: (all_of_them or volume.is_anonymous) and matches(volume)
        )
    removed["Deleted Images"] = pruning.images(paths, all_of_them=all_of_them, is_wanted=_of_images(matches))
    if not matches.values:
        removed[""] = pruning.Removed([], cache.clear(Store(paths.root)))
    return removed


def _of_images(matches: Filter) -> Callable[[Image], bool]:
    return lambda image: matches(ListedImage(image))


def _print(removed: dict[str, pruning.Removed]) -> None:
    for title, removal in removed.items():
        if removal.names:
            print(f"{title}:", *removal.names, "", sep="\n")
    print(f"Total reclaimed space: {units.decimal_size(sum(removal.size for removal in removed.values()))}")


class PruneFilter(Filter):
    """The --filter options of `image prune`; *dangling* is false with dangling=false, which is --all."""

    def __init__(self, filters: tuple[str, ...]) -> None:
        self.dangling = True
        super().__init__(filters, (*PRUNE_KEYS, "dangling"))

    def _dangling(self, value: str) -> Callable[[object], bool]:
        self.dangling = truth("dangling", value)
        return lambda _: True


@click.command("prune")
@click.option("-a", "--all", "all_of_them", is_flag=True, help="Every image that no container uses.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@prune_filter_option()
def prune_images(filters: tuple[str, ...], *, all_of_them: bool, force: bool) -> None:
    """Remove images without a name that no container uses; print the freed space."""
    matches = PruneFilter(filters)
    all_of_them = all_of_them or not matches.dangling
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


class CacheFilter(Filter):
    """A test whether an item of the build cache matches every --filter KEY=VALUE of `builder prune`."""

    def __init__(self, filters: tuple[str, ...]) -> None:
        super().__init__(filters, CACHE_KEYS)

    def _until(self, value: str) -> Callable[[Item], bool]:
        limit = units.moment("--filter until", value, time.time_ns())
        return lambda item: item.used < limit

    _unused_for = _until  # its older name

    def _id(self, value: str) -> Callable[[Item], bool]:
        return lambda item: bool(value) and item.id.startswith(value)

    def _type(self, value: str) -> Callable[[Item], bool]:
        return lambda item: item.kind == value


@click.command("prune")
@click.option("-a", "--all", "_all", is_flag=True, help="Has no effect: every entry is removed in any case.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("--keep-storage", "--reserved-space", "keep", default="", metavar="SIZE",
              help="Keep the entries that were used last, up to SIZE.")  # fmt: skip
@click.option("--filter", "filters", multiple=True, metavar="until=TIME|type=TYPE|id=ID",
              help="Only entries not used since TIME (24h), or of TYPE regular or exec.cachemount.")  # fmt: skip
def prune_cache(keep: str, filters: tuple[str, ...], *, _all: bool, force: bool) -> None:
    """Remove the build cache, with its cache mounts that no build uses, and print the freed space."""
    matches, most = CacheFilter(filters), _size(keep)
    if not force:
        print("WARNING! This will remove all build cache.")
        if not _asked():
            return
    gone, freed = cache.prune(Store(Paths().root), matches, most)
    _print({"Deleted build cache objects": pruning.Removed(gone, freed)})


def _size(text: str) -> int:
    """Return the size of --keep-storage in bytes; OptionError: it is none."""
    try:
        return option_values.size("keep-storage", text) if text else 0
    except UsageError as error:
        raise OptionError(error.thing, error.cause, error.cure) from error
