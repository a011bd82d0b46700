"""The option ``--lab-dir`` of `lab` and `exercise`: directories with labs and exercises of one's own."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


PLACES = {"labs": "", "exercises": ", which are in DIR/exercises"}


def use(context: click.Context) -> None:
    """Look into the directories that this command line names, too, while one of its words is completed."""
    _add(context.params.get("lab_dir") or ())


def _add(folders: tuple[str, ...]) -> None:
    """Look into these directories, too; the one that was named first comes first."""
    from tinybox.lab import own_folders

    for folder in reversed(folders):
        own_folders.add(folder)


def _make(folders: tuple[str, ...]) -> None:
    from tinybox.lab import template

    for folder in folders:
        template.make_folder(folder)


def lab_dir(what: str, *, is_made: bool = False) -> Callable[[Any], Any]:
    """Return a decorator that gives the option to a command about *what*: "labs" or "exercises".

    A directory that is missing is an error, or *is_made*. The command itself has no parameter for the option: the
    directories are known before it begins.
    """
    option = click.option(
        "--lab-dir", multiple=True, metavar="DIR", is_eager=True,
        help=f"A directory with {what} of your own{PLACES[what]}, as TINYBOX_LABS names them.",
    )  # fmt: skip

    def decorate(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def command(*words: Any, lab_dir: tuple[str, ...], **options: Any) -> Any:
            if is_made:
                _make(lab_dir)
            _add(lab_dir)
            return function(*words, **options)

        return option(command)

    return decorate
