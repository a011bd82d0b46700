"""The quick parser of `run` and `exec` agrees with click on every command line that it accepts."""

from __future__ import annotations

import random
from typing import Any

import click
import pytest

from tinybox.cli import quick
from tinybox.cli.commands import life
from tinybox.cli.run_command import table_command
from tinybox.cli.written_options import plain
from tinybox.container.config import exec_options
from tinybox.container.config.options import FLAG, MAYBE, OPTIONS, Option

FLAGS = ["-it", "-i", "-i=false", "-it=true", "-t=0"]
VALUES = ["x", "32m", "a=b", "--rm", "-", "", "-5", "=", "two words"]


def by_click(words: list[str]) -> tuple[dict[str, Any], list[str]] | None:
    """Return the options that click passes to the engine, or None if it refuses the line."""
    taken: list[tuple[dict[str, Any], list[str]]] = []

    def take(image: str, arguments: list[str], options: dict[str, Any]) -> int:
        taken.append((options, [image, *arguments]))
        return 0

    try:
        table_command("run", take, "").main(words, prog_name="tinybox run", standalone_mode=False)
    except click.ClickException:
        return None
    return taken[0] if taken else None


def random_line(choice: random.Random, options: list[Option] = OPTIONS) -> list[str]:
    """Make a command line: *options* in every spelling, some wrong, then an image and its command."""
    words = []
    for _ in range(choice.randrange(5)):
        option, value = choice.choice(options), choice.choice(VALUES)
        if option.kind == FLAG:
            words.append(choice.choice([f"--{option.name}", f"--{option.name}=false", f"--{option.name}=TRUE", *FLAGS]))
        elif option.kind == MAYBE:
            words.append(choice.choice([f"--{option.name}", f"--{option.name}={value}"]))
        elif option.short and choice.random() < 0.5:
            words += choice.choice(
                [
                    [f"-{option.short}", value],
                    [f"-{option.short}{value}"],
                    [f"-{option.short}={value}"],
                    [f"-i{option.short}", value],
                ]
            )
        else:
            words += choice.choice([[f"--{option.name}", value], [f"--{option.name}={value}"]])
    if choice.random() < 0.1:
        words.append(choice.choice(["--bogus", "-z", "--", "--rm=maybe", "--nam"]))
    return [*words, *choice.choice([["busybox"], ["busybox", "sh", "-c", "--rm"], ["alpine", "-h"], []])]


def test_it_agrees_with_click_on_random_lines() -> None:
    """Of 600 random lines, each that it accepts gives the same as click; and it does accept most of them."""
    choice, read = random.Random(7), 0  # noqa: S311  the same lines each time
    for _ in range(600):
        words = random_line(choice)
        ours = quick.parse(words)
        if ours is not None:
            read += 1
            assert ours == by_click(words), words
    assert read > 400


def test_it_agrees_with_click_about_exec(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 400 random lines of `exec`, each that it accepts gives the same as click: container, command and options."""
    choice, read = random.Random(7), 0  # noqa: S311  the same lines each time
    taken: list[Any] = []
    monkeypatch.setattr("tinybox.cli.execute.execute", lambda *words: taken.append(words))
    for _ in range(400):
        words = [word for word in random_line(choice, exec_options.OPTIONS) if word != "--rm=maybe"]
        ours = quick.parse(words, (exec_options.BY_NAME, exec_options.BY_SHORT))
        if ours is None or len(ours[1]) < 2:  # click says what is missing
            continue
        read += 1
        life.execute.main(plain(life.execute, words), prog_name="tinybox exec", standalone_mode=False)
        (name, *command) = ours[1]
        assert without_empty(taken[-1]) == without_empty((name, command, ours[0])), words
    assert read > 150


def without_empty(words: Any) -> Any:
    """Return a name, a command and options, without options that have no value."""
    name, command, options = words
    return name, command, {key: value for key, value in options.items() if value != []}


@pytest.mark.parametrize(
    "words",
    [
        ["--bogus", "x"],
        ["--help"],
        ["-m"],
        ["--name"],
        [],
        ["--rm=maybe", "x"],
        [
            "--",
        ],
    ],
)
def test_other_lines_are_left_to_click(words: list[str]) -> None:
    """Unknown options, missing values and --help are not parsed here."""
    assert quick.parse(words) is None


def test_options_end_at_the_image() -> None:
    """All arguments after the image belong to the program."""
    assert quick.parse(["--rm", "alpine", "ls", "--rm", "-m"]) == ({"rm": True}, ["alpine", "ls", "--rm", "-m"])
