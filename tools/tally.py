"""Count tests: read the JUnit files that pytest wrote and print one line, ``N passed, N failed, N skipped``.

    python tools/tally.py FILE.xml...

A test that is in several files (unit tests run in `make check` and in `make test`) counts once, with its worst outcome;
but a test that was skipped in one run and passed in another counts as passed. Before that line, each reason to skip is
printed with its tests. The exit status is 0 if at least one test passed and none failed, 1 if one failed, and 5 (as in
pytest) if no test passed, or if a file is missing because its run died.
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


def outcomes(paths: list[str]) -> dict[str, tuple[int, str]]:
    """Return the outcome of each test in the JUnit files at *paths*, by name, and the reason of a skip."""
    worst: dict[str, tuple[int, str]] = {}
    for path in paths:
        for case in ET.parse(path).iter("testcase"):  # noqa: S314  this project's pytest wrote the file
            name = f"{case.get('classname', '')}::{case.get('name', '')}"
            skipped = case.find("skipped")
            reason = "" if skipped is None else skipped.get("message", "")
            worst[name] = max(worst.get(name, (SKIPPED, "")), (outcome(case), reason))
    return worst


def tally(paths: list[str]) -> Counter[int]:
    """Count the outcomes of the distinct tests in the JUnit files at *paths*."""
    return Counter(what for what, _ in outcomes(paths).values())


def skips(paths: list[str]) -> list[str]:
    """Return a line for each reason to skip, with the number and the names of its tests in the files at *paths*."""
    names: dict[str, list[str]] = {}
    for name, (what, reason) in sorted(outcomes(paths).items()):
        if what == SKIPPED:
            names.setdefault(reason, []).append(name)
    return [f"skipped, {len(tests)}: {reason} ({', '.join(tests)})" for reason, tests in sorted(names.items())]


def main(paths: list[str]) -> int:
    """Print the reasons to skip and the counts, and return the exit status."""
    present = [path for path in paths if Path(path).is_file()]
    counts = tally(present)
    for path in sorted(set(paths) - set(present)):
        print(f"tally: {path} is missing: its run ended before it could report")
    print(*skips(present), sep="\n", end="\n" if counts[SKIPPED] else "")
    print(f"{counts[PASSED]} passed, {counts[FAILED]} failed, {counts[SKIPPED]} skipped")
    if counts[FAILED]:
        return 1
    return 0 if present == paths and counts[PASSED] else 5


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
