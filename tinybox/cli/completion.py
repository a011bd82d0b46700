"""Shell completion: the names that bash, zsh and fish offer after `tinybox rm` and TAB, and the script for the shell.

click implements the protocol of each shell; tinybox reads the names from disk. The shell calls `tinybox` itself, with
_TINYBOX_COMPLETE in the environment, so the offered names are always current. If the store cannot be read (it belongs
to root), nothing is offered: an error message would disturb the user in the middle of a command line.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

from tinybox.container.records import naming
from tinybox.container.records.paths import Paths
from tinybox.errors import TinyboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Offer = Callable[[click.Context, click.Parameter, str], list[str]]

SHELLS = ("bash", "zsh", "fish")
LATEST = ":latest"


def offered(names: Callable[[Paths], Iterable[str]]) -> Offer:
    """Return click's completion function for *names*: it offers those that fit *incomplete* and are not given yet."""

    def offer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
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


@offered
def containers(paths: Paths) -> Iterable[str]:
    """Offer all containers."""
    return naming.every(paths).values()


@offered
def running(paths: Paths) -> Iterable[str]:
    """Offer the running containers: those that have a run directory."""
    living = set(paths.with_run_directory())
    return [name for container, name in naming.every(paths).items() if container in living]


@offered
def at_rest(paths: Paths) -> Iterable[str]:
    """Offer the containers that can be started: those that have no run directory."""
    living = set(paths.with_run_directory())
    return [name for container, name in naming.every(paths).items() if container not in living]


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
    return [*naming.every(paths).values(), *_images(paths)]


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


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes tinybox's commands, options and names."""
    root = ctx.find_root()
    script = get_completion_class(shell)
    if script is None or not isinstance(root.command, click.Group):
        raise click.UsageError(f"click has no completion for {shell}")
    click.echo(script(root.command, {}, "tinybox", "_TINYBOX_COMPLETE").source())
