"""`tinybox exercise`: tasks on live boxes, with other numbers for each student, checked by facts of the kernel."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING

import click

from tinybox import wrapping
from tinybox.cli.lab_directories import lab_dir, use
from tinybox.cli.late import Late
from tinybox.cli.lazy_group import CommandGroup
from tinybox.container.records.paths import Paths
from tinybox.errors import DamagedError, StateError, UsageError, report
from tinybox.exercises import course
from tinybox.images.store import Store

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from tinybox.cli import pulling
    from tinybox.container.records import host
    from tinybox.exercises import records, scene, session
    from tinybox.exercises import report as pages
    from tinybox.exercises.records import Attempt
else:
    session = Late("tinybox.exercises.session")
    pages = Late("tinybox.exercises.report")
    host = Late("tinybox.container.records.host")
    records = Late("tinybox.exercises.records")
    scene = Late("tinybox.exercises.scene")
    pulling = Late("tinybox.cli.pulling")


def names(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the name of an exercise."""
    from click.shell_completion import CompletionItem

    use(context)
    return [CompletionItem(name, help=course.subject(name)) for name in course.names() if name.startswith(begun)]


NAME = click.argument("name", metavar="NAME", shell_complete=names)
OWN = lab_dir("exercises")


@click.group(cls=CommandGroup, other_names={"stop": "end"})
def exercise() -> None:
    """Solve tasks on live boxes, which are checked by facts that the kernel shows."""


@exercise.command("list")
@OWN
def list_exercises() -> None:
    """List the exercises, with the state of each."""
    paths = Paths()
    for name in course.names():
        try:
            state = pages.state(records.Record(paths, name))
        except DamagedError as error:
            report(error)
            state = "damaged"
        print(f"{course.lecture(name)}  {name:14} {state:12} {course.subject(name)}")


@exercise.command("start")
@OWN
@click.option("--seed", type=click.IntRange(0, course.SEEDS - 1), metavar="NUMBER",
              help="Decide the numbers of the task by this seed (default: a random one, which is shown).")  # fmt: skip
@click.option("--again", is_flag=True, help="End the exercise first if it is started, and make it again.")
@NAME
def start(name: str, seed: int | None, *, again: bool) -> None:
    """Make the boxes of an exercise, and print its task."""
    course.known(name)
    paths = Paths()
    host.read(paths.cache).check()
    pulling.with_image(scene.IMAGE, lambda: Store(paths.root).image(scene.IMAGE))
    attempt = session.start(paths, name, seed, again=again)
    _print_task(records.Record(paths, name), attempt)


@exercise.command("show")
@OWN
@NAME
def show(name: str) -> None:
    """Print the task again; if it is not started, what it is about."""
    record = records.Record(Paths(), name)
    if record.open is None:
        needs = course.load(name).needs
        lines = [pages.heading(name), course.idea(name)]
        lines += [f"It needs {needs}."] if needs else []
        print("\n".join(line for each in lines for line in pages.wrapped(each, wrapping.columns())))
        print(f"Begin: {_command()} start {course.options(name)}{name}")
        return
    _print_task(record, session.started(record))


def _print_task(record: records.Record, attempt: Attempt) -> None:
    print("\n".join(pages.task(record, attempt, wrapping.columns(), _command())))


def _command() -> str:
    """Return the words by which the next command finds the store of this one: with sudo(8) or --root if this has it."""
    sudo = "sudo " if os.geteuid() == 0 and os.environ.get("SUDO_USER") else ""
    root = click.get_current_context().find_root().params.get("root")
    return f"{sudo}tinybox {f'--root {shlex.quote(root)} ' if root else ''}exercise"


@exercise.command("hint")
@OWN
@NAME
def hint(name: str) -> None:
    """Show one more hint; the results count them."""
    shown, count = session.hint(Paths(), name)
    for number, each in enumerate(shown, 1):
        print("\n".join(pages.wrapped(f"Hint {number} of {count}: {each}", wrapping.columns())))


@exercise.command("check")
@OWN
@NAME
@click.argument("answer", nargs=-1, metavar="[ANSWER...]")
def check(name: str, answer: tuple[str, ...]) -> int:
    """Judge what you have found or changed.

    The figures are printed with the file or the call of the kernel that each was read from. The exit status is 1 if
    something is missing.
    """
    found = session.check(Paths(), name, " ".join(answer))
    print("\n".join(pages.verdict(name, found, wrapping.columns())))
    return int(not found.passed)


@exercise.command("solution")
@OWN
@NAME
def solution(name: str) -> None:
    """Print a solution; the results note it."""
    print("\n".join(pages.wrapped(session.solution(Paths(), name), wrapping.columns())))


@exercise.command("end")
@OWN
@click.option("--all", "every", is_flag=True, help="End all exercises that are started.")
@click.option("--forget", is_flag=True, help="Remove the results, too.")
@click.argument("chosen", nargs=-1, metavar="[NAME...]", shell_complete=names)
def end(chosen: tuple[str, ...], *, every: bool, forget: bool) -> int:
    """Remove the boxes; the results stay.

    Another name of it is `stop`. Boxes that you have made with a name of the exercise are removed, too.
    """
    if every == bool(chosen):
        raise UsageError("exercise end", "no exercise is named", "give names, or --all")
    paths, failed = Paths(), False
    for name in chosen or course.names():
        try:
            session.end(paths, name, forget=forget)
        except StateError as error:
            if chosen or isinstance(error, DamagedError):  # with --all, most are not started
                report(error)
                failed = True
        else:
            print(name)
    return int(failed)


@exercise.command("report")
@OWN
@click.option("--json", "as_json", is_flag=True, help="Print JSON; the default is Markdown.")
@click.option("--markdown", is_flag=True, help="Print a page in Markdown (default).")
@click.argument("chosen", nargs=-1, metavar="[NAME...]", shell_complete=names)
def report_results(chosen: tuple[str, ...], *, as_json: bool, markdown: bool) -> None:
    """Print the results, to hand them in.

    They are those of all exercises, or of the named ones: seeds, times, hints, answers and evidence.
    """
    if as_json and markdown:
        raise UsageError("exercise report", "--json and --markdown do not go together", "give one of them")
    paths = Paths()
    found = pages.results(records.Record(paths, name) for name in chosen or course.names())
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print("\n".join(pages.markdown(found, os.environ.get("SUDO_USER") or os.environ.get("USER") or "a student")))
