"""`tinybox explain STEP`: a page about one step: its call, manual page, lines of code, and what happens without it.

The text is not written in this file. Sentences and arguments come from a plan, the rest from docstrings and from the
code itself, so the pages always match the code.
"""

from __future__ import annotations

import difflib
import inspect
import os
from typing import TYPE_CHECKING, NamedTuple

from tinybox.container.planning.omissions import OMISSIONS
from tinybox.errors import UsageError
from tinybox.seeing import ideas, sample
from tinybox.seeing.stepping import matches
from tinybox.wrapping import columns, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinybox.container.process.plan import Step

CODE = 127  # columns of a line of code with its number
WIDTH = columns()  # read once, when the command begins
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


class Entry(NamedTuple):
    """A step of a plan, and its lane: "host" if the parent does it, "box" if the child does."""

    lane: str
    step: Step


def entries() -> list[Entry]:
    """Return every step that a plan can have, once each, in the order of the plans; needs no root and no image."""
    plans = list(sample.plans())
    lanes = (("host", [plan.parent for plan in plans]), ("box", [plan.child for plan in plans]))
    return [Entry(lane, step) for lane, lists in lanes for step in _merged(lists)]


def _merged(lists: list[list[Step]]) -> list[Step]:
    """Return the steps of all *lists*, each name once, after the step that it follows in its own list."""
    found: list[Step] = []
    for steps in lists:
        place = 0
        for step in steps:
            names = [each.name for each in found]
            if step.name in names:
                place = names.index(step.name) + 1
            else:
                found.insert(place, step)
                place += 1
    return found


def find(word: str) -> list[Entry]:
    """Return the steps whose name or manual page is *word*; UsageError with the nearest names if there is none."""
    every = entries()
    found = [entry for entry in every if matches(word, entry.step.name, entry.step.manual)]
    if not found:
        near = difflib.get_close_matches(word, [entry.step.name for entry in every])
        raise UsageError(f"step {word}", "there is no such step", ", ".join(near) or "tinybox explain lists them")
    return found


def table() -> Iterator[str]:
    """Yield a line for each step, with lane, name and sentence; and a line of what `--omit` can leave out."""
    listed = entries()
    width = max(len(entry.step.name) for entry in listed)
    for entry in listed:
        yield from wrapped(f"{entry.lane:4}  {entry.step.name:{width}} {entry.step.says}", WIDTH, " " * (width + 7))
    yield ""
    yield from wrapped(f"Can be left out by `run --omit`: {', '.join(OMISSIONS)}", WIDTH)


def pages(word: str) -> Iterator[str]:
    """Yield the pages of the steps whose name or manual page is *word*."""
    for number, entry in enumerate(find(word)):
        if number:
            yield "\n" + "-" * WIDTH + "\n"
        yield from page(entry)


def page(entry: Entry) -> Iterator[str]:
    """Yield the page of one step."""
    step, act = entry.step, entry.step.act
    yield from wrapped(f"{step.name}: {step.says}", WIDTH)
    yield f"done by: {entry.lane}; see {step.manual}"
    yield ""
    idea, what_goes_wrong = ideas.of(step.name)
    yield from wrapped(idea, WIDTH)
    yield ""
    module = inspect.getmodule(act)
    of_kernel = module and module.__name__.startswith(("tinybox.linux.", "tinybox.isolation."))
    yield from _paragraph("What the kernel does" if of_kernel else "The idea", inspect.getdoc(module) or "")
    yield from _paragraph("What the step does", inspect.getdoc(act) or "")
    yield "The call"
    yield from wrapped(f"  {step.call()}", WIDTH, "    ")
    yield ""
    without = [what_goes_wrong] * bool(what_goes_wrong)
    without += [
        f"{omission.warns} Try it: tinybox run --omit {omission.name} ..."
        for omission in OMISSIONS.values()
        if omission.covers(step)
    ]
    yield from _paragraph("Without it", " ".join(without))
    lines, first = inspect.getsourcelines(act)
    yield f"The lines: {os.path.relpath(inspect.getsourcefile(act) or '', CHECKOUT)}:{first}"
    for number, line in enumerate(lines, first):
        margin = len(line) - len(line.lstrip())
        yield from wrapped(f"{number:5}  {line.rstrip()}", columns(CODE), " " * (margin + 11))


def _paragraph(title: str, text: str) -> Iterator[str]:
    if text:
        yield title
        for part in text.split("\n\n"):
            yield from wrapped(f"  {part}", WIDTH, "  ")
            yield ""
