"""The options of `build` about its result, which docker has from BuildKit: --push, --load, --metadata-file ..."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli import completion
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BUILDER = "default"  # the only builder: there is no daemon that could be another
NO = ("", "0", "f", "false")
_ATTESTED = {"provenance": "the origin of an image", "sbom": "the content of an image"}


def result_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to the click command *function*."""
    for option in (
        click.option("--push", is_flag=True, help="Push each --tag after the build."),
        click.option("--load", is_flag=True, help="Has no effect: the image is put in the store in any case."),
        click.option("--builder", default="", metavar="NAME", help=f"The builder; there is only {BUILDER}."),
        click.option("--metadata-file", default="", metavar="FILE", shell_complete=completion.files,
                     help="Write the image's id and names to FILE, as JSON."),
        *(click.option(f"--{name}", default="", metavar="false", help=f"A document about {what} is not written.")
          for name, what in _ATTESTED.items()),
    ):  # fmt: skip
        function = option(function)
    return function


def check(options: Mapping[str, Any]) -> None:
    """Raise UsageError for an option that cannot be carried out, before the build begins."""
    check_builder(options["builder"])
    for name, what in _ATTESTED.items():
        if options[name].lower() not in NO:
            raise UsageError(
                f"--{name}={options[name]}", f"a document about {what} cannot be written", f"--{name}=false"
            )
    if options["push"] and not options["names"]:
        raise UsageError("--push", "a name is needed for the registry", "--tag NAME")


def check_builder(name: str) -> None:
    """Raise UsageError if there is no builder *name*."""
    if name not in ("", BUILDER):
        raise UsageError(f"builder {name}", "there is no such builder", f"there is only {BUILDER}")


def finish(image_id: str, options: Mapping[str, Any]) -> None:
    """Push the image and write the file about it, if that is asked for."""
    from tinybox.cli.commands.image.registry import send

    if options["push"]:
        for name in options["names"]:
            send(name)
    if options["metadata_file"]:
        from tinybox.linux.filesystem import files

        known = dict.fromkeys(("containerimage.config.digest", "containerimage.digest"), f"sha256:{image_id}")
        text = json.dumps({**known, "image.name": ",".join(options["names"])}, indent=2)
        files.replace(options["metadata_file"], f"{text}\n".encode(), 0o644)
