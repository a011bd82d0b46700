"""``make test-v2``: the kernel, OCI and cli tests on pure cgroup v2, a handful of files a machine, two at a time.

    python -m tests.vm.suite [--machines N] [--continue] STORE [FILE...]

STORE is an image store with alpine and busybox. The output of a machine goes to build/vm/machine-N.log, the results
of the tests of one file, as JUnit has them, to build/vm/FILE.xml; failures are shown, and the last line counts.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO
from xml.etree import ElementTree as ET

from tests.vm.kernel import MachineError
from tests.vm.machine import DIED, Ending, run
from tinybox.linux import process
from tools import tally

# The part that `make test` runs as well: behaviour that differs between versions 1 and 2.
CHOSEN = (
    "tests/kernel/run/test_cgroup.py",
    "tests/kernel/run/test_cgroup_limits.py",
    "tests/kernel/run/test_run_limits.py",
    "tests/kernel/rootless/test_rootless_groups.py",
    "tests/kernel/workshop/test_spare_groups.py",
)
FOLDERS = ("tests/kernel", "tests/oci", "tests/cli")
RESULTS = Path(__file__).parents[2] / "build/vm"
LIMIT = 7200.0  # seconds for one machine
SHARE = 6  # files a machine: starting one, and pytest in it, takes the better part of a minute
SLOWNESS = "10"
STORE = "/var/tmp/store"  # in the machine, on its disk
PREPARE = f"mkdir {STORE}; for part in images layers names; do cp -a {{host}}/$part {STORE}/; done; exec {{pytest}}"


def run_tests(store: Path, tests: list[str], output: IO[bytes], timeout: float = LIMIT) -> Ending:
    """Run pytest on *tests* in a machine, with a copy of *store*; it writes a JUnit report."""
    pytest = [sys.executable, "-m", "pytest", "-v", "-p", "pytest_timeout", "--junitxml=/run/machine/report", *tests]
    told = PREPARE.format(host=shlex.quote(f"/run/machine/host{store.resolve()}"), pytest=shlex.join(pytest))
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TMPDIR": "/var/tmp",
        "TINYBOX_TEST_STORE": STORE,
        "TINYBOX_PATIENCE": SLOWNESS,
        "PYTEST_TIMEOUT": str(600 * int(SLOWNESS)),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # each import takes twenty times as long
    }
    return run(["sh", "-c", told], output, timeout, environment)


def files() -> list[str]:
    """List the files with tests, the chosen ones first."""
    found = [str(path) for folder in FOLDERS for path in sorted(Path(folder).rglob("test_*.py"))]
    return [*CHOSEN, *(file for file in found if file not in CHOSEN)]


def report_of(file: str) -> Path:
    """Return the path of the report about the tests of *file*."""
    return RESULTS / f"{file.removesuffix('.py').replace('/', '.')}.xml"


def is_done(file: str) -> bool:
    """Tell whether an earlier run ran *file* without failures."""
    report = report_of(file)
    return report.exists() and not tally.tally([str(report)])[tally.FAILED]


def dealt(files: list[str], machines: int) -> list[list[str]]:
    """Distribute *files* like cards, at most SHARE to a machine: neighbours in a folder are often alike slow."""
    hands = max(min(machines, len(files)), -(-len(files) // SHARE))
    return [files[first::hands] for first in range(hands)]


def written(report: bytes, files: list[str]) -> None:
    """Write the part of a machine's *report* about each of *files*; a file with an import error is one case."""
    cases = defaultdict(list)
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314  our own pytest's
        cases[case.get("classname") or case.get("name")].append(case)
    for file in files:
        suite = ET.Element("testsuite")
        suite.extend(cases[report_of(file).stem])
        ET.ElementTree(suite).write(report_of(file))


def test_files(store: Path, number: int, files: list[str]) -> None:
    """Run the tests of *files* in machine *number*, and print the result in a line."""
    began, log = time.monotonic(), RESULTS / f"machine-{number}.log"
    for file in files:
        report_of(file).unlink(missing_ok=True)
    with log.open("wb") as output:
        try:
            ending = run_tests(store, files, output)
        except MachineError as error:
            ending = Ending(DIED, b"")
            output.write(f"\n{error}\n".encode())
    if ending.report:
        written(ending.report, files)
    last = log.read_text(errors="replace").rstrip().rpartition("\n")[2].strip("= ")
    print(f"machine {number}: {last} (status {ending.status}, {time.monotonic() - began:.0f} s)", *files, flush=True)
    if ending.status:
        print("".join(log.read_text(errors="replace").splitlines(keepends=True)[-200:]), flush=True)


def main() -> int:
    """Run the command line; the status is the tally's: 0 when all passed, 5 when a machine died."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--machines", type=int, default=os.cpu_count(), metavar="N", help="how many at a time")
    parser.add_argument("--continue", action="store_true", dest="going_on", help="leave out files that passed before")
    parser.add_argument("store", type=Path)
    parser.add_argument("files", nargs="*")
    words = parser.parse_intermixed_args()
    process.set_parent_death_signal(signal.SIGKILL)  # make's death ends this process, and its death ends the machines
    RESULTS.mkdir(parents=True, exist_ok=True)
    asked = words.files or files()
    left = [file for file in asked if not (words.going_on and is_done(file))]
    with ThreadPoolExecutor(words.machines) as pool:
        hands = enumerate(dealt(left, words.machines), 1)
        list(pool.map(lambda hand: test_files(words.store, *hand), hands))
    return tally.main([str(report_of(file)) for file in asked])


if __name__ == "__main__":
    sys.exit(main())
