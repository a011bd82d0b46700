"""`tinybox layers`: the layers of an image or a container, from top to bottom, and what each one covers."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import click

from tinybox.cli import completion
from tinybox.cli.formatting.options import no_trunc_option, print_lines
from tinybox.cli.formatting.table import Columns, Table
from tinybox.container.files.whole_file import appearing
from tinybox.container.records.paths import Paths
from tinybox.container.views import layers as views
from tinybox.container.views import units
from tinybox.errors import UsageError, printable
from tinybox.images.layer_changes import ADDED, CHANGED, HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinybox.container.views.layers import Stack
    from tinybox.images.layer_changes import Change
    from tinybox.images.layer_report import Layer
    from tinybox.images.layer_versions import Version

BY_MOST, DIGEST = 45, 12  # characters of an instruction, as in `history`, and of a digest
COPIED_MOST = 10  # the largest copied files are listed; --files lists all of them


def _instruction(layer: Layer) -> str:
    if layer.again:
        return f"the same layer as {layer.again}, which has all its files"
    return layer.created_by.replace("\t", " ").replace("\n", " ")


def _shortened(text: str) -> str:
    return text if len(text) <= BY_MOST else text[: BY_MOST - 1] + "…"


def _size(version: Version) -> str:
    is_file = version.info is not None and stat.S_ISREG(version.info.st_mode)
    return units.decimal_size(version.info.st_size) if is_file and version.info else "-"


COLUMNS: Columns = {
    "Layer": ("LAYER", lambda layer: str(layer.number)),
    "Digest": ("DIGEST", lambda layer: layer.source.digest.removeprefix("sha256:")[:DIGEST]),
    "Whole": ("DIGEST", lambda layer: layer.source.digest),
    "Size": ("SIZE", lambda layer: units.decimal_size(layer.size)),
    "Adds": ("ADDS", lambda layer: str(layer.count(ADDED))),
    "Changes": ("CHANGES", lambda layer: str(layer.count(CHANGED))),
    "Hides": ("HIDES", lambda layer: str(layer.count(HIDDEN))),
    "Covered": ("COVERED", lambda layer: units.decimal_size(layer.lost)),
    "By": ("CREATED BY", lambda layer: _shortened(_instruction(layer))),
    "WholeBy": ("CREATED BY", _instruction),
}
USUAL = "Layer Digest Size Adds Changes Hides Covered By"
COPIES: Columns = {
    "Path": ("COPIED UP", lambda change: change.path),
    "Size": ("COPIED", lambda change: units.decimal_size(change.former)),
    "From": ("FROM LAYER", lambda change: str(change.below)),
    "How": ("CHANGED", lambda change: change.how),
}
VERSIONS: Columns = {
    "Layer": ("LAYER", lambda row: str(row[0].number)),
    "Digest": ("DIGEST", lambda row: row[1].source.digest.removeprefix("sha256:")[:DIGEST]),
    "State": ("VERSION", lambda row: row[0].state),
    "Mode": ("MODE", lambda row: stat.filemode(row[0].info.st_mode) if row[0].info else "-"),
    "Size": ("SIZE", lambda row: _size(row[0])),
    "Modified": ("MODIFIED", lambda row: units.local(row[0].info.st_mtime_ns)[:19] if row[0].info else "-"),
    "Path": ("PATH", lambda row: row[0].place + (f" -> {row[0].target}" if row[0].target else "")),
}


@click.command()
@click.argument("name", metavar="IMAGE|CONTAINER", shell_complete=completion.layered)
@click.option(
    "--which", "path", default="", metavar="PATH", help="Show which layer PATH comes from, and what it covers."
)
@click.option("--files", "with_files", is_flag=True, help="List also the files: A added, C changed, D hidden.")
@click.option("--html", "page", default="", metavar="FILE", help="Draw the layers as a page, which needs no network.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, sizes in bytes.")
@click.option("--type", "kind", default="", metavar="TYPE", help="container or image (default: try both).")
@no_trunc_option("digests and instructions")
def layers(name: str, path: str, page: str, kind: str, *, with_files: bool, as_json: bool, no_trunc: bool) -> None:
    """Show the layers of an image, or of a container with its own on top: what each adds, changes, hides and covers.

    COVERED is the size of a layer's files that no container sees any more: later layers have hidden or replaced them.
    """
    if kind and kind not in views.KINDS:
        raise UsageError(f"--type {kind}", "is unknown", "container or image")
    if sum(map(bool, (path, page, as_json, with_files))) > 1:
        raise UsageError("layers", "--which, --files, --html and --json exclude one another", "give one of them")
    paths = Paths()
    stack = views.find(paths, name, kind)
    if path:
        _print_versions(stack, path)
        return
    found = views.layers_of(paths, stack)
    if as_json:
        print(json.dumps(views.as_dict(stack, found), indent=4))
    elif page:
        from tinybox.seeing import layers_page

        with appearing(page) as file:
            file.write(layers_page.page(views.as_dict(stack, found)).encode())
    else:
        _print_table(stack, found, with_files=with_files, no_trunc=no_trunc)


def _print_versions(stack: Stack, path: str) -> None:
    from tinybox.images.layer_report import Layer

    place, found = views.which(stack, path)
    if place != os.path.normpath(path):
        print(f"{printable(path)} is {printable(place)}")
    rows = [(version, Layer(version.number, stack.sources[version.number - 1], 0)) for version in found]
    print_lines(Table(VERSIONS, "", " ".join(VERSIONS)).lines(rows))


def _print_table(stack: Stack, found: list[Layer], *, with_files: bool, no_trunc: bool) -> None:
    usual = USUAL.replace("Digest", "Whole").replace(" By", " WholeBy") if no_trunc else USUAL
    if not with_files:
        print_lines(Table(COLUMNS, "", usual).lines(found[::-1]))
    for layer in found[::-1] if with_files else ():
        print_lines([*Table(COLUMNS, "", usual).lines([layer]), *map(_line, layer.changes), ""])
    print_lines(_summary(stack, found))
    copied = [change for layer in found for change in layer.copied()]
    if copied:
        print_lines(["", *Table(COPIES, "", " ".join(COPIES)).lines(copied[: None if with_files else COPIED_MOST])])


def _line(change: Change) -> str:
    more = f"  ({change.files} files)" if change.files > 1 else ""
    return f"{change.kind} {printable(change.path)}{more}"


def _summary(stack: Stack, found: list[Layer]) -> Iterator[str]:
    """Yield a sentence about the bytes of the image, and one about those that a container's changes have cost."""
    image = [layer for layer in found if not layer.source.is_upper]
    size, lost = sum(layer.size for layer in image if not layer.again), sum(layer.lost for layer in image)
    share = f" ({100 * lost / size:.1f} %)" if size else ""
    count = f"{len(image)} layer{'s' if len(image) != 1 else ''}"
    yield f"{count}: {units.decimal_size(size)}, of which {units.decimal_size(lost)}{share} are covered by later layers"
    if stack.kind == "container":
        copied = [change.former for layer in found for change in layer.copied()]
        files = f"{len(copied)} file{'s' if len(copied) != 1 else ''}"
        yield f"the container has copied {files} up: {units.decimal_size(sum(copied))}"
