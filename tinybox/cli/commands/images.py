"""`tinybox images`, `tag`, `rmi` and `history`: list, name and remove images, with docker's words and columns."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import click

from tinybox.cli import completion
from tinybox.cli.commands.registry import store
from tinybox.cli.formatting.options import filter_option, format_option, no_trunc_option, print_lines, quiet_option
from tinybox.cli.formatting.table import Columns, Table
from tinybox.container.records import host
from tinybox.container.views import units
from tinybox.container.views.filter_values import Filter, truth
from tinybox.errors import TinyboxError, report
from tinybox.images.reference import parse
from tinybox.images.removal import remove

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.store import Image

    Test = Callable[["Row"], bool]

NONE = "<none>"
FILTERS = ("before", "dangling", "label", "reference", "since")
USUAL = "Repository Tag ID CreatedSince Size"
WITH_DIGESTS = "Repository Tag Digest ID CreatedSince Size"


class Row(NamedTuple):
    """One line of `images`: an *image* with one of its names, and its *digest* in that name's registry or ""."""

    image: Image
    name: str
    tag: str
    digest: str
    whole: bool

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of the image."""
        return self.image.config.get("Labels") or {}

    @property
    def created(self) -> int:
        """Return when the image was made; see `_when`."""
        return _when(self.image.created)


def _since(row: Row) -> str:
    return units.ago(row.created, time.time_ns()) if row.created else "N/A"


COLUMNS: Columns = {
    "Containers": ("CONTAINERS", lambda _: "N/A"),
    "CreatedAt": ("CREATED AT", lambda row: units.local(row.created) if row.created else "N/A"),
    "CreatedSince": ("CREATED", _since),
    "Digest": ("DIGEST", lambda row: row.digest or NONE),
    "ID": ("IMAGE ID", lambda row: f"sha256:{row.image.id}" if row.whole else row.image.id[:12]),
    "Repository": ("REPOSITORY", lambda row: row.name),
    "SharedSize": ("SHARED SIZE", lambda _: "N/A"),
    "Size": ("SIZE", lambda row: units.decimal_size(row.image.size)),
    "Tag": ("TAG", lambda row: row.tag),
    "UniqueSize": ("UNIQUE SIZE", lambda _: "N/A"),
    "VirtualSize": ("VIRTUAL SIZE", lambda row: units.decimal_size(row.image.size)),
}
HISTORY: Columns = {
    "ID": ("IMAGE", lambda step: step["id"]),
    "CreatedAt": ("CREATED AT", lambda step: step["created"]),
    "CreatedSince": ("CREATED", lambda step: step["since"]),
    "CreatedBy": ("CREATED BY", lambda step: step["by"]),
    "Size": ("SIZE", lambda step: step["size"]),
    "Comment": ("COMMENT", lambda step: step["comment"]),
}


class ImageFilter(Filter):
    """A test whether a row matches every --filter KEY=VALUE of `images`."""

    def __init__(self, filters: tuple[str, ...]) -> None:
        super().__init__(filters, FILTERS)

    def _dangling(self, value: str) -> Test:
        dangling = truth("dangling", value)
        return lambda row: (row.tag == NONE) == dangling

    def _reference(self, value: str) -> Test:
        from fnmatch import fnmatchcase

        return lambda row: any(fnmatchcase(name, value) for name in (row.name, f"{row.name}:{row.tag}"))

    def _before(self, value: str) -> Test:
        limit = _row(store().image(value), "", whole=False).created
        return lambda row: row.created < limit

    def _since(self, value: str) -> Test:
        limit = _row(store().image(value), "", whole=False).created
        return lambda row: row.created > limit


def _row(image: Image, digest: str, *, whole: bool) -> Row:
    name, _, tag = image.reference.rpartition(":") if image.reference else (NONE, "", NONE)
    return Row(image, name, tag, digest, whole)


@click.command()
@click.argument("name", required=False, default="", metavar="[NAME[:TAG]]", shell_complete=completion.images)
@click.option("-a", "--all", "_all", is_flag=True, help="Has no effect: tinybox has no intermediate images.")
@click.option("--digests", is_flag=True, help="Show also the digest that an image has in its registry.")
@quiet_option()
@no_trunc_option()
@filter_option(FILTERS)
@format_option(f"{WITH_DIGESTS} CreatedAt")
def images(
    name: str, filters: tuple[str, ...], style: str, *, _all: bool, digests: bool, quiet: bool, no_trunc: bool
) -> None:
    """List the images in the store, or only those called NAME."""
    matches = ImageFilter((*filters, f"reference={parse(name)}" if name else "reference=*") if name else filters)
    there = store()
    listed = there.images(report)
    by_digest = there.digests()
    rows = []
    for image in listed:
        repository = image.reference.rpartition(":")[0]
        found = [it.partition("@")[2] for it in by_digest.get(image.id, []) if it.partition("@")[0] == repository]
        rows += [_row(image, digest, whole=no_trunc) for digest in (found if digests and found else [""])]
    rows = sorted(filter(matches, rows), key=lambda row: -row.created)
    if quiet:
        print_lines(dict.fromkeys(COLUMNS["ID"][1](row) for row in rows))
        return
    print_lines(Table(COLUMNS, style, WITH_DIGESTS if digests else USUAL).lines(rows))


@click.command()
@click.argument("source", metavar="NAME|ID", shell_complete=completion.images)
@click.argument("target", metavar="NAME[:TAG]")
def tag(source: str, target: str) -> None:
    """Give the image SOURCE also the name TARGET; an image that had this name loses it."""
    host.read("").check()
    store().tag(source, target)


@click.command()
@click.argument("name", metavar="NAME|ID", shell_complete=completion.images)
@quiet_option()
@no_trunc_option("instructions")
@click.option("-H", "--human", type=bool, default=True, metavar="true|false", help="Sizes and dates for people.")
@format_option("ID CreatedSince CreatedBy Size Comment CreatedAt")
def history(name: str, style: str, *, quiet: bool, no_trunc: bool, human: bool) -> None:
    """Show the instructions that made an image, the last one first."""
    found = _history(store().image(name), whole=no_trunc, human=human)
    if quiet:
        print_lines(step["id"] for step in found)
        return
    print_lines(Table(HISTORY, style, "ID CreatedSince CreatedBy Size Comment").lines(found))


def _history(image: Image, *, whole: bool, human: bool) -> list[dict[str, str]]:
    """Return the steps of the image's history, the newest first; a layer without an entry has a step of its own."""
    record, sizes = store().record(image.id), image.sizes()
    entries = record.get("history") or []
    missing = max(len(sizes) - sum(not step.get("empty_layer") for step in entries), 0)
    found = []
    for step in [*[{"created": image.created}] * missing, *entries]:
        size = sizes.pop(0) if sizes and not step.get("empty_layer") else 0
        by = (step.get("created_by") or "").replace("\t", " ")
        made = _when(step.get("created") or image.created)
        found.append({
            "id": "<missing>",
            "created": step.get("created") or "",
            "since": (_ago(made) if human else step.get("created") or "") if made else "N/A",
            "by": by if whole or len(by) <= 45 else by[:44] + "…",
            "size": units.decimal_size(size) if human else str(size),
            "comment": step.get("comment") or "",
        })  # fmt: skip
    if found:
        found[-1]["id"] = f"sha256:{image.id}" if whole else image.id[:12]
    return found[::-1]


def _when(text: str) -> int:
    """Return a date of an image's config in nanoseconds since 1970; 0 if it is missing, or no date."""
    try:
        return units.moment("created", text, 0) if text else 0
    except TinyboxError:
        return 0


def _ago(then: int) -> str:
    return units.ago(then, time.time_ns())


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|ID...", shell_complete=completion.images)
def rmi(names: tuple[str, ...]) -> int:
    """Remove names of images; with its last name, the files of an image are removed."""
    host.read("").check()
    status = 0
    for name in names:
        try:
            untagged, deleted = remove(store(), name)
        except TinyboxError as error:
            print(f"tinybox: {error}", file=sys.stderr)
            status = error.status
            continue
        for reference in untagged:
            click.echo(f"Untagged: {reference}")
        for image_id in deleted:
            click.echo(f"Deleted: sha256:{image_id}")
    return status
