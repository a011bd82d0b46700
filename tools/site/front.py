"""The first page of the site, its navigation, and the pages of recorded runs, which are files of their own."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from tools.documents import CHECKOUT
from tools.site.documents import documents, toctree, write

if TYPE_CHECKING:
    from pathlib import Path

# The parts of the navigation; a document that is in none of them is in the last but one.
LEARN = [
    "docs/lecture-guide",
    "docs/lecture-guide.zh",
    "labs/index",
    "docs/workshop",
    "workshop/index",
    "docs/exercises",
    "docs/writing-labs",
]
USE = [
    "About tinybox <README>",
    "docs/cli",
    "docs/images",
    "docs/building",
    "docs/layers",
    "docs/compose",
    "docs/rootless",
    "docs/api",
]
RUNS = {
    "run": "A real run, step by step: each system call, and what it changed; the arrow keys go from step to step",
    "watch": "A recorded live view: host and box side by side, while the box writes files and fills memory",
    "layers": "The layers of an image, one on the other",
}

TO_LEARN = """## To learn from

- [Lectures](docs/lecture-guide.md): with the labs of each, and answers to questions from the audience
- [Labs](labs/index.md): a question, a measurement, a verdict, and a control, each with a recorded run
- [The workshop](docs/workshop.md): build a container runtime, [level by level](workshop/index.md)
- [Exercises](docs/exercises.md): tasks on live boxes, checked on facts of the kernel"""
TO_USE = """## To use

- [What tinybox is, and how to install it](README.md)
- [The command line](docs/cli.md), [images](docs/images.md), [compose](docs/compose.md)
- [How it is built](docs/architecture.md), and [in which order to read the code](docs/reading-order.md)"""


def lay_out(target: Path, records: Path) -> None:
    """Write the first page, with the whole navigation."""
    text = (CHECKOUT / "README.md").read_text()
    beginning = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0].partition("\n")[2].strip()
    runs = [f'<li><a class="reference" href="runs/{name}.html">{says}</a></li>' for name, says in RUNS.items()
            if (records / f"{name}.html").is_file()]  # fmt: skip
    parts = [
        "# tinybox",
        beginning,
        TO_LEARN,
        *(["## To click through\n", "<ul>", *runs, "</ul>"] if runs else []),
        TO_USE,
        navigation(),
    ]
    write(target / "index.md", "\n\n".join(parts) + "\n")


def navigation() -> str:
    """Return the hidden tables of contents: each document is in one of them."""
    every = [name.removesuffix(".md") for name in documents()]
    decisions = [name for name in every if name.startswith("docs/adr/")]
    rest = [name for name in every if name not in {*LEARN, *USE, *decisions, "README"}]
    parts = {"Learn": LEARN, "Use": USE, "Know more": rest, "Decisions": decisions}
    return "\n".join(toctree(caption, pages, hidden=True) for caption, pages in parts.items())


def add_records(site: Path, records: Path) -> None:
    """Copy the pages of recorded runs into the *site*."""
    for name in RUNS:
        _copy(records / f"{name}.html", site / "runs" / f"{name}.html")
    for page in sorted((records / "labs").glob("*.html")):
        _copy(page, site / "labs" / f"{page.stem}-run.html")


def _copy(page: Path, goal: Path) -> None:
    if page.is_file():
        goal.parent.mkdir(exist_ok=True)
        shutil.copyfile(page, goal)
