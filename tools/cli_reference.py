"""Write docs/cli.md from what the commands say of themselves, and from the examples beside this file.

    python -m tools.cli_reference > docs/cli.md

A guard makes the same text in memory and compares: so a word that is changed in the code cannot stay behind here.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from typing import TYPE_CHECKING

import click

from tinybox.cli import app
from tinybox.cli.run_command import GROUPS, RunCommand
from tinybox.container.config.options import OPTIONS
from tools.cli_examples import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 100

SUBJECTS = {
    "Making containers": "run create start attach exec",
    "Changing and ending them": "stop kill restart wait pause unpause rename update rm prune",
    "Looking at them": "ps logs top stats inspect events port tree ns",
    "Their files": "diff cp export commit volume",
    "Their networks": "network",
    "Images": "images pull import save load rmi",
    "Under podman and containerd": "oci",
    "Several at once": "compose",
    "Seeing it happen": "explain replay",
    "Demonstrations": "lab",
    "This host, and the command itself": "doctor completion",
}

BEGINNING = """\
# The command line

Made by `make docs` from the commands' own help and from tools/cli_examples.py: change those.

    tinybox [--root DIR] COMMAND [OPTIONS] ...

Words, columns and statuses are docker's. A container is named by its name, its id, or the beginning
of its id where no other id begins so. Commands that take several names try them all, and say of
each that failed, on a line of its own, why. What a command has to say for itself stands on stderr
and begins with `tinybox:`; stdout is for results.

`--root DIR` or the variable `TINYBOX_ROOT` choose another store than /var/lib/tinybox. Options of
`run`, `create` and `exec` end where the image or the container is named: what follows is the
program's.

## Exit status

| status | what it means |
|---|---|
| the program's own | of `run`, `exec`, `start -a` and `attach`, when the program ran |
| 128+N | signal N ended the program: 137 is KILL (and out of memory), 143 TERM |
| 127 | there is no such program in the box |
| 126 | the program is there and cannot be executed |
| 125 | tinybox failed, with {failing} |
| 1 | another command failed, for all of its names or for one |
| 0 | done |

Words that make no sense to a command (an unknown option, a missing name) end it with 125, whichever
it is.
"""


def described(subject: click.Command) -> str:
    """Return what a command says of itself, in lines that are not too long."""
    paragraphs = inspect.cleandoc(subject.help or "").split("\n\n")
    return "\n\n".join(textwrap.fill(" ".join(paragraph.split()), WIDTH) for paragraph in paragraphs)


def usage(context: click.Context) -> str:
    """Return the line of usage."""
    return " ".join([context.command_path, *context.command.collect_usage_pieces(context)])


def option_groups(context: click.Context) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the options in groups, each with its title: (words, help); those of `run` have six, all others one."""
    command = context.command
    listed = [param for param in command.params if isinstance(param, click.Option)]
    records = {param.name: param.get_help_record(context) for param in listed}
    if isinstance(command, RunCommand):
        for group, title in GROUPS.items():
            rows = [records[option.key] for option in OPTIONS if option.group == group]
            yield title, [row for row in rows if row]
    else:
        yield "Options", [record for record in records.values() if record]


def options(context: click.Context) -> str:
    """Return the options as they stand in the help, or where they stand if they are those of `run`."""
    if isinstance(context.command, RunCommand) and context.info_name != "run":
        return "The options are those of [run](#tinybox-run)."
    formatter = click.HelpFormatter(width=WIDTH)
    for title, rows in option_groups(context):
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows, col_max=36)
    text = formatter.getvalue().strip("\n")
    return f"```text\n{text}\n```" if text else ""


def examples(name: str) -> str:
    """Return the examples of one command, each below the sentence that says what it shows."""
    lines = "\n\n".join(f"# {example.says}\n{example.line}" for example in EXAMPLES.get(name, ()))
    return f"```sh\n{lines}\n```" if lines else ""


def commands(group: click.Group, above: click.Context, names: list[str]) -> Iterator[tuple[str, click.Context]]:
    """Yield each command with its full name and its context: for `volume` its own commands behind it."""
    for name in names:
        command = group.get_command(above, name)
        assert command is not None, name  # noqa: S101  a subject that names no command
        context = click.Context(command, above, name)
        yield context.command_path.removeprefix("tinybox "), context
        if isinstance(command, click.Group):
            yield from commands(command, context, command.list_commands(context))


def chapter(title: str, names: str, root: click.Context) -> Iterator[str]:
    """Yield the parts of one subject."""
    yield f"## {title}"
    for name, context in commands(app.cli, root, names.split()):
        yield f"### tinybox {name}"
        yield described(context.command)
        yield f"    {usage(context)}"
        yield options(context)
        yield examples(name)


def document() -> str:
    """Return the whole of docs/cli.md."""
    root = click.Context(app.cli, info_name="tinybox")
    failing = ", ".join(f"`{name}`" for name in sorted(app.AS_RUN))
    parts = [BEGINNING.format(failing=failing).rstrip()]
    for title, names in SUBJECTS.items():
        parts += chapter(title, names, root)
    return "\n\n".join(part for part in parts if part) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
