"""``make test-v2``: the kernel and cli tests on pure cgroup v2, each file in a machine of its own, two at a time.

    python -m tests.vm.suite [--machines N] [--continue] STORE [FILE...]

STORE is an image store with alpine and busybox. Files that have much to do with control groups come first. What a
machine says goes to build/vm/NAME.log, its JUnit report to build/vm/NAME.xml; what failed is shown, and the last line
counts.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from tests.vm.kernel import MachineError
from tests.vm.machine import DIED, Ending, run
from tinybox.linux import process
from tools import tally

# The part that `make test` runs as well: what version 2 does otherwise than version 1.
CHOSEN = ("tests/kernel/test_cgroup.py", "tests/kernel/test_cgroup_limits.py", "tests/kernel/test_run_limits.py")
FOLDERS = ("tests/kernel", "tests/oci", "tests/cli")
RESULTS = Path(__file__).parents[2] / "build/vm"
LIMIT = 3600.0  # seconds for one machine
SLOWNESS = "10"
STORE = "/var/tmp/store"  # in the machine, on its disk
PREPARE = f"mkdir {STORE}; for part in images layers names; do cp -a {{host}}/$part {STORE}/; done; exec {{pytest}}"


def run_tests(store: Path, tests: list[str], output: IO[bytes], timeout: float = LIMIT) -> Ending:
    """Run pytest on *tests* in a machine, with a copy of *store*; its report is JUnit's."""
    pytest = [sys.executable, "-m", "pytest", "-v", "--junitxml=/run/machine/report", *tests]
    told = PREPARE.format(host=shlex.quote(f"/run/machine/host{store.resolve()}"), pytest=shlex.join(pytest))
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TMPDIR": "/var/tmp",
        "TINYBOX_TEST_STORE": STORE,
        "TINYBOX_PATIENCE": SLOWNESS,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # each import takes twenty times as long
    }
    return run(["sh", "-c", told], output, timeout, environment)


def files() -> list[str]:
    """List the files with tests, the chosen ones first."""
    found = [str(path) for folder in FOLDERS for path in sorted(Path(folder).glob("test_*.py"))]
    return [*CHOSEN, *(file for file in found if file not in CHOSEN)]


def name_of(file: str) -> str:
    """Return the name under which log and report of *file* lie."""
    return file.removesuffix(".py").replace("/", ".")


def report_of(store: Path, file: str, going_on: bool) -> Path:
    """Return where the report on *file* lies, of an earlier run if we are *going_on* from one and there all passed."""
    report = RESULTS / f"{name_of(file)}.xml"
    if going_on and report.exists() and not tally.tally([str(report)])[tally.FAILED]:
        return report
    return test_file(store, file)


def test_file(store: Path, file: str) -> Path:
    """Run the tests of *file*, print how that went in a line, and return where the report lies."""
    began, name = time.monotonic(), name_of(file)
    report, log = RESULTS / f"{name}.xml", RESULTS / f"{name}.log"
    report.unlink(missing_ok=True)
    with log.open("wb") as output:
        try:
            ending = run_tests(store, [file], output)
        except MachineError as error:
            ending = Ending(DIED, b"")
            output.write(f"\n{error}\n".encode())
    if ending.report:
        report.write_bytes(ending.report)
    last = log.read_text(errors="replace").rstrip().rpartition("\n")[2].strip("= ")
    print(f"{file}: {last} (status {ending.status}, {time.monotonic() - began:.0f} s)", flush=True)
    if ending.status:
        print("".join(log.read_text(errors="replace").splitlines(keepends=True)[-200:]), flush=True)
    return report


def main() -> int:
    """Run the command line; the status is the tally's: 0 when all passed, 5 when a machine died."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--machines", type=int, default=os.cpu_count(), metavar="N", help="how many at a time")
    parser.add_argument("--continue", action="store_true", dest="going_on", help="leave out files that passed before")
    parser.add_argument("store", type=Path)
    parser.add_argument("files", nargs="*")
    words = parser.parse_intermixed_args()
    process.set_parent_death_signal(signal.SIGKILL)  # make's end is ours, and ours is the machines'
    RESULTS.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(words.machines) as pool:
        asked = [(words.store, file, words.going_on) for file in words.files or files()]
        reports = list(pool.map(lambda each: str(report_of(*each)), asked))
    return tally.main(reports)


if __name__ == "__main__":
    sys.exit(main())
