"""Compare tinybox's commands and options with docker's and docker compose's, and write docs/docker-words.md.

    python -m tools.docker_words > docs/docker-words.md

The words of docker are in tests/data/docker_cli.json, those of compose in tests/data/compose_cli.json. LEFT_OUT has
each of them that tinybox does not have, with the reason. A guard makes the comparison, too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli import app
from tinybox.cli.commands.compose import group as compose_group
from tinybox.cli.written_options import MaybeOption, is_switch

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[1] / "tests/data"
FACTS: dict[str, Any] = json.loads((DATA / "docker_cli.json").read_text())
COMPOSE: dict[str, Any] = json.loads((DATA / "compose_cli.json").read_text())
FACTS["commands"] |= COMPOSE["commands"]
NOT_YET = "not yet"
_ALL = ""  # the options before the command


def _for(reason: str, options: str, *commands: str) -> dict[str, str]:
    """Return the same *reason* for *options* of each of *commands*."""
    return {f"{command} --{option}".strip(): reason for command in commands for option in options.split()}


_WINDOWS = "docker has it for Windows only"
_SWARM = "for swarm, or for drivers of other programs: tinybox runs on one machine"
_TRUST = "without effect in docker, too, unless content trust is on; name an image by its digest"
_ONE_PLATFORM = "the store keeps one platform of an image"
_REAL_TIME = "needs real-time group scheduling, which distributions' kernels do not have"
_ONE_BUILDER = "of BuildKit's builders; tinybox has one builder, and `tinybox build` has its options"
_NETWORKS = "of docker's former networks; boxes of a network find each other by name"
_NEW = ("run", "create")
LEFT_OUT = {
    **_for("there is no daemon to connect to", "context host tls tlscacert tlscert tlskey tlsverify", _ALL),
    **_for("there is no daemon that logs; --explain shows what happens", "debug log-level", _ALL),
    **_for("REGISTRY_AUTH_FILE and DOCKER_CONFIG name the file of logins", "config", _ALL),
    **_for(_WINDOWS, "cpu-count cpu-percent io-maxbandwidth io-maxiops isolation", *_NEW),
    **_for(_TRUST, "disable-content-trust", *_NEW, "build", "pull", "push"),
    **_for(_REAL_TIME, "cpu-rt-period cpu-rt-runtime", *_NEW, "update"),
    **_for("Linux ignores it since 5.4", "kernel-memory", *_NEW),
    **_for("gives the box the socket of a daemon, and there is none", "use-api-socket", *_NEW),
    **_for(_ONE_PLATFORM, "platform", "history", "image inspect", "load", "push", "rmi", "save"),
    **_for(_ONE_PLATFORM, "tree", "images"),
    **_for(_SWARM, "config-from config-only ingress", "network create"),
    **_for(_SWARM, "availability group limit-bytes required-bytes scope secret sharing topology-preferred "
           "topology-required type", "volume create"),
    **_for(_SWARM, "cluster", "volume ls"),
    "volume update": _SWARM,
    **_for("--device gives a box a device of the host", "gpus", *_NEW),
    **_for("the files of all boxes share the file system of the store", "storage-opt", *_NEW),
    **_for(_NETWORKS, "link", "rm"),
    **_for("the builder of docker, BuildKit, refuses it", "memory", "compose build"),
    **_for(_ONE_BUILDER, "builder check print provenance sbom ssh", "compose build"),
    **_for(f"{NOT_YET}; use compose watch, beside compose up -d", "watch", "compose up"),
    **_for("names as docker-compose 1 wrote them", "compatibility", "compose"),
}  # fmt: skip

BEGINNING = """\
# docker's words

`make docs` makes this page from the help of docker {version} (tests/data/docker_cli.json) and from
tools/docker_words.py. Change those, not this page.

tinybox has {commands} of the {all_commands} commands that make sense on one machine without a daemon
({commands_share} %), and {options} of the {all_options} options of these ({options_share} %). Other names of a
command (`container ls` for `ps`) count as commands. The tables list each word that is left out, with
the reason. A test compares them with the commands, so they are neither too long nor too short.

Of docker compose {compose_version} (tests/data/compose_cli.json), tinybox has {compose_commands} of the
{all_compose_commands} commands that make sense ({compose_commands_share} %), and {compose_options} of the
{all_compose_options} options of these ({compose_options_share} %).
"""

ENDING = """
## Values that docker refuses

