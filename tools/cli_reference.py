"""Write docs/cli.md from the help of the commands and from the examples in tools/cli_examples.py.

    python -m tools.cli_reference > docs/cli.md

A guard makes the same text in memory and compares, so the document cannot be older than the code.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from typing import TYPE_CHECKING

import click

from tinybox.cli import app, statuses
from tinybox.cli.run_command import GROUPS, RunCommand
from tinybox.container.config import defaults
from tinybox.container.config.options import OPTIONS
from tools.cli_examples import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 100

SUBJECTS = {
    "Making containers": "run create start attach exec",
    "Changing and ending them": "stop kill restart wait pause unpause checkpoint rename update rm prune",
    "Looking at them": "container ps logs top stats inspect events port tree ns watch",
    "Their files": "diff cp export commit volume",
    "Their networks": "network",
    "Images": "images layers build pull push tag history import save load rmi login logout image builder buildx",
    "As a runtime for podman and containerd": "oci",
    "Several containers together": "compose",
    "Seeing it happen": "explain replay",
    "Demonstrations, and building it yourself": "lab workshop exercise",
    "This host, and the command itself": "system info doctor unshare version completion",
}

BEGINNING = """\
# The command line

`make docs` makes this page from the help of the commands and from tools/cli_examples.py. Change those,
not this page.

    tinybox [--root DIR] COMMAND [OPTIONS] ...

Options, columns and exit statuses are docker's. A container can be named by its name, by its id, or
by the beginning of its id if no other id begins with it. A command that takes several names tries all
of them, and prints an error line for each one that failed. Messages go to stderr and begin with
`tinybox:`; results go to stdout.

Options are written as docker reads them: `-e A=b`, `-e=A=b` and `--env=A=b` are the same, and so are
`-itd` and `-i -t -d`, `-d=false` and no `-d`; `--` ends the options. `list` and `remove` are other
names of `ls` and `rm` in a group, and `tinybox help COMMAND` is `tinybox COMMAND --help`.
[docker-words.md](docker-words.md) lists each command and option of docker's that tinybox does not have, and
[docker-walk.md](docker-walk.md) is a first hour with docker's words.

Templates of `--format` are Go's text/template with docker's functions. These parts are missing:
`define`, `template`, `block` and `js`; an object that is printed as a whole is `map[...]` in place of
Go's `{{...}}`, and `printf` knows no `%T`. `{{{{json .}}}}` prints it as JSON.

`make install DOCKER=1` also links tinybox as `docker`, unless there is a docker. Called by that name,
`--version` prints docker's line, with the version of docker that the tests compare with tinybox, and
`completion` prints the script for `docker`; docker's own scripts for shells work, too. Help and errors
still say tinybox.

`--root DIR` or the variable `TINYBOX_ROOT` choose another store than /var/lib/tinybox. The options of
`run`, `create` and `exec` end at the name of the image or container: the arguments after it belong to
the program.

## Exit status

| status | meaning |
|---|---|
| the program's own | of `run`, `exec`, `start -a` and `attach`, if the program ran |
| 128+N | signal N ended the program: 137 is KILL (also out of memory), 143 is TERM |
| 127 | there is no such program in the box |
| 126 | the program exists and cannot be executed |
| 125 | an option is unknown, or its value cannot be read; with {failing}, any other error of tinybox, too |
| 64 | the template of `inspect`, `info`, `version` or `events` cannot be read |
| 1 | any other error, of another command: all of its names failed, or one of them |
| 0 | success |

Statuses are those of docker's client. With `exec`, 126 and 127 are also errors before the program, such as an
unknown user; with `exec -d`, they are 1. A missing argument and an unknown command are 1.

## Variables and the configuration file

| variable | meaning |
|---|---|
{variables}

{paragraph}

{example}

`tinybox info` names the files that it has read, and what they set. A wrong key is an error of the
commands that use the file. Registries, their mirrors and certificates are in the files that docker
and podman share with tinybox: /etc/docker/daemon.json, /etc/containers/registries.conf, and the
folders certs.d beside them.
"""

VARIABLES = {
    "TINYBOX_ROOT": "The directory of the store, as `--root`; default: /var/lib/tinybox.",
    "TINYBOX_NETWORK": "The network of `run` and `create` without `--network`; default: the key `network`, or bridge.",
    "TINYBOX_CGROUP_PARENT": "The control group above those of all containers; default: tinybox.",
    "TINYBOX_CGROUP": "Without root: the directory of cgroup v2 that was given to the user; see docs/rootless.md.",
    "TINYBOX_LABS": "Directories with labs and exercises of your own, separated by colons; see docs/writing-labs.md.",
    "TINYBOX_NAME": "Set by tinybox in the shell that `run --step` opens: the name of the box.",
    "TINYBOX_PID": "Set by tinybox in the same shell: the host's PID of the first process of the box.",
    "_TINYBOX_HOME": "Set by tinybox without root, for itself and `unshare`: the number of the open file RUN/.home.",
    "_TINYBOX_COMPLETE": "Set by the completion script of a shell.",
}
PARAGRAPH = f"""\
Defaults of options are in two files, {defaults.FOR_ALL} for all users and ~/.config/tinybox/config.toml for one, whose
keys have precedence. With sudo, it is root's. An option of the command line has precedence over both. The keys are
the names of options of `run` and `create`: {", ".join(f"`{key}`" for key in defaults.TEXTS)}; and
`{defaults.OPTS}`, as in docker's daemon.json. Services of compose have them, too.
"""
EXAMPLE = """\
    network = "none"
    init = "reap"
    log-driver = "local"
    log-opts = { max-size = "10m", max-file = 3 }
    detach-keys = "ctrl-x,x"\
