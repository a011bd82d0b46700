"""What a student sees and hands in: the task, the verdict with its evidence, and the results as JSON and Markdown."""

from __future__ import annotations

import re
import textwrap
import time
from typing import TYPE_CHECKING, Any

from tinybox import wrapping
from tinybox.errors import printable
from tinybox.exercises import course, session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tinybox.exercises.records import Attempt, Record
    from tinybox.exercises.session import Verdict

WORDS, HARD = re.compile("`[^`]*`"), "\xa0"  # a blank at which no line ends
STARTED, DONE, INTERRUPTED = "started", "passed, runs", "interrupted"  # while its boxes are there
PASSED, TRIED, OPEN = "passed", "not passed", "-"


def state(record: Record) -> str:
    """Return the state of an exercise: that of its open attempt, or if there is none, the best result so far."""
    attempt = record.open
    if attempt:
        return INTERRUPTED if not attempt["is_ready"] else DONE if has_passed(attempt) else STARTED
    if any(has_passed(each) for each in record.attempts):
        return PASSED
    return TRIED if record.attempts else OPEN


def has_passed(attempt: Attempt) -> bool:
    """Return whether a check of this attempt has passed."""
    return any(each["passed"] for each in attempt["checks"])


def heading(name: str) -> str:
    """Return the first line about an exercise: its name, its lecture or that it is one of your own, and its subject."""
    number = course.lecture(name)
    return f"{name} ({'your own' if number == course.OWN else f'lecture {number}'}): {course.subject(name)}"


def task(record: Record, attempt: Attempt, width: int, command: str = "tinybox exercise") -> list[str]:
    """Return the lines of the task of an open attempt, at most *width* columns wide, and what to type next.

    *command* are the words before those of an exercise.
    """
    name, exercise = record.name, course.load(record.name)
    words = f"{course.options(name)}{name}"
    lines = [heading(name)]
    lines += [f"Seed: {attempt['seed']}", "", *wrapped(session.text(record, attempt, "task"), width), ""]
    lines += [f"Check:    {command} check {words} {exercise.answer}".rstrip()]
    return [*lines, f"A hint:   {command} hint {words}", f"The end:  {command} end {words}"]


def wrapped(text: str, width: int) -> list[str]:
    """Return *text* in lines; an indented line, a command, is not wrapped, nor are words between backquotes."""
    lines: list[str] = []
    for line in text.splitlines():
        kept = WORDS.sub(lambda match: match[0].replace(" ", HARD), line)
        short = [each.replace(HARD, " ") for each in wrapping.wrapped(kept, width)]
        lines += [line] if line.startswith(" ") else short
    return lines


def verdict(name: str, found: Verdict, width: int) -> Iterator[str]:
    """Yield the lines of a verdict: each figure with its source, then whether the exercise is passed."""
    for each in found.evidence:
        yield from _indented(f"{each.figure}: {each.value}", width, "  ")
        yield from _indented(f"from {each.source}", width, "      ")
    yield from _indented(f"{name}: passed" if found.passed else f"{name}: not yet: {found.missing}", width, "")


def _indented(text: str, width: int, indent: str) -> list[str]:
    """Return *text* in lines; a longer word, such as the path of a file to be read, is not broken."""
    return textwrap.wrap(printable(text), width, initial_indent=indent, subsequent_indent=f"{indent}  ",
                         break_on_hyphens=False, break_long_words=False)  # fmt: skip


def results(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return all attempts of these exercises, for JSON: times are in UTC, as RFC 3339 writes them."""
    return [_result(record, attempt) for record in records for attempt in record.attempts]


def _result(record: Record, attempt: Attempt) -> dict[str, Any]:
    checks = [{**each, "time": _time(each["time"])} for each in attempt["checks"]]
    passed = next((each for each in attempt["checks"] if each["passed"]), None)
    return {
        "exercise": record.name,
        "lecture": course.lecture(record.name),
        "subject": course.subject(record.name),
        "seed": attempt["seed"],
        "passed": passed is not None,
        "seconds": round((passed["time"] - attempt["begun"]) / 10**9, 1) if passed else None,
        "begun": _time(attempt["begun"]),
        "ended": _time(attempt["ended"]) if attempt.get("ended") else None,
        "hints": attempt["hints"],
        "saw_solution": attempt["saw_solution"],
        "checks": checks,
    }


def _time(nanoseconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(nanoseconds // 10**9))


def markdown(found: list[dict[str, Any]], student: str) -> Iterator[str]:
    """Yield the lines of a page to hand in: a table of all attempts, then the evidence of each check that passed."""
    yield from (f"# Exercises of {_cell(student)}", "", "| exercise | seed | passed | after | checks | hints | begun |")
    yield "|---|---|---|---|---|---|---|"
    for one in found:
        after = f"{one['seconds']} s" if one["passed"] else ""
        hints = f"{one['hints']}{', solution' if one['saw_solution'] else ''}"
        words = ("yes" if one["passed"] else "no", after, len(one["checks"]), hints, one["begun"])
        yield f"| {one['exercise']} | {one['seed']} | {' | '.join(map(str, words))} |"
    for one in found:
        for each in (check for check in one["checks"] if check["passed"]):
            answer = f", answer `{_cell(each['answer'])}`" if each["answer"] else ""
            yield from (
                "",
                f"## {one['exercise']}: {one['subject']}",
                "",
                f"Seed {one['seed']}{answer}, {each['time']}.",
            )
            yield from ("", "| figure | value | read from |", "|---|---|---|")
            for figure in each["evidence"]:
                yield f"| {_cell(figure['figure'])} | {_cell(figure['value'])} | `{_cell(figure['source'])}` |"


def _cell(text: str) -> str:
    """Return *text* for a cell of a table in Markdown: in one line, and without marks that would end the cell."""
    return printable(text).replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
