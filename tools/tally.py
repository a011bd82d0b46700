"""Count tests: read the JUnit files that pytest wrote and print one line, ``N passed, N failed, N skipped``.

    python tools/tally.py FILE.xml...

A test that stands in several files (unit tests run in `make check` and in `make test`) counts once, by the worst that
happened to it, save that a skip in one run is mended by a pass in another. Before that line stands each reason to skip,
with the tests that it kept from running. The status is 0 when some test ran and none
failed, 1 when one failed, and 5 (as pytest has it) when there was none, or when a file is missing: a run that died.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

SKIPPED, PASSED, FAILED = range(3)


def outcome(case: ET.Element) -> int:
    """Say what happened to one ``<testcase>``: an error of a fixture, before or after, is a failure, too."""
    if case.find("failure") is not None or case.find("error") is not None:
        return FAILED
    return SKIPPED if case.find("skipped") is not None else PASSED


def outcomes(paths: list[str]) -> dict[str, tuple[int, str]]:
    """Return by its name what happened to each test in the JUnit files at *paths*, and why it was skipped."""
    worst: dict[str, tuple[int, str]] = {}
    for path in paths:
        for case in ET.parse(path).iter("testcase"):  # noqa: S314  the file is our own pytest's
            name = f"{case.get('classname', '')}::{case.get('name', '')}"
            skipped = case.find("skipped")
            reason = "" if skipped is None else skipped.get("message", "")
            worst[name] = max(worst.get(name, (SKIPPED, "")), (outcome(case), reason))
    return worst


def tally(paths: list[str]) -> Counter[int]:
    """Count the outcomes of the distinct tests in the JUnit files at *paths*."""
    return Counter(what for what, _ in outcomes(paths).values())


def skips(paths: list[str]) -> list[str]:
    """Return a line for each reason to skip: how many tests of the JUnit files at *paths* it held back, and which."""
    names: dict[str, list[str]] = {}
    for name, (what, reason) in sorted(outcomes(paths).items()):
        if what == SKIPPED:
            names.setdefault(reason, []).append(name)
    return [f"skipped, {len(tests)}: {reason} ({', '.join(tests)})" for reason, tests in sorted(names.items())]


def main(paths: list[str]) -> int:
    """Print the line that counts and return the exit status that it means."""
    present = [path for path in paths if Path(path).is_file()]
    counts = tally(present)
    for path in sorted(set(paths) - set(present)):
        print(f"tally: no {path}: that run ended before it could report")
    print(*skips(present), sep="\n", end="\n" if counts[SKIPPED] else "")
    print(f"{counts[PASSED]} passed, {counts[FAILED]} failed, {counts[SKIPPED]} skipped")
    if counts[FAILED]:
        return 1
    return 0 if present == paths and counts[PASSED] else 5


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
