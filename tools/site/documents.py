"""The pages of the site that are documents of the checkout, with the files of the code that they name.

Pages have the places that their documents have in the checkout, so most links are right as they are.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from tinybox.lab import course
from tools.documents import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
GUIDE = "docs/lecture-guide.md"
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
CODE = {".py": "python", ".c": "c", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".sh": "sh"}


def documents() -> list[str]:
    """Return the paths of all documents, relative to the checkout."""
    found = sorted((CHECKOUT / "docs").rglob("*.md"))
    return [*TOP, *(str(path.relative_to(CHECKOUT)) for path in found)]


def lay_out(target: Path) -> None:
    """Write each document to the directory *target*, and a page for each file that one links to; copy the pictures."""
    known = set(documents())
    for name in sorted(known):
        text = (CHECKOUT / name).read_text()
        if name == GUIDE:
            text = with_lectures_apart(text, target)
        elif name.startswith(GUIDE.removesuffix("md")):  # in another language
            text = with_labs(text)
        write(target / name, with_links(name, text, known, target))
    for picture in sorted((CHECKOUT / "docs").glob("*.svg")):
        shutil.copyfile(picture, target / "docs" / picture.name)


def with_links(name: str, text: str, known: set[str], target: Path) -> str:
    """Return the *text* of the document *name*, in which links to files and directories lead to pages of the site."""

    def leads(found: re.Match[str]) -> str:
        words, goal = found.groups()
        if "://" in goal or goal.startswith(("#", "mailto:")):
            return found[0]
        path, mark, anchor = goal.partition("#")
        place = os.path.normpath(os.path.join(os.path.dirname(name), path))
        if place in known or not (CHECKOUT / place).exists():
            return found[0]
        if (CHECKOUT / place).is_dir() or place not in shown:
            shown.add(place)
            show_code(target, place)
        return f"[{words}]({path.rstrip('/')}.md{mark}{anchor})"

    shown: set[str] = set()
    return LINK.sub(leads, text)


def show_code(target: Path, place: str) -> None:
    """Write the page of a file of the checkout, with its text; that of a directory lists the names in it."""
    path = CHECKOUT / place
    if path.is_dir():
        names = sorted(each.name for each in path.iterdir() if not each.name.startswith((".", "__")))
        body = "\n".join(f"- `{each}`" for each in names)
    else:
        body = fenced(path.read_text(), CODE.get(path.suffix, "text"))
    write(target / f"{place}.md", f"---\norphan: true\n---\n# {place}\n\n{body}\n")


def with_lectures_apart(text: str, target: Path) -> str:
    """Return the lecture guide without its lectures, which become pages of their own that link to the labs."""
    parts = re.split(r"^## (\d+)\. (.+)$", text, flags=re.MULTILINE)
    beginning, rest = parts[0], ""
    pages = []
    for number, title, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        lecture, heading, after = body.partition("\n## ")
        rest = f"## {after}" if heading else ""
        pages.append(f"lecture-{number}")
        write(target / f"docs/lecture-{number}.md", with_labs(f"# Lecture {number}: {title}\n{lecture}"))
    return with_labs(f"{beginning}\n{toctree('', pages)}\n{rest}")


def with_labs(text: str) -> str:
    """Return *text* in which the names of labs in tables are links to the pages of the labs, one directory above."""
    names = set(course.ids())

    def linked(row: re.Match[str]) -> str:
        return re.sub(
            r"`([\w-]+)`", lambda name: f"[{name[0]}](../labs/{name[1]}.md)" if name[1] in names else name[0], row[0]
        )

    return re.sub(r"^\|.*$", linked, text, flags=re.MULTILINE)


def toctree(caption: str, pages: list[str], *, hidden: bool = False) -> str:
    """Return the directive that puts *pages* into the navigation."""
    lines = ["```{toctree}", *([f":caption: {caption}"] if caption else []), *([":hidden:"] if hidden else [])]
    return "\n".join([*lines, ":maxdepth: 1", "", *pages, "```", ""])


def fenced(text: str, language: str) -> str:
    """Return *text* as a block of code whose fence is longer than each one in it."""
    fence = "`" * max(3, *(len(found) + 1 for found in re.findall("`+", text) or [""]))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def write(path: Path, text: str) -> None:
    """Write a file, and make its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
