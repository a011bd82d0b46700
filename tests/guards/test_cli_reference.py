"""docs/cli.md is generated from the commands and up to date; each command has an example, and each example parses."""

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
    """Complain about commands without an example; the examples of its commands count for a group.

    Those of `pull` count for `image pull`, which is the same command.
    """
    return [
        name
        for name, context in names.items()
        if not isinstance(context.command, click.Group)
        and not cli_reference.alias_of(context)
        and not any(f"tinybox {name} " in f"{example.line} " for example in EXAMPLES.get(name, ()))
    ]


def typed(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of `tinybox` in a line of shell."""
    words: list[str] = []
    for word in [*shlex.split(line), ";"]:
        if word not in BETWEEN:
            words.append(word)
            continue
        if words[:1] == ["tinybox"]:
            yield words[1:]
        words = []


def parse(words: list[str]) -> None:
    """Parse *words* with click down to the last command, and run nothing; raise click.UsageError if they are wrong."""
    above = click.Context(app.cli, info_name="tinybox")
    command: click.Command = app.cli
    while isinstance(command, click.Group):
        name, inner, words = command.resolve_command(above, words)
        assert inner is not None
        context = inner.make_context(name, list(words), parent=above, **unfinished(inner))
        above, command = context, inner


def unfinished(command: click.Command) -> dict[str, bool]:
    """Return the parser of a group's own options, which its command's arguments follow."""
    return {"allow_extra_args": True, "allow_interspersed_args": False} if isinstance(command, click.Group) else {}


def test_the_page_is_up_to_date() -> None:
    """`make docs` would write what is there."""
    assert (CHECKOUT / "docs/cli.md").read_text() == cli_reference.document(), "docs/cli.md is stale: make docs"


def test_every_command_has_its_place_and_an_example() -> None:
    """Each command has a subject, each example a command, and no command is without one."""
    placed = " ".join(cli_reference.SUBJECTS.values()).split()
    assert sorted(placed) == sorted(app.COMMANDS)
    assert set(EXAMPLES) <= set(every_command())
    assert without_example(every_command()) == []


def test_a_command_without_an_example_is_found() -> None:
    """The guard works: no example has the command `nothing`."""
    assert without_example({"nothing": every_command()["rm"]}) == ["nothing"]


@pytest.mark.parametrize("line", LINES)
def test_an_example_parses(line: str) -> None:
    """Click accepts the arguments of every example, without running any."""
    calls = list(typed(line))
    assert calls
    for words in calls:
        parse(words)


@pytest.mark.parametrize(
    "line", ["tinybox rm", "tinybox ps --nosuch", "tinybox volume nosuch", "tinybox wait job --no"]
)
def test_an_example_that_does_not_parse_is_found(line: str) -> None:
    """The guard works: a missing name, an unknown option, an unknown command of a group."""
    (words,) = typed(line)
    with pytest.raises(click.UsageError):
        parse(words)


@pytest.mark.parametrize("name", every_command())
def test_the_page_has_the_help(name: str) -> None:
    """Each command has at least one sentence about itself, and the page has that sentence."""
    said = cli_reference.described(every_command()[name].command)
    assert said.rstrip().endswith(".")
    assert said in (CHECKOUT / "docs/cli.md").read_text()
