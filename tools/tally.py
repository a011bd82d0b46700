"""Count tests: read the JUnit files that pytest wrote and print one line, ``N passed, N failed, N skipped``.

    python tools/tally.py FILE.xml...

A test that is in several files (unit tests run in `make check` and in `make test`) counts once, with its worst outcome;
but a test that was skipped in one run and passed in another counts as passed. Before that line, each reason to skip is
printed with its tests, and each test that failed, with the first line of its error. The exit status is 0 if at least
one test passed and none failed, 1 if one failed, and 5 (as in pytest) if no test passed, or if a file is missing
because its run died.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

SKIPPED, PASSED, FAILED = range(3)


def outcome(case: ET.Element) -> int:
    """Return the outcome of one ``<testcase>``; an error of a fixture, before or after it, is a failure, too."""
    if case.find("failure") is not None or case.find("error") is not None:
        return FAILED
    return SKIPPED if case.find("skipped") is not None else PASSED


def reason(case: ET.Element) -> str:
    """Return why a test was skipped or failed; an empty string if it passed."""
    notes = [note for kind in ("failure", "error", "skipped") if (note := case.find(kind)) is not None]
    return notes[0].get("message", "") if notes else ""


def outcomes(paths: list[str]) -> dict[str, tuple[int, str]]:
    """Return the outcome of each test in the JUnit files at *paths*, by name, and the reason of a skip or a failure."""
    worst: dict[str, tuple[int, str]] = {}
    for path in paths:
        for case in ET.parse(path).iter("testcase"):  # noqa: S314  this project's pytest wrote the file
            name = f"{case.get('classname', '')}::{case.get('name', '')}"
            worst[name] = max(worst.get(name, (SKIPPED, "")), (outcome(case), reason(case)))
    return worst


def tally(paths: list[str]) -> Counter[int]:
    """Count the outcomes of the distinct tests in the JUnit files at *paths*."""
    return Counter(what for what, _ in outcomes(paths).values())


def skips(paths: list[str]) -> list[str]:
    """Return a line for each reason to skip, with the number and the names of its tests in the files at *paths*."""
    names: dict[str, list[str]] = {}
    for name, (what, why) in sorted(outcomes(paths).items()):
        if what == SKIPPED:
            names.setdefault(why, []).append(name)
    return [f"skipped, {len(tests)}: {why} ({', '.join(tests)})" for why, tests in sorted(names.items())]


def failures(paths: list[str]) -> list[str]:
    """Return a line of at most 300 characters for each failed test; of a long output CI shows the end."""
    failed = [(name, why) for name, (what, why) in sorted(outcomes(paths).items()) if what == FAILED]
    return [f"failed: {name}: {why.partition(chr(10))[0]}"[:300] for name, why in failed]


def main(paths: list[str]) -> int:
    """Print the reasons to skip, the failed tests and the counts, and return the exit status."""
    present = [path for path in paths if Path(path).is_file()]
    counts = tally(present)
    for path in sorted(set(paths) - set(present)):
        print(f"tally: {path} is missing: its run ended before it could report")
    for line in (*skips(present), *failures(present)):
        print(line)
    print(f"{counts[PASSED]} passed, {counts[FAILED]} failed, {counts[SKIPPED]} skipped")
    if counts[FAILED]:
        return 1
    return 0 if present == paths and counts[PASSED] else 5


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
