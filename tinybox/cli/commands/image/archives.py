"""`tinybox import`, `save` and `load`: images from archives and to them."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli import completion
from tinybox.cli.commands.image.registry import store
from tinybox.cli.late import Late
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from tinybox.container.files import whole_file
    from tinybox.container.records import host
    from tinybox.images import intake
else:
    whole_file = Late("tinybox.container.files.whole_file")
    host = Late("tinybox.container.records.host")
    intake = Late("tinybox.images.intake")


@click.command("import")
@click.option("-c", "--change", "changes", multiple=True, metavar="INSTRUCTION",
              help="Change the image's settings: CMD, ENV, USER, WORKDIR, LABEL ... of a Containerfile.")  # fmt: skip
@click.option("-m", "--message", default="", metavar="TEXT", help="The comment in the image's history.")
@click.option("--platform", default="", metavar="OS/ARCH[/VARIANT]", help="What it is for; default: this machine.")
@click.argument("file", metavar="FILE|-", shell_complete=completion.files)
@click.argument("name", metavar="[NAME[:TAG]]", required=False)
def import_image(file: str, name: str | None, changes: tuple[str, ...], message: str, platform: str) -> None:
    """Make an image of one layer from FILE, a tar archive (.tar .tar.gz .tar.xz .tar.zst), or from stdin (-)."""
    host.read("").check()
    config = _changed(changes)
    more = {**_platform(platform), **_history(message)}
    with open(0 if file == "-" else file, "rb", closefd=file != "-") as archive:
        image = intake.import_archive(store(), archive, name, config, more=more)
    click.echo(f"sha256:{image.id}")


def _changed(changes: tuple[str, ...]) -> dict[str, Any]:
    """Return the config that the instructions of --change make of an empty one."""
    if not changes:
        return {}
    from tinybox.container.files import change_instructions

    return change_instructions.changed({}, changes)


def _platform(text: str) -> dict[str, str]:
    """Return the fields of an image's config for the platform *text*; "" is this machine's."""
    if not text:
        return {}
    from tinybox.images.registry import manifests

    found = manifests.platform(text)
    return {key: value for key, value in found._asdict().items() if value}


def _history(message: str) -> dict[str, Any]:
    """Return the history of an image that was imported with the comment *message*; without one it has no history."""
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"history": [{"created": made, "comment": message}]} if message else {}


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
        with whole_file.appearing(output) as file:
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
