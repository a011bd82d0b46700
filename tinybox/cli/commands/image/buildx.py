"""`tinybox buildx`: docker's other name of `build` and `builder prune`, and the list of builders, which has one entry.

The builder has docker's driver ``docker``: an image that it has built is in the store. So clients need not load it.
"""

from __future__ import annotations

import click

from tinybox import __version__
from tinybox.cli.commands.image.build_results import BUILDER, check_builder
from tinybox.cli.formatting.options import format_option, print_lines
from tinybox.cli.formatting.table import Columns, Table
from tinybox.cli.lazy_group import LazyGroup
from tinybox.images.store import this_architecture

USUAL = "Name DriverEndpoint Status Version Platforms"
OTHERS = dict.fromkeys(("create", "rm"), f"no daemon could be another builder: there is only {BUILDER}")
OTHERS |= {"du": "tinybox system df -v", "history": "tinybox build --explain"}
OTHERS["bake"] = "tinybox compose build"


def _platforms() -> str:
    return f"linux/{this_architecture()}"


def _node() -> dict[str, object]:
    """Return the builder's only node, with docker's keys."""
    return {
        "Name": BUILDER,
        "Endpoint": BUILDER,
        "Flags": None,
        "Status": "running",
        "Version": __version__,
        "IDs": None,
        "Platforms": [_platforms()],
        "Labels": {},
    }


COLUMNS: Columns = {
    "Name": ("NAME/NODE", lambda _: BUILDER),
    "DriverEndpoint": ("DRIVER/ENDPOINT", lambda _: "docker"),
    "Driver": ("DRIVER", lambda _: "docker"),
    "Status": ("STATUS", lambda _: "running"),
    "Version": ("BUILDKIT", lambda _: __version__),
    "Platforms": ("PLATFORMS", lambda _: _platforms()),
    "Current": ("", lambda _: True),
    "Dynamic": ("", lambda _: False),
    "LastActivity": ("", lambda _: None),
    "Nodes": ("", lambda _: [_node()]),
}


@click.group(
    cls=LazyGroup,
    table={
        "build": ("tinybox.cli.commands.image.build", "build", "Build an image by a Containerfile"),
        "prune": ("tinybox.cli.commands.prune", "prune_cache", "Remove the build cache"),
        "ls": ("tinybox.cli.commands.image.buildx", "ls", "List the builders; there is one"),
        "inspect": ("tinybox.cli.commands.image.buildx", "inspect", "Show a builder"),
        "use": ("tinybox.cli.commands.image.buildx", "use", "Choose a builder; there is one"),
        "stop": ("tinybox.cli.commands.image.buildx", "stop", "Stop a builder; it runs only during a build"),
        "imagetools": ("tinybox.cli.commands.image.imagetools", "imagetools", "Show and name images of registries"),
        "version": ("tinybox.cli.commands.image.buildx", "version", "Show the version of the builder"),
    },
    other_names={"b": "build"},
    elsewhere=OTHERS,
)
def buildx() -> None:
    """Build images, with docker's name for its newer builder; `tinybox build` is the same."""


@click.command()
@format_option(USUAL)
def ls(style: str) -> None:
    """List the builders; there is one."""
    print_lines(Table(COLUMNS, style, USUAL).lines([None]))


@click.command()
@click.argument("name", required=False, default=BUILDER)
@click.option("--bootstrap", "_bootstrap", is_flag=True, help="Has no effect: the builder needs no start.")
def inspect(name: str, *, _bootstrap: bool) -> None:
    """Show the builder NAME, as docker does."""
    check_builder(name)
    node = _node()
    shown = {"Name": node["Name"], "Driver": "docker"}
    of_node = {"Name": node["Name"], "Endpoint": node["Endpoint"], "Status": node["Status"]}
    of_node |= {"BuildKit version": node["Version"], "Platforms": _platforms()}
    for lines in (shown, of_node):
        print_lines(["", "Nodes:"] if lines is of_node else [])
        print_lines(f"{f'{key}:':<{max(map(len, lines)) + 1}} {value}" for key, value in lines.items())


@click.command()
@click.option("--default", "_default", is_flag=True, help="Has no effect: there is one builder.")
@click.option("--global", "_global", is_flag=True, help="Has no effect: there is one builder.")
@click.argument("name")
def use(name: str, **_: bool) -> None:
    """Choose the builder NAME: an error, unless it is the one that there is."""
    check_builder(name)


@click.command()
@click.argument("name", required=False, default=BUILDER)
def stop(name: str) -> None:
    """Stop the builder NAME: nothing runs between two builds, so nothing is left to stop."""
    check_builder(name)


@click.command()
def version() -> None:
    """Show the version of the builder: it is tinybox's."""
    click.echo(f"tinybox buildx {__version__}")
