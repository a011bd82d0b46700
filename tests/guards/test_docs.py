"""The documents are true: every command has help and is documented, and the README's commands really run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from tests.guards.sources import CHECKOUT
from tinybox.cli.app import cli

if TYPE_CHECKING:
    from tests.conftest import Command

TINYBOX = Path(sys.executable).with_name("tinybox")
DOCUMENTS = [*CHECKOUT.glob("README.md"), *sorted((CHECKOUT / "docs").rglob("*.md"))]
README = "\n".join(path.read_text() for path in CHECKOUT.glob("README.md"))

FENCE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROMPT = re.compile(r"^[$#] (.*)", re.MULTILINE)
SET_UP = ("git ", "cd ", "make ", "apt", "pip ", "python")  # a reader does it once; CI does it in .ci/run


def commands_in(text: str) -> list[str]:
    """Find the commands of tinybox in the ``console`` blocks of a document, as root would type them."""
    typed = [line for block in FENCE.findall(text) for line in PROMPT.findall(block)]
    plain = [line.removeprefix("sudo ") for line in typed]
    return [line for line in plain if not line.startswith(SET_UP)]


def help_of(*words: str) -> str:
    """Return the output of ``tinybox WORDS --help``, without the time to start a process for each command."""
    command: click.Command = cli
    context = click.Context(command, info_name="tinybox")
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(context, word)
        assert found is not None, word
        command, context = found, click.Context(found, info_name=word, parent=context)
    return command.get_help(context)


def verbs(text: str) -> dict[str, str]:
    """Read the commands and their one line of help from the output of ``tinybox --help``."""
    return dict(re.findall(r"^  (\w[\w-]*)(?:  +(.*))?$", text.partition("Commands:")[2], re.MULTILINE))


def undocumented(text: str, documents: str) -> list[str]:
    """Complain about commands in the help *text* that have no sentence, or that no document names."""
    silent = [f"{verb} has no help" for verb, line in verbs(text).items() if not line]
    unnamed = [f"no document names `tinybox {verb}`" for verb in verbs(text) if f"tinybox {verb}" not in documents]
    return silent + unnamed


def test_every_command_is_documented() -> None:
    """Each command has a line of help, and is in the README or in docs/."""
    text = help_of()
    assert "run" in verbs(text)  # the control: the list is really read
    assert undocumented(text, "\n".join(path.read_text() for path in DOCUMENTS)) == []


def test_every_command_explains_itself() -> None:
    """`tinybox COMMAND --help` works for each command and names it."""
    for verb in verbs(help_of()):
        assert f"tinybox {verb}" in help_of(verb)


def test_the_readme_shows_commands() -> None:
    """The control: the README has a command that can be tested, and it is the one that a reader needs first."""
    assert any(line.startswith("tinybox run") for line in commands_in(README))


@pytest.mark.root
@pytest.mark.parametrize("line", commands_in(README))
def test_the_readme_is_true(tinybox: Command, line: str, tmp_path: Path) -> None:
    """A command in the README runs and ends with status 0 (one that must fail is followed by `; echo $?`)."""
    settings = {**tinybox.environment, "PATH": f"{TINYBOX.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["sh", "-c", line],
        env=settings,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


HELP = "Usage: tinybox\n\nCommands:\n  run     Run a command in a new box.\n  ps      List boxes.\n  quiet\n"


def test_an_undocumented_command_is_found() -> None:
    """The guard works: a command without help, and one that no document names."""
    assert undocumented(HELP, "`tinybox run`, `tinybox quiet`") == [
        "quiet has no help",
        "no document names `tinybox ps`",
    ]


def test_commands_are_found_in_a_document() -> None:
    """The control: typed lines of console blocks count, their output and other blocks do not."""
    text = "```console\n$ sudo tinybox run busybox true\noutput\n# make test\n```\n```python\n$ no\n```\n"
    assert commands_in(text) == ["tinybox run busybox true"]