| option | values | whose word |
|---|---|---|
| `--userns`, compose `userns_mode` | `private`, `container:NAME` | tinybox's; docker has `host` alone |
| the same | `keep-id`, `nomap`, `auto`, with their options | podman's, see [rootless.md](rootless.md) |
"""


def is_compose(name: str) -> bool:
    """Return whether *name* is a command of compose, or an option of one."""
    return name.split()[:1] == ["compose"]


def command_of(name: str) -> tuple[click.Command | None, click.Context]:
    """Return tinybox's command with docker's full *name*, or None."""
    context = click.Context(app.cli, info_name="tinybox")
    command: click.Command | None = app.cli
    for word in name.split():
        if not isinstance(command, click.Group):
            return None, context
        command = command.get_command(context, word)
        if command is None:
            return None, context
        context = click.Context(command, context, word)
    return command, context


def is_left_out(name: str) -> str:
    """Return why docker's command *name*, or the group that it is in, is left out; "" if it is not."""
    words = name.split()
    if words[:1] and words[0] in app.ELSEWHERE:
        return app.ELSEWHERE[words[0]]
    if is_compose(name) and len(words) > 1 and words[1] in compose_group.ELSEWHERE:
        return compose_group.ELSEWHERE[words[1]]
    return next((LEFT_OUT[" ".join(words[:count])] for count in range(len(words), 0, -1)
                 if " ".join(words[:count]) in LEFT_OUT), "")  # fmt: skip


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command of docker's, with what is wrong about tinybox's; "" if nothing is."""
    for name, known in FACTS["commands"].items():
        command, _ = command_of(name)
        first = known.get("same_as")
        if command is None:
            yield name, "missing"
        elif first and not is_left_out(first) and command is not command_of(first)[0]:
            yield name, f"is another command than {first}"
        elif bool(known.get("group")) != isinstance(command, click.Group):
            yield name, "is a group on one side only"
        else:
            yield name, ""


def options() -> Iterator[tuple[str, str]]:
    """Yield each option of the commands that tinybox has, with what is wrong about it; "" if nothing is."""
    for name, known in FACTS["commands"].items():
        command, _ = command_of(name)
        if command is None or is_left_out(name):
            continue
        mine = {each: param for param in command.params if isinstance(param, click.Option) for each in param.opts}
        for option, (letter, kind) in known.get("options", {}).items():
            yield f"{name} --{option}".strip(), _difference(mine, option, letter, has_value=bool(kind))


def _difference(mine: dict[str, click.Option], option: str, letter: str, *, has_value: bool) -> str:
    found = mine.get(f"--{option}")
    if found is None:
        return "missing"
    if letter and mine.get(f"-{letter}") is not found:
        return f"has no -{letter}"
    if (is_switch(found) or isinstance(found, MaybeOption)) == has_value:
        return "takes no value" if has_value else "takes a value"
    return ""


def wrong() -> list[str]:
    """Return a line for each word that is neither there nor left out, and for each that is left out and there."""
    found = [*commands(), *options()]
    lines = [f"{name}: {problem}" for name, problem in found if problem and not _reason(name)]
    known = {name for name, problem in found if problem}
    return [*lines, *(f"{name}: is left out and there, or not docker's" for name in LEFT_OUT if name not in known)]


def _reason(name: str) -> str:
    return LEFT_OUT.get(name) or is_left_out(name.partition(" --")[0] if " --" in name else name)


def shares() -> dict[str, int | str]:
    """Return how many words are there and how many make sense: those that are there, or are left out as "not yet".

    The keys of compose's words begin with compose_.
    """
    counted: dict[str, int | str] = {}
    for part in ("", "compose_"):
        for kind, all_of_them in (("commands", commands()), ("options", options())):
            found = [(name, problem) for name, problem in all_of_them if is_compose(name) == bool(part)]
            there = sum(not problem for _, problem in found)
            sensible = there + sum(bool(problem) and _reason(name).startswith(NOT_YET) for name, problem in found)
            key = f"{part}{kind}"
            counted |= {key: there, f"all_{key}": sensible, f"{key}_share": f"{100 * there / sensible:.1f}"}
    return counted


def document() -> str:
    """Return the whole of docs/docker-words.md."""
    lines = [
        BEGINNING.format(version=FACTS["version"], compose_version=COMPOSE["version"], **shares()),
        "## Commands",
        "",
        "| word | instead |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {cure} |" for name, cure in sorted(app.ELSEWHERE.items())]
    lines += [f"| `compose {name}` | {cure} |" for name, cure in sorted(compose_group.ELSEWHERE.items())]
    lines += [f"| `{name}` | {reason} |" for name, reason in sorted(LEFT_OUT.items()) if "--" not in name]
    grouped: dict[str, list[str]] = {}
    for name, reason in LEFT_OUT.items():
        if "--" in name:
            grouped.setdefault(reason, []).append(f"`{name}`")
    lines += ["", "## Options", "", "| options | why they are left out |", "|---|---|"]
    lines += [f"| {', '.join(sorted(names))} | {reason} |" for reason, names in sorted(grouped.items())]
    return "\n".join(lines) + "\n" + ENDING


if __name__ == "__main__":
    sys.stdout.write(document())
