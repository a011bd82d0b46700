"""The options between `compose` and its command, which every command gets, and the options that several have."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.late import Late
from tinybox.container.records.paths import Paths
from tinybox.errors import UsageError, printable
from tinybox.text_values import is_whole, truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.compose import down, members
    from tinybox.compose import project as projects
    from tinybox.compose.project import Project
    from tinybox.compose.reading.document import Field
    from tinybox.container.records import host
    from tinybox.container.records.host import Host
    from tinybox.container.views.listing import Listed
else:
    down = Late("tinybox.compose.down")
    members = Late("tinybox.compose.members")
    projects = Late("tinybox.compose.project")
    host = Late("tinybox.container.records.host")

PROGRESS = ("auto", "tty", "plain", "json", "quiet")
ANSI = ("auto", "never", "always")
DRY = " DRY-RUN MODE - "


class ProjectOptions:
    """The options between `compose` and the command: files, the project's name, how progress is shown, and so on."""

    def __init__(self, files: tuple[str, ...], name: str, folder: str, **more: Any) -> None:
        self._files, self._name, self._folder = files, name, folder
        self._env_files: tuple[str, ...] = more["env_files"]
        self.profiles: tuple[str, ...] = more["profiles"]
        self._all_resources: bool = more["all_resources"]
        self.progress = _word("--progress", more["progress"] or os.environ.get("COMPOSE_PROGRESS", ""), PROGRESS)
        self._ansi = _word("--ansi", more["ansi"] or os.environ.get("COMPOSE_ANSI", ""), ANSI)
        self.is_dry = False
        most = more["parallel"] or os.environ.get("COMPOSE_PARALLEL_LIMIT", "-1")
        if most != "-1":
            if not is_whole(most) or not 0 < int(most) <= down.MOST_THREADS:
                raise UsageError(f"--parallel {most}", "is not a number of containers", "1 or more, or -1: no limit")
            down.limit(int(most))

    def project(self) -> Project:
        """Load the project; with a name and no file, return the project of the containers with that project label."""
        try:
            found = projects.load(self._files, self._name, self._env_files, self._folder)
        except projects.NoFileError:
            name = self._name or os.environ.get("COMPOSE_PROJECT_NAME", "")
            if not name:
                raise
            return projects.bare(name)
        for note in found.notes:
            self.say(f"warning: {note}")
        found.all_resources = self._all_resources
        return found

    def written(self, *, fill: bool = False) -> tuple[str, Field, list[str]]:
        """Return the project's name, tree and texts, with the variables as they are written unless *fill*."""
        return projects.written(self._files, self._name, self._env_files, self._folder, fill=fill)

    def place(self) -> str:
        """Return the project's folder."""
        return projects.places(self._files, self._env_files, self._folder)[1]

    def say(self, line: str) -> None:
        """Print a line about progress on stderr, as --progress says; stdout is for results."""
        if line.startswith(" "):
            if self.progress == "quiet":
                return
            if self.progress == "json":
                what, _, text = line.strip().partition("  ")
                dry = {"dry-run": True} if self.is_dry else {}
                line = json.dumps({**dry, "id": what, "status": "Done", "text": text})
            elif self.is_dry:
                line = f"{DRY}{line.strip()}"
        print(printable(line), file=sys.stderr, flush=True)

    @property
    def is_quiet(self) -> bool:
        """Return whether nothing is printed about progress."""
        return self.progress == "quiet"

    def colours(self, *, refused: bool = False) -> bool:
        """Return whether names in front of lines have colours: on a terminal, or as --ansi says; NO_COLOR has none."""
        if refused or self._ansi == "never" or os.environ.get("NO_COLOR"):
            return False
        return self._ansi == "always" or os.isatty(1)


def _word(option: str, value: str, known: tuple[str, ...]) -> str:
    if value and value not in known:
        raise UsageError(f"{option} {value}", "is not known", ", ".join(known))
    return value or known[0]


class ComposeCommand(click.Command):
    """A command of `compose`: it has the option --dry-run, which may also stand before the command."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.append(dry_run_option())


def dry_run_option() -> click.Option:
    """Return the option --dry-run of compose and of each of its commands."""

    def note(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.meta[DRY] = True
            if isinstance(context.obj, ProjectOptions):
                context.obj.is_dry = True

    text = "Only print what the command would change."
    return click.Option(["--dry-run"], is_flag=True, expose_value=False, callback=note, help=text)


def command(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], ComposeCommand]:
    """Return the decorator of a command of `compose`."""
    return click.command(name, cls=ComposeCommand, **attributes)


def parts(given: ProjectOptions) -> tuple[Paths, Host, Project]:
    """Return the store's paths, the checked host, and the project."""
    paths = Paths()
    here = host.read(paths.cache)
    here.check()
    return paths, here, given.project()


def is_set(variable: str) -> bool:
    """Return whether an environment variable says yes."""
    return bool(truth(os.environ.get(variable, "")))


def remove_or_name_orphans(given: ProjectOptions, paths: Paths, here: Host, project: Project, *, remove: bool) -> None:
    """Remove the containers of services that are not in the file, or name them; COMPOSE_IGNORE_ORPHANS: neither."""
    ignore = truth(project.variables.get("COMPOSE_IGNORE_ORPHANS", "")) or False
    remove = remove or is_set("COMPOSE_REMOVE_ORPHANS")
    if ignore and remove:
        raise UsageError("--remove-orphans", "conflicts with COMPOSE_IGNORE_ORPHANS", "leave one of them out")
    found = [] if ignore else down.orphans(paths, project)
    if remove and given.is_dry:
        tell(given, found, "Removed")
    elif remove:
        down.remove_orphans(paths, here, project, given.say)
    elif outside := [each.name for each in found if not members.is_one_off(each)]:
        given.say(f"not in the file: {', '.join(outside)} (--remove-orphans removes them)")


def tell(given: ProjectOptions, containers: list[Listed], what: str) -> None:
    """Print a line of progress about each of *containers*."""
    for listed in containers:
        given.say(f" Container {listed.name}  {what}")


SERVICES = click.argument("services", nargs=-1, metavar="[SERVICE]...")
TIME = click.option("-t", "--timeout", "seconds", type=float, metavar="SECONDS", help="Seconds before SIGKILL.")
INDEX = click.option(
    "--index", type=click.IntRange(0), default=0, metavar="N", help="The container with this number (default: first)."
)
REMOVE_ORPHANS = click.option("--remove-orphans", is_flag=True, help="Remove containers of services not in the file.")
