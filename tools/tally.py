"""Count tests: read the JUnit files that pytest wrote and print one line, ``N passed, N failed, N skipped``.

    python tools/tally.py FILE.xml...

A test that stands in several files (unit tests run in `make check` and in `make test`) counts once, by the worst that
happened to it, save that a skip in one run is mended by a pass in another. The status is 0 when some test ran and none
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


def tally(paths: list[str]) -> Counter[int]:
    """Count the outcomes of the distinct tests in the JUnit files at *paths*."""
    worst: dict[tuple[str, str], int] = {}
    for path in paths:
        for case in ET.parse(path).iter("testcase"):  # noqa: S314  the file is our own pytest's
            name = case.get("classname", ""), case.get("name", "")
            worst[name] = max(worst.get(name, SKIPPED), outcome(case))
    return Counter(worst.values())


def main(paths: list[str]) -> int:
    """Print the line that counts and return the exit status that it means."""
    present = [path for path in paths if Path(path).is_file()]
    counts = tally(present)
    for path in sorted(set(paths) - set(present)):
        print(f"tally: no {path}: that run ended before it could report")
    print(f"{counts[PASSED]} passed, {counts[FAILED]} failed, {counts[SKIPPED]} skipped")
    if counts[FAILED]:
        return 1
    return 0 if present == paths and counts[PASSED] else 5


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
