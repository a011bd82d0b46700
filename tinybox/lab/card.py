"""The output of a lab: the prediction card before it, then the evidence of host and box, the claims and the verdict.

Evidence from both sides is shown side by side, the host on the left and the box on the right: 100 columns wide, or as
wide as the terminal if that is narrower.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

from tinybox.errors import printable
from tinybox.lab import course
from tinybox.pictures import series
from tinybox.wrapping import columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tinybox.lab.bench import Evidence, TextError
    from tinybox.lab.course import Lab, Pair, Result

WIDTH = columns()  # read once, when the command begins
IS_CONTROL = "This is the control: with the feature taken away, a claim of the lab must fail."
HALF = WIDTH // 2 - 1  # and a bar between the halves
ENDLESS = 10_000  # columns: in a file, a line of the table is one line


def question(name: str, lab: Lab, *, control: bool = False) -> list[str]:
    """Return the prediction card: the name, the subject and the question, without the answer.

    The card of a *control* says that it is one, and what was taken away.
    """
    lines = [*_wrapped(f"{name}: {course.subject(name)}", WIDTH), "=" * WIDTH, *paragraph("Predict", lab.question)]
    return [*lines, *paragraph("Control", f"{lab.control}. {IS_CONTROL}")] if control else lines


def answer(lab: Lab) -> list[str]:
    """Return the answer as a paragraph."""
    return paragraph("Answer", lab.answer)


def report(result: Result, *, control: bool = False) -> list[str]:
    """Return the evidence (in two columns if there are two sides), the claims, and the verdict.

    Below the verdict of a *control* stands whether it differs from the lab's, as it must.
    """
    sides = [each for each in result.evidence if each.side]
    rest = [each for each in result.evidence if not each.side]
    lines = ["", *_two_views(sides)] if sides else []
    lines += ["", *(line for each in rest for line in _figure(each, WIDTH))] if rest else []
    lines.append("")
    for claim in result.claims:
        lines += _wrapped(f"{'yes' if claim.holds else 'NO':4} {claim.sentence}", WIDTH, "     ")
    for each in result.text_errors:
        lines += _wrapped(f"text {text_error(each)}", WIDTH, "     ")
    lines.append(f"{result.verdict}{f': {result.reason}' if result.reason else ''}  ({result.seconds:.2f} s)")
    return [*lines, *paragraph("Control", differs(result))] if control else lines


def differs(result: Result) -> str:
    """Return the sentence that says whether the *result* of a control is what the control of a lab must have."""
    if result.broken or result.verdict == course.INCONCLUSIVE:
        return "it shows nothing, because it could not be done."
    if result.verdict == course.PASS:
        return "it agrees with the lab, and must not: the lab would not notice if the feature were missing."
    return "without the feature a claim fails, as it must. So the lab measures the feature."


def text_error(each: TextError) -> str:
    """Return the line about a mistake of the texts: what they say, and what was measured."""
    return f"The text says: {each.said}. Measured: {each.measured}."


def paragraph(title: str, text: str) -> list[str]:
    """Return the lines of a paragraph that begins with its *title*."""
    return _wrapped(f"{title + ':':9} {text}", WIDTH, " " * 10)


def _wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _figure(each: Evidence, width: int) -> list[str]:
    return [*_wrapped(f"{each.figure}: {each.value}", width), *_wrapped(f"  from {each.source}", width, "       ")]


def _two_views(evidence: list[Evidence]) -> Iterator[str]:
    """Yield the host's figures on the left and the box's on the right; figures of the same name begin on one line."""
    yield f"{'HOST':{HALF}} | BOX"
    yield f"{'-' * HALF}-+-{'-' * (HALF - 1)}"
    for left, right in _paired(evidence):
        views = [_figure(each, HALF - 1) if each else [] for each in (left, right)]
        for number in range(max(map(len, views))):
            one, other = (view[number] if number < len(view) else "" for view in views)
            yield f"{one:{HALF}} | {other}".rstrip()


def _paired(evidence: list[Evidence]) -> Iterator[tuple[Evidence | None, Evidence | None]]:
    """Yield the figures of each line: the next figure, and the first of the same name on the other side."""
    left = list(evidence)
    while left:
        one = left.pop(0)
        other = next((each for each in left if each.figure == one.figure and each.side != one.side), None)
        if other is not None:
            left.remove(other)
        yield (one, other) if one.side == "host" else (other, one)


def table(pairs: Iterable[tuple[str, Pair]]) -> Iterator[str]:
    """Yield the table of `tinybox lab check`: one line for each lab as soon as it is done, then a line of counts."""
    verdicts = []
    yield f"{'LAB':17} {'VERDICT':12} {'WITH IT':12} {'WITHOUT':12} {'SECONDS':>7}  WHY"
    for name, pair in pairs:
        seconds = pair.lab.seconds + pair.control.seconds
        without = "ERROR" if pair.control.broken else pair.control.verdict
        line = f"{name:17} {pair.verdict:12} {pair.lab.verdict:12} {without:12} {seconds:7.2f}"
        yield from _with_reason(line, pair.reason)
        verdicts.append(pair.verdict)
    kinds = (course.PASS, course.FAIL, course.INCONCLUSIVE)
    counts = ", ".join(f"{verdicts.count(kind)} {kind}" for kind in kinds)
    yield f"{len(verdicts)} lab{'s' * (len(verdicts) > 1)}: {counts}"


def _with_reason(line: str, reason: str) -> Iterator[str]:
    """Yield a *line* of the table and its *reason*: on the same line if it fits the terminal, else on lines below."""
    whole = f"{line}  {reason}".rstrip()
    if len(whole) <= columns(ENDLESS):
        yield whole
        return
    yield line
    yield from textwrap.wrap(reason, columns() - 2, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def as_data(name: str, result: Result, prediction: str = "") -> dict[str, Any]:
    """Return a result for JSON, and the *prediction* of the student, if there was one."""
    return {
        "id": name,
        "subject": course.subject(name),
        "prediction": prediction,
        "verdict": result.verdict,
        "reason": result.reason,
        "seconds": round(result.seconds, 3),
        "claims": [claim._asdict() for claim in result.claims],
        "evidence": [each._asdict() for each in result.evidence],
        "text_errors": [each._asdict() for each in result.text_errors],
        "pictures": [series.as_data(picture) for picture in result.pictures],
    }


def pair_as_data(name: str, pair: Pair) -> dict[str, Any]:
    """Return a lab and its control for JSON."""
    return {
        "id": name,
        "verdict": pair.verdict,
        "reason": pair.reason,
        "lab": as_data(name, pair.lab),
        "control": {**as_data(name, pair.control), "error": pair.control.broken},
    }


def markdown(name: str, lab: Lab, result: Result, prediction: str = "", *, control: bool = False) -> list[str]:
    """Return a page for a hand-in, in Markdown, with the *prediction* or room for it, and the answer folded away."""
    cells = [
        " | ".join(cell.replace("|", "\\|") for cell in (each.side or "-", each.figure, each.value, f"`{each.source}`"))
        for each in result.evidence
    ]
    return [
        f"## {name}: {course.subject(name)}",
        *("", f"**Question.** {lab.question}", "", f"**My prediction:** {in_markdown(prediction)}".rstrip(), ""),
        *("| side | figure | value | read from |", "|---|---|---|---|", *(f"| {row} |" for row in cells), ""),
        *(f"- [{'x' if claim.holds else ' '}] {claim.sentence}" for claim in result.claims),
        *(f"- {text_error(each)}" for each in result.text_errors),
        *("", f"**{result.verdict}** {result.reason}".rstrip(), ""),
        *("<details><summary>Answer</summary>", "", lab.answer, "", "</details>", ""),
        *(f"The control: {lab.control}. {f'{IS_CONTROL} Here {differs(result)}' if control else ''}".rstrip(), ""),
    ]


def in_markdown(text: str) -> str:
    """Return the words of a student as they are, on one line: no character of *text* is markup."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|&~-])", r"\\\1", printable(text))
