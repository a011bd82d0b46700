"""`tinybox images`, `import`, `pull`, `rmi`, `save` and `load`: list, make, remove, write and read images."""

from __future__ import annotations

import json
import sys

import click

from tinybox.cli import completion
from tinybox.cli.formatting.options import print_lines, quiet_option
from tinybox.cli.whole_file import appearing
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.errors import ImageError, TinyboxError, UsageError, printable, report
from tinybox.images import recipe
from tinybox.images.intake import import_archive
from tinybox.images.reference import parse
from tinybox.images.store import Image, Store

MEGA = 1_000_000  # docker's megabyte


def store() -> Store:
    """Return the image store of TINYBOX_ROOT, which --root sets."""
    return Store(Paths().root)


def say(line: str) -> None:
    """Print a line about progress on stderr; stdout belongs to the container's program."""
    print(printable(f"tinybox: {line}"), file=sys.stderr)


def make_missing(text: str) -> bool:
    """Make the image *text* from its recipe if it is not in the store; return whether it was made."""
    try:
        store().image(text)
    except ImageError:
        if recipe.find(text) is None:
            return False
        host.read("").check()
        say(f"image {parse(text)} is not here yet; making it from its recipe")
        recipe.make(store(), text, say)
        return True
    return False


def make_again(text: str) -> None:
    """Make the image *text* by its recipe, even if the store has it; ImageError if there is no recipe."""
    if recipe.find(text) is None:
        cause = "it cannot be pulled: there is no recipe for it, and this tinybox does not talk to registries yet"
        cure = f"without `always` the image that is here is used; recipes: {', '.join(recipe.names())}"
        raise ImageError(f"image {text}", cause, cure)
    host.read("").check()
    recipe.make(store(), text, say, again=True)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.images)
@quiet_option()
@click.option(
    "--format", "style", metavar="json", type=click.Choice(["json", "table"]), default="table", help="json or table."
)
def images(names: tuple[str, ...], *, quiet: bool, style: str) -> None:
    """List the images in the store, or only those called NAME."""
    references = {str(parse(name)) for name in names}
    listed = store().images(report)
    found = [image for image in listed if not references or image.reference in references]
    if quiet:
        print_lines(image.id[:12] for image in found)
    elif style == "json":
        for image in found:
            known = _row(image)
            click.echo(json.dumps({**known, "CreatedAt": f"{known['CreatedAt'] or '0001-01-01 00:00:00'} +0000 UTC"}))
    else:
        rows = [("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"), *(tuple(_row(image).values()) for image in found)]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        for row in rows:
            click.echo("   ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


def _row(image: Image) -> dict[str, str]:
    name, _, tag = image.reference.rpartition(":") if image.reference else ("<none>", "", "<none>")
    return {
        "Repository": printable(name),
        "Tag": printable(tag),
        "ID": image.id[:12],
        "CreatedAt": printable(image.created[:19].replace("T", " ")),
        "Size": f"{image.size / MEGA:.2f}MB",
    }


@click.command("import")
@click.argument("file", metavar="FILE|-", shell_complete=completion.files)
@click.argument("name", metavar="NAME[:TAG]")
def import_image(file: str, name: str) -> None:
    """Make an image of one layer from FILE, a tar archive (.tar .tar.gz .tar.xz .tar.zst), or from stdin (-)."""
    host.read("").check()
    with open(0 if file == "-" else file, "rb", closefd=file != "-") as archive:
        image = import_archive(store(), archive, name)
    click.echo(f"sha256:{image.id}")


@click.command()
@click.argument("name", shell_complete=completion.recipes)
def pull(name: str) -> None:
    """Make the image NAME from its recipe, with the first of its sources that works."""
    if recipe.find(name) is None:
        cure = f"recipes: {', '.join(recipe.names())}; or tinybox import FILE {name}"
        raise ImageError(f"image {name}", "there is no recipe for it", cure)
    host.read("").check()
    image = recipe.make(store(), name, say)
    click.echo(f"{image.reference} sha256:{image.id[:12]}")


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|ID...", shell_complete=completion.images)
def rmi(names: tuple[str, ...]) -> int:
    """Remove names of images; with its last name, the files of an image are removed."""
    host.read("").check()
    status = 0
    for name in names:
        try:
            untagged, deleted = store().remove(name)
        except TinyboxError as error:
            print(f"tinybox: {error}", file=sys.stderr)
            status = error.status
            continue
        for reference in untagged:
            click.echo(f"Untagged: {reference}")
        for image_id in deleted:
            click.echo(f"Deleted: sha256:{image_id}")
    return status


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|ID...", shell_complete=completion.images)
@click.option("-o", "--output", default="", metavar="FILE", help="Write to FILE instead of stdout.")
def save(names: tuple[str, ...], output: str) -> None:
    """Write images to a tar archive that is both an OCI image layout and a docker archive; skopeo and podman read it.

    An image keeps its id: its config and the archives of its layers are written as they came in.
    """
    from tinybox.images import saved

    host.read("").check()
    if not output and sys.stdout.isatty():
        raise UsageError("save", "stdout is a terminal, which cannot show an archive", "-o FILE")
    if output:
        with appearing(output) as file:
            saved.save(store(), names, file)
        return
    with open(1, "wb", closefd=False) as file:
        saved.save(store(), names, file)


@click.command()
@click.option("-i", "--input", "source", default="-", metavar="FILE|-", shell_complete=completion.files,
              help="Read from FILE instead of stdin.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Do not print the loaded names.")
def load(source: str, *, quiet: bool) -> None:
    """Load images from an archive that `tinybox save`, `docker save` or skopeo has written."""
    from tinybox.images import loading

    host.read("").check()
    with open(0 if source == "-" else source, "rb", closefd=source != "-") as archive:
        names = loading.load(store(), archive)
    for name in names if not quiet else ():
        click.echo(f"Loaded image: {name}")
