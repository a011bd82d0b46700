"""The page of one lab's result: the question, pictures of its figures, the evidence, the claims, the answer.

It is one HTML file without requests to a network. On a wide screen each part fills the screen, and the arrow keys turn
the parts, as on the other pages; on a phone, on paper and without scripts, the parts are one below the other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tinybox.pictures import series
from tinybox.pictures.style import STYLE
from tinybox.seeing.lab_pages.parts import element, picture, words
from tinybox.seeing.page import filled

if TYPE_CHECKING:
    from collections.abc import Iterator

    Record = dict[str, Any]  # what `tinybox lab run --json` prints about a lab, with the lab's words; see record.py

FEW = 7  # rows of evidence that are written larger
KINDS = {"PASS": "pass", "FAIL": "fail", "INCONCLUSIVE": "open"}


def page(record: Record) -> str:
    """Return the page that shows *record*; markup in its words is shown as text. UsageError: a picture is malformed."""
    body = "".join(
        f'<article id="part{number}" data-name="{words(name)}">{content}</article>'
        for number, (name, content) in enumerate(_parts(record), 1)
    )
    title = f"{record['id']}: {record['subject']}"
    return filled(
        "lab_pages/lab.html", json.dumps(record), drawing=STYLE, body=body, title=words(title), head=_head(record)
    )


def _head(record: Record) -> str:
    verdict = str(record["verdict"])
    without = " --control" if record.get("control_run") else ""
    command = element("h1", words(f"tinybox lab run {record['id']}{without}"), name="mono")
    host = f"{record['host']} · " if record.get("host") else ""
    facts = element("p", words(f"{host}{record['seconds']:.2f} s"))
    return command + element("b", words(verdict), name=f"verdict {KINDS.get(verdict, 'open')}") + facts


def _parts(record: Record) -> Iterator[tuple[str, str]]:
    """Yield the parts of the page: the name of each, and its content as HTML."""
    yield "Question", _question(record)
    for one in map(series.read, record.get("pictures", [])):
        head = element("h2", words(one.title), name="title") + element("p", words(one.says), name="says")
        yield one.title, f'{head}{picture(one)}<p class="source">from {words(one.source)}</p>'
    yield "Evidence", _evidence(record["evidence"])
    yield "Verdict", _verdict(record)
    if record.get("answer") or record.get("idea"):
        yield "Answer", _answer(record)


def _question(record: Record) -> str:
    """Return the question without its answer, and without the idea, which tells the answer: the room predicts first."""
    parts = [element("p", words(record["subject"]), name="says")]
    parts.append(element("h2", words(record.get("question") or record["subject"]), name="title ask"))
    if record.get("prediction"):
        parts.append(element("p", f"<b>Predicted:</b> {words(record['prediction'])}", name="prediction"))
    return "".join(parts)


def _evidence(evidence: list[dict[str, str]]) -> str:
    """Return the figures as a table: those of host and box beside one another, others over both columns."""
    rows = []
    for figure, (host, box, both) in _paired(evidence):
        cells = f'<td colspan="2">{both}</td>' if both else element("td", host) + element("td", box)
        rows.append(element("tr", f'<th scope="row">{words(figure)}</th>', cells))
    heads = "".join(f'<th scope="col" class="{kind}">{name}</th>' for kind, name in
                    (("", ""), ("parent", "host"), ("child", "box")))  # fmt: skip
    body = element(
        "table",
        element("thead", element("tr", heads)),
        element("tbody", *rows),
        name=f"evidence {'few' if len(rows) <= FEW else 'many'}",
    )
    return element("h2", "Read from the kernel", name="title") + element("div", body, name="scroll")


def _paired(evidence: list[dict[str, str]]) -> Iterator[tuple[str, tuple[str, str, str]]]:
    left = list(evidence)
    while left:
        one = left.pop(0)
        other = next((each for each in left if each["figure"] == one["figure"] and each["side"] != one["side"]), None)
        if one["side"] and other and other["side"]:
            left.remove(other)
        else:
            other = None
        cells = {each["side"]: _cell(each) for each in (one, other) if each}
        yield one["figure"], (cells.get("host", ""), cells.get("box", ""), cells.get("", ""))


def _cell(each: dict[str, str]) -> str:
    return element("b", words(each["value"]), name="mono") + element("i", words(each["source"]))


def _verdict(record: Record) -> str:
    rows = "".join(
        element("li", f"<b>{'yes' if claim['holds'] else 'NO'}</b> {words(claim['sentence'])}",
                name="holds" if claim["holds"] else "refuted")
        for claim in record["claims"]
    )  # fmt: skip
    rows += "".join(
        element("li", f"<b>text</b> The text says: {words(one['said'])}. Measured: {words(one['measured'])}.")
        for one in record.get("text_errors", [])
    )
    verdict = str(record["verdict"])
    reason = element("p", words(record["reason"]), name="says") if record.get("reason") else ""
    head = element("h2", words(verdict), name=f"title {KINDS.get(verdict, 'open')}")
    return head + reason + element("ul", rows, name="claims")


def _answer(record: Record) -> str:
    idea = element("p", words(record["idea"])) if record.get("idea") else ""
    control = element("p", f"<b>The control:</b> {words(record['control'])}.") if record.get("control") else ""
    again = element("p", f"<b>Do it yourself:</b> <code>tinybox lab run {words(record['id'])}</code>")
    title = words(record.get("answer") or record["subject"])
    return element("h2", title, name="title ask") + element("div", idea, control, again, name="idea")
