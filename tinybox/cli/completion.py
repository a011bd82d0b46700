"""Shell completion: the names that bash, zsh and fish offer after `tinybox rm` and TAB, and the script for the shell.

click implements the protocol of each shell; tinybox reads the names from disk. The shell calls `tinybox` itself, with
_TINYBOX_COMPLETE in the environment, so the offered names are always current. If the store cannot be read (it belongs
to root), nothing is offered: an error message would disturb the user in the middle of a command line.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

from tinybox.errors import TinyboxError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tinybox.container.records.paths import Paths

    Offer = Callable[[click.Context, click.Parameter, str], list[str]]

# The number after the colon in the last line of an answer to docker's scripts: what the shell shall do.
FILES, NOTHING_ELSE, DIRECTORIES = 0, 4, 16
DOCKER = "docker"
SHELLS = ("bash", "zsh", "fish")
LATEST = ":latest"
VARIABLE = "_TINYBOX_COMPLETE"  # in the environment of tinybox when click's script for a shell calls it


def called_as() -> str:
    """Return the name by which the user has called the program: ``docker`` if that is a link to tinybox."""
    return DOCKER if os.path.basename(sys.argv[0]) == DOCKER else "tinybox"


def offered(names: Callable[[Paths], Iterable[str]]) -> Offer:
    """Return click's completion function for *names*: it offers those that fit *incomplete* and are not given yet."""

    def offer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from tinybox.container.records.paths import Paths

        given = ctx.params.get(param.name or "") or ()
        root = ctx.find_root().params.get("root") or ""
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # a message would be printed into the user's command line
                found = sorted(set(names(Paths(root))))
        except (OSError, TinyboxError):
            return []
        return [name for name in found if name.startswith(incomplete) and name not in given]

    offer.__doc__ = names.__doc__
    return offer


def _names(paths: Paths) -> dict[str, str]:
    from tinybox.container.records import naming  # late: only a shell that asks for names needs it

    return naming.every(paths)


@offered
def containers(paths: Paths) -> Iterable[str]:
    """Offer all containers."""
    return _names(paths).values()


@offered
def running(paths: Paths) -> Iterable[str]:
    """Offer the running containers: those that have a run directory."""
    living = set(paths.with_run_directory())
    return [name for container, name in _names(paths).items() if container in living]


@offered
def at_rest(paths: Paths) -> Iterable[str]:
    """Offer the containers that can be started: those that have no run directory."""
    living = set(paths.with_run_directory())
    return [name for container, name in _names(paths).items() if container not in living]


def checkpoints(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the checkpoints of the container that stands before them."""
    from tinybox.container import checkpoint

    word, folder = ctx.params.get("container") or "", ctx.params.get("folder") or ""
    return offered(lambda paths: checkpoint.names(paths, word, folder))(ctx, param, incomplete)


@offered
def images(paths: Paths) -> Iterable[str]:
    """Offer the images in the store; the tag `latest` is left out, because it is the default."""
    return _images(paths)


@offered
def layered(paths: Paths) -> Iterable[str]:
    """Offer the containers and the images."""
    return [*_names(paths).values(), *_images(paths)]


def _images(paths: Paths) -> list[str]:
    from tinybox.images.store import Store

    return [image.reference.removesuffix(LATEST) for image in Store(paths.root).images() if image.reference]


@offered
def recipes(paths: Paths) -> Iterable[str]:  # noqa: ARG001  recipes lie beside the code
    """Offer the images for which there is a recipe."""
    from tinybox.images.recipes import recipe

    return recipe.names()


@offered
def networks(paths: Paths) -> Iterable[str]:
    """Offer the networks."""
    from tinybox.container.network import definitions as on_disk

    return [network.name for network in on_disk.every(paths)]


@offered
def volumes(paths: Paths) -> Iterable[str]:
    """Offer the volumes."""
    from tinybox.container.storage import volumes as on_disk

    return [volume.name for volume in on_disk.every(paths)]


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:  # noqa: ARG001
    """Let the shell offer file names, as it does by default; see *Shell Completion* in click's manual."""
    return [CompletionItem(incomplete, type="file")]


def either_side(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Offer the operands of `cp`: ``CONTAINER:`` for each matching container, or files if none matches."""
    names = [CompletionItem(f"{name}:") for name in containers(ctx, param, incomplete)]
    return names or files(ctx, param, incomplete)


def answer(root: click.Command, words: list[str], *, explained: bool) -> None:
    """Print the offers for the last of *words* in the form that docker's completion scripts read.

    These call ``docker __complete WORDS...``, the protocol of the Go library cobra: a line for each offer, with a tab
    and its help if *explained*, and at last a colon and a number. A command line that is wrong has no offers.
    """
    from click.shell_completion import ShellComplete

    try:
        offers = ShellComplete(root, {}, "tinybox", VARIABLE).get_completions(words[:-1], words[-1] if words else "")
    except (click.ClickException, TinyboxError):
        offers = []
    kinds = {item.type for item in offers}
    for item in offers:
        if item.type == "plain":
            print(printable(item.value), *([printable(item.help)] if explained and item.help else []), sep="\t")
    is_free = not offers and words[-2:-1] and words[-2].startswith("-")  # the value of an option may be a file
    print(f":{FILES if 'file' in kinds or is_free else DIRECTORIES if 'dir' in kinds else NOTHING_ELSE}")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes tinybox's commands, options and names.

    Called as `docker` (a link to tinybox), print it for that name.
    """
    root = ctx.find_root()
    script = get_completion_class(shell)
    if script is None or not isinstance(root.command, click.Group):
        raise click.UsageError(f"click has no completion for {shell}")
    click.echo(script(root.command, {}, called_as(), VARIABLE).source())
