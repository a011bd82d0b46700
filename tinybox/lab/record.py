"""The record of a lab's run: all that a page about it needs, as data for JSON, and records read from files again."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tinybox.errors import UsageError
from tinybox.lab import card, course

if TYPE_CHECKING:
    from tinybox.lab.course import Lab, Result

    Record = dict[str, Any]

LARGEST = 1 << 26  # bytes of a file with records
VERDICTS = (course.PASS, course.FAIL, course.INCONCLUSIVE)


def of(name: str, lab: Lab, result: Result, prediction: str = "", *, control: bool = False) -> Record:
    """Return the record of one run: its result as JSON, the lab's words, and the kernel that was measured."""
    system = os.uname()
    words = {"question": lab.question, "answer": lab.answer, "control": lab.control, "idea": course.description(name)}
    host = f"Linux {system.release} · {system.machine}"
    return {**card.as_data(name, result, prediction), **words, "host": host, "control_run": control}


def read(path: str) -> list[Record]:
    """Return the records in a file that `tinybox lab run --json` wrote; UsageError if it is none."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.loads(file.read(LARGEST))
        return [_checked(data[place]) for place in range(len(data) or 1)]
    except OSError as error:
        raise UsageError(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise UsageError(path, "is no result of labs", "tinybox lab run --json ID... > FILE") from error


def _checked(data: Any) -> Record:
    """Return one record with the types that a page relies on; an exception if it has not its fields."""
    if data["verdict"] not in VERDICTS or not isinstance(data.get("pictures", []), list):
        raise ValueError(data["verdict"])
    return {
        **{name: str(data.get(name) or "") for name in ("question", "answer", "control", "idea", "host", "prediction")},
        **{name: str(data[name]) for name in ("id", "subject", "verdict", "reason")},
        "seconds": float(data["seconds"]),
        "claims": [{"sentence": str(one["sentence"]), "holds": one["holds"] is True} for one in data["claims"]],
        "evidence": [{key: str(one[key]) for key in ("side", "figure", "value", "source")} for one in data["evidence"]],
        "text_errors": [{key: str(one[key]) for key in ("said", "measured")} for one in data.get("text_errors", [])],
        "pictures": data.get("pictures", []),
    }
