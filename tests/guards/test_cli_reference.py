"""docs/cli.md is made from the commands: it is not behind them; each has an example, and the examples parse."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click
import pytest

from tests.guards.sources import CHECKOUT
from tinybox.cli import app
from tools import cli_reference
from tools.cli_examples import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES = [example.line for examples in EXAMPLES.values() for example in examples]
BETWEEN = {"|", "&&", ";", ">", "<"}


def every_command() -> dict[str, click.Context]:
    """Return each command by its full name, ``volume ls`` among them."""
    root = click.Context(app.cli, info_name="tinybox")
    return dict(cli_reference.commands(app.cli, root, sorted(app.COMMANDS)))


def without_example(names: dict[str, click.Context]) -> list[str]:
    """Complain about commands that no example shows; a group is shown by the examples of its commands."""
    return [
        name
        for name, context in names.items()
        if not isinstance(context.command, click.Group)
        and not any(f"tinybox {name} " in f"{example.line} " for example in EXAMPLES.get(name, ()))
    ]


def typed(line: str) -> Iterator[list[str]]:
    """Yield the words behind `tinybox` of each call of it in a line of shell."""
    words: list[str] = []
    for word in [*shlex.split(line), ";"]:
        if word not in BETWEEN:
            words.append(word)
            continue
        if words[:1] == ["tinybox"]:
            yield words[1:]
        words = []


def parse(words: list[str]) -> None:
    """Let click read *words* down to the last command, and run none of it; click.UsageError: they mean nothing."""
    above = click.Context(app.cli, info_name="tinybox")
    command: click.Command = app.cli
    while isinstance(command, click.Group):
        name, inner, words = command.resolve_command(above, words)
        assert inner is not None
        context = inner.make_context(name, list(words), parent=above, **unfinished(inner))
        above, command = context, inner


def unfinished(command: click.Command) -> dict[str, bool]:
    """Return what lets a group's own words be followed by its command's."""
    return {"allow_extra_args": True, "allow_interspersed_args": False} if isinstance(command, click.Group) else {}


def test_the_page_is_not_behind_the_commands() -> None:
    """What `make docs` would write is what is there."""
    assert (CHECKOUT / "docs/cli.md").read_text() == cli_reference.document(), "docs/cli.md is stale: make docs"


def test_every_command_has_its_place_and_an_example() -> None:
    """Each command stands under one subject, each example under a command, and none is without one."""
    placed = " ".join(cli_reference.SUBJECTS.values()).split()
    assert sorted(placed) == sorted(app.COMMANDS)
    assert set(EXAMPLES) <= set(every_command())
    assert without_example(every_command()) == []


def test_a_command_without_an_example_is_found() -> None:
    """The guard bites: `nothing` is no command of any example."""
    assert without_example({"nothing": every_command()["rm"]}) == ["nothing"]


@pytest.mark.parametrize("line", LINES)
def test_an_example_parses(line: str) -> None:
    """Click accepts the words of every example, without any of it being run."""
    calls = list(typed(line))
    assert calls
    for words in calls:
        parse(words)


@pytest.mark.parametrize(
    "line", ["tinybox rm", "tinybox ps --nosuch", "tinybox volume nosuch", "tinybox wait job --no"]
)
def test_an_example_that_means_nothing_is_found(line: str) -> None:
    """The guard bites: a missing name, an unknown option, an unknown command of a group."""
    (words,) = typed(line)
    with pytest.raises(click.UsageError):
        parse(words)


@pytest.mark.parametrize("name", every_command())
def test_the_help_shows_what_the_page_shows(name: str) -> None:
    """Each command says in at least one sentence what it does, and the page has that sentence."""
    said = cli_reference.described(every_command()[name].command)
    assert said.rstrip().endswith(".")
    assert said in (CHECKOUT / "docs/cli.md").read_text()
