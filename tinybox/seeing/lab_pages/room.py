"""The results of a room on one page: a row for each lab, a column for each hand-in, and below the figures side by side.

The hand-ins are files of strangers, so everything in them is shown as text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.pictures import drawing, series
from tinybox.pictures.style import STYLE
from tinybox.seeing.lab_pages.lab import KINDS
from tinybox.seeing.lab_pages.parts import element, table, words
from tinybox.seeing.page import filled

if TYPE_CHECKING:
    from collections.abc import Iterable

    Record = dict[str, Any]


class HandIn(NamedTuple):
    """The results in one file: the name of the file without its end, and the records of its labs."""

    name: str
    records: list[Record]


def page(hand_ins: list[HandIn], links: dict[str, str] | None = None) -> str:
    """Return the page; *links* are the pages of labs, by their names, if there are any. UsageError: a bad picture."""
    subjects = {str(record["id"]): str(record["subject"]) for each in hand_ins for record in each.records}
    parts = [_overview(hand_ins, subjects, links or {})]
    parts += [] if links else [_details(name, subject, hand_ins) for name, subject in subjects.items()]
    counts = _counts(record for each in hand_ins for record in each.records)
    where = f"{_number(len(subjects), 'lab')}, {_number(len(hand_ins), 'hand-in')}: {counts}"
    data = json.dumps(
        [[each.name, [[record["id"], record["verdict"]] for record in each.records]] for each in hand_ins]
    )
    return filled("lab_pages/room.html", data, drawing=STYLE, body="".join(parts), where=words(where))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _counts(records: Iterable[Record]) -> str:
    verdicts = [str(record["verdict"]) for record in records]
    return ", ".join(f"{verdicts.count(kind)} {kind}" for kind in KINDS)


def _overview(hand_ins: list[HandIn], subjects: dict[str, str], links: dict[str, str]) -> str:
    rows = []
    for name, subject in subjects.items():
        found = [next((one for one in each.records if one["id"] == name), None) for each in hand_ins]
        target = links.get(name, f"#{name}")
        head = f'<a href="{words(target)}"><b class="mono">{words(name)}</b></a> {words(subject)}'
        rows.append([head, *map(_cell, found)])
    return element("div", table(["lab", *(words(each.name) for each in hand_ins)], rows, "overview"), name="scroll")


def _cell(record: Record | None) -> str:
    if record is None:
        return element("span", "not run", name="missing")
    verdict = str(record["verdict"])
    broken = next((claim["sentence"] for claim in record["claims"] if not claim["holds"]), record.get("reason") or "")
    why = element("i", words(str(broken))) if broken else ""
    return element("b", words(verdict), name=KINDS.get(verdict, "open")) + why


def _details(name: str, subject: str, hand_ins: list[HandIn]) -> str:
    """Return one lab's figures: those of all hand-ins beside one another."""
    columns = []
    for each in hand_ins:
        for record in (one for one in each.records if one["id"] == name):
            pictures = [
                element("h4", words(one.title)) + drawing.draw(one)
                for one in map(series.read, record.get("pictures", []))
            ]
            rows = ([words(one["figure"]), element("b", words(one["value"]))] for one in record["evidence"])
            told = record.get("prediction")
            parts = [element("h3", words(each.name)), element("p", _cell(record))]
            parts += [element("p", f"Predicted: {words(told)}")] if told else []
            parts += [*pictures, table(["figure", "value"], rows)]
            columns.append(element("div", *parts, name="hand-in"))
    head = f'<h2 id="{words(name)}"><span class="mono">{words(name)}</span>: {words(subject)}</h2>'
    return head + element("div", *columns, name="hand-ins")
