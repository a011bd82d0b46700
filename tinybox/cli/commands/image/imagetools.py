"""`tinybox buildx imagetools`: show an image that is in a registry, and give it another name there, as docker does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.commands.image.build_results import check_builder
from tinybox.cli.formatting.options import print_lines
from tinybox.cli.lazy_group import CommandGroup
from tinybox.errors import UsageError, printable
from tinybox.images.reference import parse

if TYPE_CHECKING:
    from tinybox.images.registry.indexes import Found


@click.group(cls=CommandGroup)
def imagetools() -> None:
    """Show images that are in a registry, and give them other names there."""


@imagetools.command("inspect")
@click.option("--raw", is_flag=True, help="Print the manifest or the index as the registry has it.")
@click.option("--builder", default="", metavar="NAME", help="The builder; there is only default.")
@click.argument("name", metavar="NAME")
def inspect(name: str, builder: str, *, raw: bool) -> None:
    """Show the manifest of the image NAME in its registry, or the list of its platforms; no layer is fetched."""
    from tinybox.images.registry import indexes

    check_builder(builder)
    known = indexes.found(parse(name))
    if raw:
        sys.stdout.write(known.content.decode("utf-8", "replace"))
    else:
        print_lines(map(printable, _lines(known)))


def _lines(known: Found) -> list[str]:
    from tinybox.images.registry.manifests import digest_of

    lines = [f"Name:      {known.reference}", f"MediaType: {known.kind}", f"Digest:    {digest_of(known.content)}"]
    if known.manifest is not None:
        return lines
    lines += ["", "Manifests:"]
    for entry in known.entries():
        platform: dict[str, Any] = entry.get("platform") or {}
        names = [platform[key] for key in ("os", "architecture", "variant") if platform.get(key)]
        lines += [f"  Name:      {known.reference}@{entry['digest']}", f"  MediaType: {entry.get('mediaType', '')}"]
        lines += [f"  Platform:  {'/'.join(map(str, names))}", ""]
    return lines


@imagetools.command("create")
@click.option("-t", "--tag", "names", multiple=True, metavar="NAME[:TAG]", help="The new name, in the same registry.")
@click.option("--append", is_flag=True, help="Add the images to the index that the first --tag has.")
@click.option("--dry-run", is_flag=True, help="Print the manifest or the index, and change nothing.")
@click.option("--builder", default="", metavar="NAME", help="The builder; there is only default.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
def create(sources: tuple[str, ...], names: tuple[str, ...], builder: str, *, append: bool, dry_run: bool) -> None:
    """Give the image SOURCE, which is in a registry, also the names --tag; several SOURCEs become one index."""
    from tinybox.images.registry import indexes

    check_builder(builder)
    targets = [parse(name) for name in names]
    if not targets and (append or not dry_run):
        raise UsageError("imagetools create", "a new name is needed", "--tag NAME")
    known, content, kind = indexes.joined([parse(source) for source in sources], targets[0] if append else None)
    if dry_run:
        sys.stdout.write(content.decode("utf-8", "replace"))
        return
    for target in targets:
        indexes.store(target, known, content, kind)
