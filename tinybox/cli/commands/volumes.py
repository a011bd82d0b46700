"""`tinybox volume`: list, make, inspect and remove volumes, the directories that outlive containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tinybox.cli import completion, several
from tinybox.cli.formatting.details import print_details
from tinybox.cli.formatting.options import (
    filter_option,
    format_option,
    label_option,
    only_names,
    print_lines,
    quiet_option,
)
from tinybox.cli.formatting.table import Columns, Table
from tinybox.cli.lazy_group import CommandGroup
from tinybox.container.records.paths import Paths
from tinybox.container.storage import volumes
from tinybox.container.views import units, volume_inspection
from tinybox.container.views.filter_values import Filter, truth
from tinybox.errors import StateError, UsageError, report
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.storage.volumes import Volume

    Test = Callable[[Volume], bool]

COLUMNS: Columns = {
    "Availability": ("AVAILABILITY", lambda _: "N/A"),
    "Driver": ("DRIVER", lambda _: "local"),
    "Group": ("GROUP", lambda _: "N/A"),
    "Labels": ("LABELS", lambda volume: ",".join(f"{key}={value}" for key, value in sorted(volume.labels.items()))),
    "Label": ("", lambda volume: lambda key: volume.labels.get(key, "")),
    "Links": ("LINKS", lambda _: "N/A"),
    "Mountpoint": ("MOUNTPOINT", lambda volume: volume.path),
    "Name": ("VOLUME NAME", lambda volume: volume.name),
    "Scope": ("SCOPE", lambda _: "local"),
    "Size": ("SIZE", lambda _: "N/A"),
    "Status": ("STATUS", lambda _: "N/A"),
}
USUAL = "Driver Name"
FILTERS = ("dangling", "driver", "label", "name")


class VolumeFilter(Filter):
    """A test whether a volume matches every --filter KEY=VALUE of `volume ls` or `volume prune`."""

    def __init__(self, paths: Paths, filters: tuple[str, ...], keys: tuple[str, ...] = FILTERS) -> None:
        self._paths, self.with_named = paths, False
        super().__init__(filters, keys)

    def _dangling(self, value: str) -> Test:
        dangling = truth("dangling", value)
        used = volumes.users(self._paths, lambda _, error: report(error))
        return lambda volume: (volume.path not in used) == dangling

    def _all(self, value: str) -> Test:
        self.with_named = truth("all", value)
        return lambda _: True

    def _driver(self, value: str) -> Test:
        return lambda _: value == "local"

    def _name(self, value: str) -> Test:
        return lambda volume: value in volume.name


def pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """Return texts of the form ``KEY=VALUE`` as a dictionary; a missing value is the empty string."""
    return dict(text.partition("=")[::2] for text in texts)


@click.group(cls=CommandGroup)
def volume() -> None:
    """List, make, show and remove volumes."""


@volume.command("ls")
@quiet_option("names")
@filter_option(FILTERS)
@format_option(f"{USUAL} Mountpoint Labels Label Scope")
def ls(filters: tuple[str, ...], style: str, *, quiet: bool) -> None:
    """List the volumes."""
    paths = Paths()
    matches = VolumeFilter(paths, filters)
    found = [each for each in volumes.every(paths) if matches(each)]
    if only_names(style, quiet=quiet):
        print_lines(each.name for each in found)
        return
    print_lines(Table(COLUMNS, style, USUAL, "name:Name driver:Driver").lines(found))


@volume.command("create")
@click.option("-d", "--driver", default="local", metavar="NAME", help="The driver; there is only local.")
@click.option("--label", "labels", multiple=True, metavar="KEY[=VALUE]", help="Add a label.")
@click.option("-o", "--opt", "options", multiple=True, metavar="KEY=VALUE",
              help="type=, device= and o= of a file system to mount: tmpfs, nfs, or none with o=bind.")  # fmt: skip
@click.argument("name", required=False, default="")
def create(name: str, driver: str, labels: tuple[str, ...], options: tuple[str, ...]) -> None:
    """Make the volume NAME, or one with a random name, and print its name."""
    if driver != "local":
        raise UsageError(f"--driver {driver}", "there is no such driver", "local")
    paths = Paths()
    with Store(paths.root).locked():
        print(volumes.create(paths, name, pairs(labels), pairs(options)).name)


@volume.command("rm")
@click.option("-f", "--force", is_flag=True, help="Ignore names that no volume has.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completion.volumes)
def rm(names: tuple[str, ...], *, force: bool) -> int:
    """Remove volumes that no container uses."""
    paths = Paths()

    def remove(name: str) -> str:
        try:
            found = volumes.find(paths, name)
        except StateError:
            if force:
                return name
            raise
        with Store(paths.root).locked():
            volumes.remove(paths, found)
        return name

    return several.each(names, remove)


@volume.command("inspect")
@click.option("-f", "--format", "style", default="", metavar="FORMAT", help="json, or a template.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completion.volumes)
def inspect(names: tuple[str, ...], style: str) -> int:
    """Show all details of volumes."""
    paths = Paths()
    return print_details(names, style, lambda name: volume_inspection.as_dict(volumes.find(paths, name)))


@volume.command("prune")
@click.option("-a", "--all", "all_of_them", is_flag=True, help="Remove named volumes, too, not only anonymous ones.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@label_option()
def prune(filters: tuple[str, ...], *, all_of_them: bool, force: bool) -> None:
    """Remove the volumes that no container uses, and print the freed space."""
    from tinybox.cli.commands.prune import confirm
    from tinybox.container import pruning

    paths = Paths()
    matches = VolumeFilter(paths, filters, ("all", "label", "label!"))
    all_of_them = all_of_them or matches.with_named
    which = "volumes" if all_of_them else "anonymous volumes"
    if not force and not confirm([f"all {which} not used by at least one container"], filters):
        return
    removed = pruning.volumes_of(paths, lambda each: matches(each) and (all_of_them or each.is_anonymous))
    if removed.names:
        print("Deleted Volumes:", *removed.names, "", sep="\n")
    print(f"Total reclaimed space: {units.decimal_size(removed.size)}")
