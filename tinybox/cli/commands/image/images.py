"""`tinybox images`, `tag`, `rmi` and `history`: list, name and remove images, with docker's words and columns."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tinybox.cli import completion
from tinybox.cli.commands.image.registry import store
from tinybox.cli.formatting.options import (
    filter_option,
    format_option,
    no_trunc_option,
    only_names,
    print_lines,
    quiet_option,
)
from tinybox.cli.formatting.table import Columns, Table
from tinybox.container.records import host
from tinybox.container.views import image_list, units
from tinybox.errors import ImageError, TinyboxError
from tinybox.images.removal import remove
from tinybox.images.store import NO_SUCH

if TYPE_CHECKING:
    from tinybox.images.store import Image

USUAL = "Repository Tag ID CreatedSince Size"
RAW = "repository:Repository tag:Tag image_id:ID created_at:CreatedAt virtual_size:Size"
WITH_DIGESTS = "Repository Tag Digest ID CreatedSince Size"


COLUMNS: Columns = {
    "Containers": ("CONTAINERS", lambda _: "N/A"),
    "CreatedAt": ("CREATED AT", lambda row: units.local(row.created) if row.created else "N/A"),
    "CreatedSince": ("CREATED", lambda row: image_list.ago(row.created)),
    "Digest": ("DIGEST", lambda row: row.digest or image_list.NONE),
    "ID": ("IMAGE ID", lambda row: row.image.id[:12]),
    "Repository": ("REPOSITORY", lambda row: row.name),
    "SharedSize": ("SHARED SIZE", lambda _: "N/A"),
    "Size": ("SIZE", lambda row: units.decimal_size(row.image.size)),
    "Tag": ("TAG", lambda row: row.tag),
    "UniqueSize": ("UNIQUE SIZE", lambda _: "N/A"),
    "VirtualSize": ("VIRTUAL SIZE", lambda row: units.decimal_size(row.image.size)),
}
WHOLE: Columns = {**COLUMNS, "ID": ("IMAGE ID", lambda row: f"sha256:{row.image.id}")}
HISTORY: Columns = {
    "ID": ("IMAGE", lambda step: step["id"]),
    "CreatedAt": ("CREATED AT", lambda step: step["created"]),
    "CreatedSince": ("CREATED", lambda step: step["since"]),
    "CreatedBy": ("CREATED BY", lambda step: step["by"]),
    "Size": ("SIZE", lambda step: step["size"]),
    "Comment": ("COMMENT", lambda step: step["comment"]),
}


@click.command()
@click.argument("name", required=False, default="", metavar="[NAME[:TAG]]", shell_complete=completion.images)
@click.option("-a", "--all", "_all", is_flag=True, help="Has no effect: tinybox has no intermediate images.")
@click.option("--digests", is_flag=True, help="Show also the digest that an image has in its registry.")
@quiet_option()
@no_trunc_option()
@filter_option(image_list.KEYS)
@format_option(f"{WITH_DIGESTS} CreatedAt")
def images(
    name: str, filters: tuple[str, ...], style: str, *, _all: bool, digests: bool, quiet: bool, no_trunc: bool
) -> None:
    """List the images in the store, or only those called NAME."""
    words = (*filters, f"reference={image_list.named(name)}") if name else filters
    matches = image_list.ImageFilter(store(), words)
    rows = list(filter(matches, image_list.rows(store(), each_digest=digests)))
    columns = WHOLE if no_trunc else COLUMNS
    if only_names(style, quiet=quiet):
        print_lines(dict.fromkeys(columns["ID"][1](row) for row in rows))
        return
    print_lines(Table(columns, style, WITH_DIGESTS if digests else USUAL, RAW).lines(rows))


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
    if only_names(style, quiet=quiet):
        print_lines(step["id"] for step in found)
        return
    print_lines(Table(HISTORY, style, "ID CreatedSince CreatedBy Size Comment").lines(found))


def _history(image: Image, *, whole: bool, human: bool) -> list[dict[str, str]]:
    """Return the steps of the image's history, the newest first; a layer without an entry has a step of its own."""
    found = []
    for step in image_list.history(store(), image):
        by = (step.get("created_by") or "").replace("\t", " ")
        made = image_list.made_at(step.get("created") or image.created)
        found.append({
            "id": "<missing>",
            "created": step.get("created") or "",
            "since": (image_list.ago(made) if human else step.get("created") or "") if made else "N/A",
            "by": by if whole or len(by) <= 45 else by[:44] + "…",
            "size": units.decimal_size(step["size"]) if human else str(step["size"]),
            "comment": step.get("comment") or "",
        })  # fmt: skip
    if found:
        found[0]["id"] = f"sha256:{image.id}" if whole else image.id[:12]
    return found


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|ID...", shell_complete=completion.images)
@click.option("-f", "--force", is_flag=True, help="Also an image with several names, and names that a container uses.")
@click.option("--no-prune", "_no_prune", is_flag=True, help="Has no effect: tinybox has no untagged parents.")
def rmi(names: tuple[str, ...], *, force: bool, _no_prune: bool) -> int:
    """Remove names of images; with its last name, the files of an image are removed.

    The files that a container uses stay. With --force its image loses the name, and `prune` removes it after the
    container.
    """
    host.read("").check()
    status = 0
    for name in names:
        try:
            untagged, deleted = remove(store(), name, force=force)
        except TinyboxError as error:
            print(f"tinybox: {error}", file=sys.stderr)
            is_missing = isinstance(error, ImageError) and error.cause.startswith(NO_SUCH)
            status = status if force and is_missing else 1
            continue
        for reference in untagged:
            click.echo(f"Untagged: {reference}")
        for image_id in deleted:
            click.echo(f"Deleted: sha256:{image_id}")
    return status