"""


def described(subject: click.Command) -> str:
    """Return the help text of a command, wrapped at WIDTH columns."""
    paragraphs = inspect.cleandoc(subject.help or "").split("\n\n")
    return "\n\n".join(textwrap.fill(" ".join(paragraph.split()), WIDTH) for paragraph in paragraphs)


def usage(context: click.Context) -> str:
    """Return the line of usage."""
    return " ".join([context.command_path, *context.command.collect_usage_pieces(context)])


def option_groups(context: click.Context) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the title and the rows (option, help) of each group of options; `run` has several groups, others one."""
    command = context.command
    listed = [param for param in command.params if isinstance(param, click.Option)]
    records = {param.name: param.get_help_record(context) for param in listed}
    if isinstance(command, RunCommand):
        for group, title in GROUPS.items():
            rows = [records.get(option.key) for option in OPTIONS if option.group == group]
            yield title, [row for row in rows if row]
    else:
        yield "Options", [record for record in records.values() if record]


def listed(words: list[str]) -> str:
    """Return *words*, of which there are at least two, as an English list."""
    return f"{', '.join(words[:-1])} and {words[-1]}"


def options(context: click.Context) -> str:
    """Return the options as the help prints them; for commands with the options of `run`, a link to these."""
    if isinstance(context.command, RunCommand) and context.info_name != "run":
        known = {param.name for param in context.command.params}
        missing = [f"`--{option.name}`" for option in OPTIONS if option.key not in known]
        return f"The options are those of [run](#tinybox-run){f', without {listed(missing)}' if missing else ''}."
    formatter = click.HelpFormatter(width=WIDTH)
    for title, rows in option_groups(context):
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows, col_max=36)
    text = formatter.getvalue().strip("\n")
    return f"```text\n{text}\n```" if text else ""


def examples(name: str) -> str:
    """Return the examples of one command, each below its sentence."""
    lines = "\n\n".join(f"# {example.says}\n{example.line}" for example in EXAMPLES.get(name, ()))
    return f"```sh\n{lines}\n```" if lines else ""


def commands(group: click.Group, above: click.Context, names: list[str]) -> Iterator[tuple[str, click.Context]]:
    """Yield the full name and the context of each command; after a group such as `volume`, those of its commands."""
    for name in names:
        command = group.get_command(above, name)
        assert command is not None, name  # noqa: S101  a subject that names no command
        context = click.Context(command, above, name)
        yield context.command_path.removeprefix("tinybox "), context
        if isinstance(command, click.Group):
            yield from commands(command, context, command.list_commands(context))


def alias_of(context: click.Context) -> str:
    """Return the shorter name of a command in a group, such as `pull` for `image pull`; "" if it has none."""
    root = context.find_root()
    if context.parent is root or not isinstance(context.command, click.Command):
        return ""
    return next((name for name in app.COMMANDS if app.cli.get_command(root, name) is context.command), "")


def chapter(title: str, names: str, root: click.Context) -> Iterator[str]:
    """Yield the parts of one subject."""
    yield f"## {title}"
    for name, context in commands(app.cli, root, names.split()):
        yield f"### tinybox {name}"
        if alias := alias_of(context):
            yield f"The same as [tinybox {alias}](#tinybox-{alias})."
            continue
        yield described(context.command)
        yield f"    {usage(context)}"
        yield options(context)
        yield examples(name)


def document() -> str:
    """Return the whole of docs/cli.md."""
    root = click.Context(app.cli, info_name="tinybox")
    failing = ", ".join(f"`{name}`" for name in sorted(statuses.AS_RUN))
    variables = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items())
    told = textwrap.fill(" ".join(PARAGRAPH.split()), WIDTH, break_on_hyphens=False)
    parts = [BEGINNING.format(failing=failing, variables=variables, paragraph=told, example=EXAMPLE).rstrip()]
    for title, names in SUBJECTS.items():
        parts += chapter(title, names, root)
    return "\n\n".join(part for part in parts if part) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
