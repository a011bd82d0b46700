"""`tinybox lab`: run the labs, demonstrations of the kernel that check themselves, in a lecture or as homework."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from tinybox.cli.lazy_group import CommandGroup
from tinybox.cli.pulling import with_image
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.images.store import Store
from tinybox.lab import card, course, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from click.shell_completion import CompletionItem

    from tinybox.cli.commands.lab_pages import Pages

IMAGE = click.option("--image", default="alpine", metavar="IMAGE", help="The image of the boxes (default alpine).")
SEED = click.option("--seed", default=0, metavar="NUMBER", help="Seed of a lab's random numbers (default 0).")
JSON = click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")


def names(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the name of a lab."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in [*course.ids(), "all"] if name.startswith(begun)]


@click.group(cls=CommandGroup)
def lab() -> None:
    """Show what the kernel does, by measurement: each lab asks a question, measures, and gives a verdict."""


@lab.command("list")
def list_labs() -> None:
    """List the labs, in the order of the lectures."""
    for name in course.ids():
        print(f"{name:16} {course.subject(name)}")


@lab.command("show")
@click.option("--answer", "unfold", is_flag=True, help="Show the answer, too.")
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
@click.option("--step", is_flag=True, help="Wait for Enter before the answer and the measurement.")
@click.option("--control", is_flag=True, help="Run without the kernel's feature: the lab's claim must fail.")
@click.option("--markdown", "page", type=click.File("w"), metavar="FILE", help="Write a page to hand in to FILE.")
@click.option(
    "--html", "html", metavar="PATH", help="Write an HTML page to PATH; for several labs, a directory of pages."
)
@JSON
@SEED
@IMAGE
@click.argument("chosen", nargs=-1, required=True, metavar="ID...|all", shell_complete=names)
def run(
    chosen: tuple[str, ...],
    image: str,
    seed: int,
    *,
    step: bool,
    control: bool,
    page: TextIO | None,
    html: str | None,
    as_json: bool,
) -> int:
    """Run labs; the exit status is 1 if one of them fails."""
    pages = html_pages(html, [*course.chosen(chosen)]) if html else None
    prepare(image)
    found = []
    for name in course.chosen(chosen):
        one = course.load(name)
        if not as_json:
            print("\n".join(card.question(name, one)), flush=True)
        if step:
            pause(one)
        result = course.conduct(one, feature=not control, image=image, seed=seed)
        found.append((name, result))
        if pages:
            pages.add(record.of(name, one, result, control=control))
        if page:
            page.write("\n".join([*card.markdown(name, one, result), ""]))
        if not as_json:
            print("\n".join([*card.report(result), *([] if step else card.answer(one)), ""]), flush=True)
    if as_json:
        print(json.dumps([card.as_data(name, result) for name, result in found], indent=2))
    return int(any(result.verdict == course.FAIL for _, result in found))


def html_pages(path: str, names: list[str]) -> Pages:
    """Return the writer of the pages of --html, which is loaded only with that option."""
    from tinybox.cli.commands.lab_pages import Pages

    return Pages(path, names)


def pause(one: course.Lab) -> None:
    """Wait for Enter, so that the audience can make its predictions, then print the answer."""
    print("\nWhat do you expect? [Enter]", end=" ", file=sys.stderr, flush=True)
    sys.stdin.readline()
    print("\n".join(card.answer(one)), flush=True)


@lab.command("check")
@JSON
@SEED
@IMAGE
@click.argument("chosen", nargs=-1, metavar="[ID...]", shell_complete=names)
def check(chosen: tuple[str, ...], image: str, seed: int, *, as_json: bool) -> int:
    """Run every lab and its control; the exit status is 1 if a lab fails, or if its control does not fail."""
    prepare(image)
    done: list[tuple[str, course.Pair]] = []

    def pairs() -> Iterator[tuple[str, course.Pair]]:
        for name in course.chosen(chosen or ("all",)):
            done.append((name, course.conduct_both(course.load(name), image=image, seed=seed)))
            yield done[-1]

    for line in card.table(pairs()):
        if not as_json:
            print(line, flush=True)
    if as_json:
        print(json.dumps([card.pair_as_data(*each) for each in done], indent=2))
    return int(any(pair.verdict == course.FAIL for _, pair in done))


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
    with_image(image, lambda: Store(paths.root).image(image))
