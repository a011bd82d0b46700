"""docs/cli.md is generated from the commands and up to date; each command has an example, and each example parses."""

from __future__ import annotations

import re
import shlex
import textwrap
from typing import TYPE_CHECKING

import click
import pytest

from tests.guards.sources import CHECKOUT, sources
from tinybox.cli import app
from tinybox.container.config import defaults
from tools import cli_reference
from tools.cli_examples import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

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


def names_of_variables(texts: Iterable[str]) -> set[str]:
    """Return the names of environment variables of tinybox's own in *texts*."""
    return {name for text in texts for name in re.findall(r"\b_?TINYBOX_[A-Z_]+", text)}


def test_every_variable_is_described() -> None:
    """The table has each TINYBOX_ variable that the code names, and no other; docs/cli.md has the table."""
    assert names_of_variables(source.text for source in sources("tinybox")) == set(cli_reference.VARIABLES)
    page = (CHECKOUT / "docs/cli.md").read_text()
    assert all(f"| `{name}` | {meaning} |" in page for name, meaning in cli_reference.VARIABLES.items())


def test_a_variable_is_found() -> None:
    """The guard works: at a string, in a sentence, and with an underscore before it."""
    found = names_of_variables(['os.environ["TINYBOX_A"]', "see TINYBOX_B_C.", "_TINYBOX_D="])
    assert found == {"TINYBOX_A", "TINYBOX_B_C", "_TINYBOX_D"}


def test_the_example_of_a_configuration_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file in docs/cli.md has keys and values that tinybox takes."""
    monkeypatch.setattr(defaults, "FOR_ALL", str(tmp_path / "config.toml"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    (tmp_path / "config.toml").write_text(textwrap.dedent(cli_reference.EXAMPLE))
    assert defaults.settings()["log-opts"] == {"max-size": "10m", "max-file": "3"}


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
