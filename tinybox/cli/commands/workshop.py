"""`tinybox workshop`: build a container runtime of one's own, level by level, each checked on objects of the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tinybox.cli.late import Late
from tinybox.cli.lazy_group import CommandGroup
from tinybox.container.records.paths import Paths
from tinybox.errors import UsageError, printable
from tinybox.images.store import Store
from tinybox.wrapping import columns, wrapped

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from tinybox.cli import pulling
    from tinybox.container.records import host
    from tinybox.workshop import levels, student_folder
else:
    student_folder = Late("tinybox.workshop.student_folder")
    pulling = Late("tinybox.cli.pulling")
    host = Late("tinybox.container.records.host")
    levels = Late("tinybox.workshop.levels")

IMAGE = "busybox"
ENDLESS = 10_000  # columns: for a file, a sentence is one line
DIRECTORY = click.option("--dir", "path", default=".", metavar="DIR", help="The student's directory (default: here).")


def numbers(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the number of a level."""
    from click.shell_completion import CompletionItem

    found = range(1, len(levels.ORDER) + 1)
    return [CompletionItem(str(each), help=levels.named(each)) for each in found if str(each).startswith(begun)]


LEVEL = click.argument("number", type=int, metavar="LEVEL", shell_complete=numbers)


@click.group(cls=CommandGroup)
def workshop() -> None:
    """Build your own container runtime in levels; each is checked on the objects of the kernel."""


@workshop.command("new")
@click.argument("path", metavar="DIR")
def new(path: str) -> None:
    """Lay out a directory with a program to complete for each level, and the files of an image.

    In a workshop that exists, only files that are missing are made.
    """
    paths = Paths()
    host.read(paths.cache).check()
    made = pulling.with_image(IMAGE, lambda: student_folder.lay_out(path, Store(paths.root).image(IMAGE)))
    _say(f"{path}: {', '.join(made) or 'nothing is missing'}", "  ")
    print(f"Next: cd {path}; tinybox workshop show 1")


@workshop.command("list")
@DIRECTORY
def list_levels(path: str) -> None:
    """List the levels, and which of them have passed."""
    folder = _folder_or_none(path)
    marks = {
        student_folder.PASSED: "passed",
        student_folder.CHANGED: "changed since it passed",
        student_folder.OPEN: "-",
    }
    width = max(len(marks[folder.state(number)]) if folder else 1 for number in range(1, len(levels.ORDER) + 1))
    for number, name in enumerate(levels.ORDER, 1):
        mark = marks[folder.state(number)] if folder else "-"
        line = f"{number:2} {name:14} {mark:{width}} {levels.text(number)[0]}"
        print("\n".join(wrapped(line, columns(), " " * (width + 19))))


@workshop.command("show")
@click.option("--hint", "unfold", is_flag=True, help="Show one more hint; the directory notes how many.")
@DIRECTORY
@LEVEL
def show(number: int, path: str, *, unfold: bool) -> None:
    """Show what the kernel does, what there is to do, and which pages of the manual to read."""
    level = levels.load(number)
    if unfold:
        shown = student_folder.StudentFolder(path).unfold(number, len(level.hints))
        for which, hint in enumerate(level.hints[:shown], 1):
            _say(f"Hint {which} of {len(level.hints)}: {hint}", "  ")
        return
    title, text = levels.text(number)
    name = levels.file_name(number)
    print(f"Level {number}: {title}\n")
    for paragraph in text.split("\n\n"):
        _say(paragraph, most=100)
        print()
    print(f"File:  {name}, used as: ./{name} {level.usage}")
    _say(f"Read:  {level.pages}", " " * 7)
    print(f"Check: tinybox workshop check {number}")
    print(f"Hint:  tinybox workshop show --hint {number}")


@workshop.command("check")
@DIRECTORY
@click.argument("number", type=int, required=False, metavar="[LEVEL]", shell_complete=numbers)
def check(number: int | None, path: str) -> int:
    """Run your program on a spare host and say what is missing; the exit status is 1 if something is.

    Without LEVEL, it is the first level that has not passed. The spare host consists of namespaces that end with the
    check; the files of the host are read-only in it.
    """
    folder = student_folder.StudentFolder(path)
    host.read(Paths().cache).check()
    number = folder.next() if number is None else number
    name, program = levels.file_name(number), folder.program(number)
    verdict = levels.check(number, program, folder.rootfs)
    for sentence in verdict.seen:
        _say(f"  seen: {printable(sentence)}", " " * 8)
    if not verdict.passed:
        _say(f"{name}: not yet: {printable(verdict.missing)}", "  ")
        return 1
    folder.note_passed(number, program)
    last = number == len(levels.ORDER)
    print(f"{name}: passed.{'' if last else f' Next: tinybox workshop show {number + 1}'}")
    return 0


@workshop.command("solution")
@LEVEL
def solution(number: int) -> None:
    """Print a complete program of a level; yours may differ."""
    print(levels.solution(number), end="")


def _say(text: str, indent: str = "", most: int = ENDLESS) -> None:
    """Print a text, wrapped between words, to the width of the terminal or *most*; later lines begin with *indent*."""
    print("\n".join(wrapped(text, columns(most), indent)))


def _folder_or_none(path: str) -> student_folder.StudentFolder | None:
    try:
        return student_folder.StudentFolder(path)
    except UsageError:
        return None
