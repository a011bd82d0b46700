"""A recipe says where a root file system comes from: some sources in order, of which the first that works is used.

Recipes are data, one TOML file a name in rootfs/. Each source has a kind, and a kind is a function that turns the
source into a tar archive; from there on it is an import like any other.
"""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import ImageError, TinyboxError
from tinybox.images import busybox, debian, disk
from tinybox.images.intake import Workspace, import_archive, workspace
from tinybox.images.reference import DEFAULT_TAG, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.store import Image, Store

    Say = Callable[[str], None]

KINDS: dict[str, Callable[[dict[str, Any], Workspace, Say], str]] = {
    "debian-packages": debian.archive,
    "host-busybox": busybox.archive,
    "pypi-disk": disk.archive,
}
NOT_YET = {"registry": "this tinybox does not talk to registries yet"}

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DIRECTORIES = (os.path.join(_PACKAGE, "rootfs"), os.path.join(os.path.dirname(_PACKAGE), "rootfs"))


class Recipe(NamedTuple):
    """What rootfs/NAME.toml says: tags the image gets, its *config* in OCI's words, and its *sources* in order."""

    name: str
    tags: list[str]
    config: dict[str, Any]
    sources: list[dict[str, Any]]


def find(text: str) -> Recipe | None:
    """Find the recipe for the image *text*, such as ``alpine`` or ``alpine:3.23``; None if there is none.

    Raises UsageError if *text* is not an image's name at all.
    """
    reference = parse(text)
    for directory in DIRECTORIES:
        path = os.path.join(directory, f"{reference.name}.toml")
        if "/" not in reference.name and os.path.isfile(path):
            recipe = read(path)
            return recipe if reference.tag in recipe.tags else None
    return None


def read(path: str) -> Recipe:
    """Read the recipe in the TOML file *path*; raises ImageError if something is missing in it."""
    name = os.path.basename(path).removesuffix(".toml")
    try:
        with open(path, "rb") as file:
            words = tomllib.load(file)
        return Recipe(name, [DEFAULT_TAG, *words.get("tags", [])], words["config"], words["source"])
    except (OSError, ValueError, KeyError) as error:
        raise ImageError(f"recipe {path}", f"it cannot be read: {error!r}", "correct the recipe") from error


def names() -> list[str]:
    """List the names of all recipes."""
    files = (name for directory in DIRECTORIES if os.path.isdir(directory) for name in os.listdir(directory))
    return sorted({name.removesuffix(".toml") for name in files if name.endswith(".toml")})


def make(store: Store, text: str, say: Say, *, anew: bool = False) -> Image:
    """Make the image *text* by its recipe, unless the store has it; tell what happens line by line to *say*.

    Of several makers at once one works and the others wait for it and find it done. With *anew* it is made whether the
    store has it or not, and the names lead to the new one. Raises ImageError.
    """
    recipe = find(text)
    if not recipe:
        raise ImageError(f"image {text!r}", "there is no recipe for it", f"there are recipes for {', '.join(names())}")
    with store.locked(f"recipe-{recipe.name}"):
        if not anew and any(image.reference == str(parse(text)) for image in store.images()):
            return store.image(text)
        image = _make(store, recipe, lambda line: say(f"{recipe.name}: {line}"))
        for tag in recipe.tags:
            store.tag(image.id, f"{recipe.name}:{tag}")
    return store.image(text)


def _make(store: Store, recipe: Recipe, say: Say) -> Image:
    """Use the first source that works; say why each one before it did not."""
    refusal: TinyboxError = ImageError(f"recipe {recipe.name}", "it names no source", "correct the recipe")
    for source in recipe.sources:
        kind = source["kind"]
        try:
            if kind not in KINDS:
                raise ImageError(kind, NOT_YET.get(kind, "this tinybox knows no such kind of source"))
            with workspace(store) as work:
                path = KINDS[kind](source, work, say)
                image = import_archive(store, path, f"{recipe.name}:{recipe.tags[0]}", recipe.config, public=True)
        except TinyboxError as error:
            say(f"not from {kind}: {error}")
            refusal = error
        else:
            say(f"made from {kind}, {image.size / 1e6:.1f} MB, {image.id[:12]}")
            return image
    cause = f"no source of its recipe works; the last one said: {refusal.thing}: {refusal.cause}"
    raise ImageError(f"image {recipe.name!r}", cause, refusal.cure) from refusal
