"""`tinybox lab`: run the labs, demonstrations of the kernel that check themselves, in a lecture or as homework."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING

import click

from tinybox.cli.lab_directories import lab_dir, use
from tinybox.cli.late import Late
from tinybox.cli.lazy_group import CommandGroup
from tinybox.container.records.paths import Paths
from tinybox.errors import UsageError
from tinybox.images.store import Store
from tinybox.wrapping import columns, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from click.shell_completion import CompletionItem

    from tinybox.cli import lab_dialog, pulling
    from tinybox.cli.commands.lab_pages import Pages
    from tinybox.container.records import host
    from tinybox.lab import card, course, lectures, own_folders, record, template
else:
    lab_dialog = Late("tinybox.cli.lab_dialog")
    pulling = Late("tinybox.cli.pulling")
    card = Late("tinybox.lab.card")
    course = Late("tinybox.lab.course")
    lectures = Late("tinybox.lab.lectures")
    own_folders = Late("tinybox.lab.own_folders")
    record = Late("tinybox.lab.record")
    template = Late("tinybox.lab.template")
    host = Late("tinybox.container.records.host")

IMAGE = click.option("--image", default="alpine", metavar="IMAGE", help="The image of the boxes (default alpine).")
SEED = click.option("--seed", default=0, metavar="NUMBER", help="Seed of a lab's random numbers (default 0).")
JSON = click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")


def names(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the name of a lab."""
    from click.shell_completion import CompletionItem

    use(context)
    return [CompletionItem(name) for name in [*course.ids(), "all"] if name.startswith(begun)]


OWN, NEW = lab_dir("labs"), lab_dir("labs", is_made=True)
LECTURE = click.option("--lecture", type=int, metavar="NUMBER", help="The labs of this lecture.")


@click.group(cls=CommandGroup)
def lab() -> None:
    """Show what the kernel does, by measurement: each lab asks a question, measures, and gives a verdict."""


@lab.command("list")
@OWN
def list_labs() -> None:
    """List the labs, in the order of the lectures."""
    names = course.ids()
    for number, lecture in enumerate(lectures.LECTURES, 1):
        list_some(f"{number}. {lecture.title}", lecture.labs)
        list_some("   To do at home", lecture.at_home)
    list_some("Your own", [name for name in names if name not in lectures.ORDER])


def list_some(title: str, names: list[str]) -> None:
    """Print a *title* and the labs below it; nothing if there are none."""
    if names:
        print(title)
    for name in names:
        print("\n".join(wrapped(f"  {name:17} {course.subject(name)}", columns(), " " * 20)))


@lab.command("show")
@click.option("--answer", "unfold", is_flag=True, help="Show the answer, too.")
@OWN
@click.argument("name", metavar="ID", shell_complete=names)
def show(name: str, *, unfold: bool) -> None:
    """Show the question of a lab, the idea behind it, and what its control takes away; nothing is run."""
    one = course.load(name)
    lines = [
        *card.question(name, one),
        "",
        *card.paragraph("Idea", course.description(name)),
        *card.paragraph("Control", one.control),
    ]
    print("\n".join([*lines, *(card.answer(one) if unfold else [])]))


@lab.command("run")
@LECTURE
@click.option("--step", is_flag=True, help="Ask for a prediction before the measurement and the answer.")
@click.option("--hold", is_flag=True, help="Keep the processes of the lab until Enter, so that you can look at them.")
@click.option("--control", is_flag=True, help="Run without the kernel's feature: a claim of the lab must fail.")
@click.option("--markdown", "page", type=click.File("w"), metavar="FILE", help="Write a page to hand in to FILE.")
@click.option(
    "--html", "html", metavar="PATH", help="Write an HTML page to PATH; for several labs, a directory of pages."
)
@JSON
@SEED
@IMAGE
@OWN
@click.argument("chosen", nargs=-1, metavar="[ID...|all]", shell_complete=names)
def run(
    chosen: tuple[str, ...],
    image: str,
    seed: int,
    lecture: int | None,
    *,
    step: bool,
    hold: bool,
    control: bool,
    page: TextIO | None,
    html: str | None,
    as_json: bool,
) -> int:
    """Run labs; the exit status is 1 if one of them fails."""
    labs = wanted(chosen, lecture)
    if not labs:
        raise UsageError("lab run", "no lab is named", "tinybox lab list; `all` runs every lab")
    pages = html_pages(html, [name for name, _ in labs]) if html else None
    prepare(image)
    dialog = lab_dialog.Dialog(step, hold, control, as_json)
    found = []
    for name, one in labs:
        result, prediction = dialog.perform(name, one, image=image, seed=seed)
        found.append(card.as_data(name, result, prediction))
        if pages:
            pages.add(record.of(name, one, result, prediction, control=control))
        if page:
            page.write("\n".join([*card.markdown(name, one, result, prediction, control=control), ""]))
    if as_json:
        print(json.dumps(found, indent=2))
    return int(any(each["verdict"] == course.FAIL for each in found))


def wanted(chosen: tuple[str, ...], lecture: int | None) -> list[tuple[str, course.Lab]]:
    """Return the labs that are *chosen*, and those of a *lecture*; UsageError if there is no such lab or lecture."""
    labs = [*course.chosen(chosen), *(lectures.numbered(lecture).labs if lecture is not None else [])]
    return [(name, course.load(name)) for name in labs]


def html_pages(path: str, names: list[str]) -> Pages:
    """Return the writer of the pages of --html, which is loaded only with that option."""
    from tinybox.cli.commands.lab_pages import Pages

    return Pages(path, names)


@lab.command("check")
@JSON
@SEED
@IMAGE
@LECTURE
@OWN
@click.argument("chosen", nargs=-1, metavar="[ID...]", shell_complete=names)
def check(
    chosen: tuple[str, ...],
    image: str,
    seed: int,
    lecture: int | None,
    *,
    as_json: bool,
) -> int:
    """Run every lab and its control; the exit status is 1 if a lab fails, or if its control does not fail."""
    labs = wanted(chosen, lecture) or wanted(("all",), None)
    prepare(image)
    done: list[tuple[str, course.Pair]] = []

    def pairs() -> Iterator[tuple[str, course.Pair]]:
        for name, one in labs:
            done.append((name, course.conduct_both(one, image=image, seed=seed)))
            yield done[-1]

    for line in card.table(pairs()):
        if not as_json:
            print(line, flush=True)
    if as_json:
        print(json.dumps([card.pair_as_data(*each) for each in done], indent=2))
    return int(any(pair.verdict == course.FAIL for _, pair in done))


@lab.command("new")
@NEW
@click.argument("name", metavar="NAME")
def new(name: str) -> None:
    """Write a lab of your own to begin with: a file NAME.py in the first --lab-dir, or in this directory.

    A directory that --lab-dir names is made if it is missing.
    """
    folder = next(iter(own_folders.directories()), os.getcwd())
    print(template.write(name, folder))
    print(f"Next: change it; tinybox lab check --lab-dir {shlex.quote(folder)} {name}")


@lab.command("report")
@click.option("-o", "--output", required=True, metavar="PAGE", help="The HTML file to write.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
def report(files: tuple[str, ...], output: str) -> None:
    """Make one HTML page of the results of a room: a column for each FILE, which `lab run --json` wrote."""
    from tinybox.cli.commands import lab_pages

    lab_pages.report(files, output)


def prepare(image: str) -> None:
    """Check that this host can run boxes, and that *image* is in the store; make a missing image from its recipe."""
    paths = Paths()
    host.read(paths.cache).check()
    pulling.with_image(image, lambda: Store(paths.root).image(image))
