"""Recipes: make an image such as alpine or busybox from the first of its sources that works (`tinybox pull`).

A recipe is a TOML file in rootfs/, one for each image name. Each of its sources has a kind, and each kind is a function
that makes a tar archive from the source; the archive is then imported like any other.
"""

from __future__ import annotations

import os
import tomllib
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import ImageError, TinyboxError
from tinybox.images.reference import DEFAULT_TAG, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.intake import Workspace
    from tinybox.images.store import Image, Store

    Report = Callable[[str], None]


def _archive_of(name: str) -> Callable[[dict[str, Any], Workspace, Report], str]:
    """Return the function `archive` of a file in this folder, which is imported only when it is called."""

    def archive(source: dict[str, Any], work: Workspace, report: Report) -> str:
        made: str = import_module(f"tinybox.images.recipes.{name}").archive(source, work, report)
        return made

    return archive


KINDS = {
    "debian-packages": _archive_of("debian"),
    "host-busybox": _archive_of("busybox"),
    "pypi-disk": _archive_of("disk"),
}

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DIRECTORIES = (os.path.join(_PACKAGE, "rootfs"), os.path.join(os.path.dirname(_PACKAGE), "rootfs"))


class Recipe(NamedTuple):
    """The content of rootfs/NAME.toml: the image's tags, its *config* (OCI), and its *sources* in order."""

    name: str
    tags: list[str]
    config: dict[str, Any]
    sources: list[dict[str, Any]]


def find(text: str) -> Recipe | None:
    """Return the recipe for the image *text*, such as ``alpine`` or ``alpine:3.23``; None if there is none.

    A name with a host, such as ``docker.io/library/alpine``, or with a digest, is that of a registry's image.
    UsageError: *text* is not a valid image name.
    """
    reference = parse(text)
    if "/" in text or reference.digest:
        return None
    for directory in DIRECTORIES:
        path = os.path.join(directory, f"{reference.name}.toml")
        if "/" not in reference.name and os.path.isfile(path):
            recipe = read(path)
            return recipe if reference.tag in recipe.tags else None
    return None


def read(path: str) -> Recipe:
    """Return the recipe of the TOML file *path*; ImageError: it is not TOML, or a part is missing."""
    name = os.path.basename(path).removesuffix(".toml")
    try:
        with open(path, "rb") as file:
            content = tomllib.loads(file.read().decode("utf-8-sig"))
        return Recipe(name, [DEFAULT_TAG, *content.get("tags", [])], content["config"], content["source"])
    except (OSError, ValueError, KeyError) as error:
        raise ImageError(f"recipe {path}", f"it cannot be read: {error!r}", "correct the recipe") from error


def names() -> list[str]:
    """Return the names of all recipes, sorted."""
    files = (name for directory in DIRECTORIES if os.path.isdir(directory) for name in os.listdir(directory))
    return sorted({name.removesuffix(".toml") for name in files if name.endswith(".toml")})


def make(store: Store, text: str, report: Report, *, again: bool = False) -> Image:
    """Make the image *text* by its recipe, unless the store has it; return it. *report* gets a line for each event.

    If several processes make the same image, one works, and the others wait and then use its image. With *again* the
    image is made even if the store has it, and its names then refer to the new one. ImageError: there is no recipe, or
    no source works.
    """
    recipe = find(text)
    if not recipe:
        raise ImageError(f"image {text!r}", "there is no recipe for it", f"there are recipes for {', '.join(names())}")
    with store.locked(f"recipe-{recipe.name}"):
        if not again and any(image.reference == str(parse(text)) for image in store.images()):
            return store.image(text)
        image = _make(store, recipe, lambda line: report(f"{recipe.name}: {line}"))
        for tag in recipe.tags:
            store.tag(image.id, f"{recipe.name}:{tag}")
    return store.image(text)


def _make(store: Store, recipe: Recipe, report: Report) -> Image:
    """Make the image from the first source that works; report why the ones before it failed."""
    from tinybox.images.intake import import_archive, workspace  # here: most commands only ask if there is a recipe

    refusal: TinyboxError = ImageError(f"recipe {recipe.name}", "it names no source", "correct the recipe")
    for source in recipe.sources:
        kind = source["kind"]
        try:
            if kind not in KINDS:
                raise ImageError(kind, "this tinybox has no such kind of source")
            with workspace(store) as work:
                path = KINDS[kind](source, work, report)
                image = import_archive(store, path, f"{recipe.name}:{recipe.tags[0]}", recipe.config, public=True)
        except TinyboxError as error:
            report(f"not from {kind}: {error}")
            refusal = error
        else:
            report(f"made from {kind}, {image.size / 1e6:.1f} MB, {image.id[:12]}")
            return image
    cause = f"no source of its recipe works; the error of the last one: {refusal.thing}: {refusal.cause}"
    raise ImageError(f"image {recipe.name!r}", cause, refusal.cure) from refusal
