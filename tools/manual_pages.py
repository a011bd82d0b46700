"""Write the manual pages, tinybox(1), tinybox-run(1) and so on, from the help of the commands; see man(7).

    python -m tools.manual_pages DIRECTORY

`make install` makes them, from the same sources as docs/cli.md, so no text is kept twice. There are libraries for
manual pages, but these pages need only eight lines of roff.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinybox.cli import app
from tools.cli_examples import EXAMPLES
from tools.cli_reference import commands, described, option_groups, usage

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUS = [
    ("the program's own", "of run, exec, start -a and attach, when the program ran"),
    ("128+N", "signal N ended the program: 137 is KILL (and out of memory), 143 TERM"),
    ("127", "there is no such program in the box"),
    ("126", "the program is there and cannot be executed"),
    ("125", "tinybox failed, or the command line was wrong"),
    ("1", "another command failed, for all of its names or for one"),
]


def escaped(text: str) -> str:
    """Escape backslashes, hyphens and lines that look like requests, so that roff prints *text* unchanged."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in text.splitlines())


def definitions(rows: list[tuple[str, str]]) -> Iterator[str]:
    """Yield a list of terms with their meanings; see .TP in man(7)."""
    for term, meaning in rows:
        yield f".TP\n\\fB{escaped(term)}\\fR\n{escaped(meaning)}"


def options(context: click.Context) -> Iterator[str]:
    """Yield the options; those of `run` in their groups."""
    for title, rows in option_groups(context):
        if rows:
            yield f".SH {escaped(title.upper())}"
            yield from definitions(rows)


def examples(name: str) -> Iterator[str]:
    """Yield the examples of one command."""
    if name in EXAMPLES:
        yield ".SH EXAMPLES"
    for example in EXAMPLES.get(name, ()):
        yield f".PP\n{escaped(example.says)}\n.PP\n.nf\n    {escaped(example.line)}\n.fi"


def below(context: click.Context) -> Iterator[str]:
    """Yield the commands of a group, with the first sentence of each."""
    if isinstance(context.command, click.Group):
        listed = [(name, context.command.get_command(context, name)) for name in context.command.list_commands(context)]
        yield ".SH COMMANDS"
        yield from definitions([(name, command.get_short_help_str(200)) for name, command in listed if command])


def page(context: click.Context) -> str:
    """Return the manual page of one command."""
    name, command = context.command_path, context.command
    title = name.replace(" ", "-")
    see = [] if name == "tinybox" else [".SH SEE ALSO\n.BR tinybox (1)"]
    text = described(command).replace("\n\n", "\n.PP\n")
    parts = [
        f'.TH "{escaped(title.upper())}" 1 "" tinybox "Manual of tinybox"',
        f".SH NAME\n{escaped(title)} \\- {escaped(command.get_short_help_str(200).rstrip('.'))}",
        f".SH SYNOPSIS\n{escaped(usage(context))}",
        f".SH DESCRIPTION\n{escaped(text).replace(chr(92) + '&.PP', '.PP')}",
        *options(context),
        *below(context),
        ".SH EXIT STATUS",
        *definitions(STATUS),
        *examples(name.removeprefix("tinybox ")),
        *see,
    ]
    return "\n".join(parts) + "\n"


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file."""
    root = click.Context(app.cli, info_name="tinybox")
    yield "tinybox.1", page(root)
    for name, context in commands(app.cli, root, app.cli.list_commands(root)):
        yield f"tinybox-{name.replace(' ', '-')}.1", page(context)


def main(folder: Path) -> None:
    """Write all pages into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
