"""The pages of the site about labs and the workshop, made from the code, with the recorded runs that there are."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tinybox.lab import course
from tinybox.workshop import levels
from tools.site.documents import fenced, toctree, write

if TYPE_CHECKING:
    from pathlib import Path

UNRECORDED = "This lab was not run when the site was made. Run it: `sudo tinybox lab run {name}`."


def lay_out(target: Path, records: Path) -> None:
    """Write the pages of all labs and levels to the directory *target*."""
    for name in course.ids():
        write(target / "labs" / f"{name}.md", lab_page(name, records / "labs"))
    rows = "\n".join(f"| [`{name}`]({name}.md) | {plain(course.subject(name))} |" for name in course.ids())
    text = "# Labs\n\nEach lab asks a question about the kernel, measures, and gives a verdict."
    table = f"| lab | subject |\n|---|---|\n{rows}\n"
    write(target / "labs/index.md", f"{text}\n\n{table}\n{toctree('', course.ids(), hidden=True)}")
    for number in range(1, len(levels.ORDER) + 1):
        write(target / "workshop" / f"{page_of(number)}.md", level_page(number))
    steps = toctree("", [page_of(number) for number in range(1, len(levels.ORDER) + 1)])
    text = (
        "# Levels of the workshop\n\nA student writes each level alone; [the workshop](../docs/workshop.md) says how."
    )
    write(target / "workshop/index.md", f"{text}\n\n{steps}")


def page_of(number: int) -> str:
    """Return the name of the page of a level."""
    return levels.file_name(number).removesuffix(".py")


def lab_page(name: str, records: Path) -> str:
    """Return the page of a lab: its question, its answer and idea, its control, and its recorded run in *records*.

    The idea tells the answer, so it unfolds with it: a reader predicts first.
    """
    lab = course.load(name)
    parts = [
        f"# {name}: {plain(course.subject(name))}",
        f"**Question.** {plain(lab.question)}",
        unfolding("The answer, and the idea", f"{plain(lab.answer)}\n\n{paragraphs(course.description(name))}"),
        f"**The control.** {plain(lab.control)}",
        f"## A recorded run\n\n{recorded(name, records)}",
    ]
    return "\n\n".join(parts) + "\n"


def recorded(name: str, records: Path) -> str:
    """Return the recorded run of a lab: where it ran, what it printed, and its page with pictures if there is one."""
    text, facts = records / f"{name}.txt", records / f"{name}.json"
    if not facts.is_file():
        return UNRECORDED.format(name=name)
    known: dict[str, Any] = json.loads(facts.read_text())
    lines = [f"`sudo tinybox lab run {name}`, on Linux {known['kernel']} with {known['cgroups']} control groups:"]
    if (records / f"{name}.html").is_file():
        lines.append(f'<p><a class="reference" href="{name}-run.html">This run as a page, for the projector</a></p>')
    return "\n\n".join([*lines, fenced(text.read_text(), "text")])


def level_page(number: int) -> str:
    """Return the page of a level: its text, its hints, the student's file and a solution, which unfold."""
    title, text = levels.text(number)
    level, name = levels.load(number), levels.file_name(number)
    hints = [unfolding(f"Hint {which}", plain(hint)) for which, hint in enumerate(level.hints, 1)]
    parts = [
        f"# Level {number}: {plain(title)}",
        paragraphs(text),
        f"Use: `sudo ./{name} {level.usage}`. Read: {plain(level.pages)}.",
        f"Check: `sudo tinybox workshop check {number}`.",
        *hints,
        f"## The file to complete\n\n{fenced(program(levels.skeleton(number)), 'python')}",
        unfolding("A solution; yours may differ", fenced(program(levels.solution(number)), "python")),
    ]
    return "\n\n".join(parts) + "\n"


def program(text: str) -> str:
    """Return a student's program without its first line, the path of the Python interpreter on one host."""
    return text.partition("\n")[2] if text.startswith("#!") else text


def unfolding(title: str, body: str) -> str:
    """Return a part of a page that a click shows."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def paragraphs(text: str) -> str:
    """Return a docstring as Markdown: an indented part is code, the rest is text."""
    parts = []
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        lines = part.splitlines()
        is_code = all(line.startswith("    ") for line in lines)
        parts.append(fenced("\n".join(line[4:] for line in lines), "text") if is_code else "\n".join(map(plain, lines)))
    return "\n\n".join(parts)


def plain(text: str) -> str:
    """Return *text* in which Markdown finds no marks, except those of code between grave accents."""
    parts = text.replace("``", "`").split("`")
    if len(parts) % 2 == 0:
        return re.sub(r"([\\`*_<>\[\]#{}|~$])", r"\\\1", text)
    return "`".join(part if at % 2 else re.sub(r"([\\*_<>\[\]#{}|~$])", r"\\\1", part) for at, part in enumerate(parts))
