"""Run the whole test suite as two runs of pytest at the same time: `make test`.

    python -m tests.halves [ARGUMENTS of pytest]

Most tests wait for boxes, and a machine has two processors or more: so two halves take little more than half the time.
The second half has mount, pid and IPC namespaces and control groups of its own, and each run of pytest has a network of
its own (tests/support/own_network.py): so no half sees the processes, mounts, groups or links of the other.

With a selection of tests, on one processor, or without root, it is one run, as `python -m pytest`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

TESTS = Path(__file__).parent
PROJECT = TESTS.parent
SECOND = ("attacks", "hostile", "oci", "registry",
          *(f"kernel/{name}" for name in ("bundle", "life", "rootless", "run", "security", "workshop")))  # fmt: skip
LAST = ("services",)  # their boxes live until the end of the run, where other tests would see them
JUNIT = "--junitxml="
# /run is new: podman, runc and tinybox keep there what runs. `--kill-child` ends all that is left of this half.
APART = ("unshare", "--mount", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private",
         "sh", "-ec", 'mount -t tmpfs -o mode=755 tmpfs /run; mkdir /run/lock /run/netns; exec "$@"', "sh")  # fmt: skip


def halves() -> tuple[list[str], list[str]]:
    """Return the directories of both halves, as arguments of pytest: each directory with tests is in one of them."""
    found = {path.parent.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    tops = sorted({"/".join(name.split("/")[: 2 if name.startswith("kernel/") else 1]) for name in found})
    first = [name for name in tops if name not in (*SECOND, *LAST)]
    return [f"tests/{name}" for name in (*first, *LAST)], [f"tests/{name}" for name in SECOND]


def start(name: str, folders: list[str], report: str, apart: bool, out: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Start one half, whose control groups have *name* in theirs, and which writes its results to *report*."""
    words = [sys.executable, "-m", "pytest", JUNIT + report, *folders]
    env = os.environ | {"TINYBOX_CGROUP_PARENT": f"tinybox-{name}"} if apart else None
    return subprocess.Popen([*APART, *words] if apart else words, cwd=PROJECT, env=env, stdout=out, stderr=out)


def main(arguments: list[str]) -> int:
    """Run both halves, print the output of the second after that of the first, and count; return the exit status."""
    reports = [each.removeprefix(JUNIT) for each in arguments if each.startswith(JUNIT)]
    if len(arguments) > len(reports) or os.geteuid() != 0 or (os.cpu_count() or 1) < 2:
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=PROJECT, check=False).returncode
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/second.log", "w+b") as log:
        path = Path(reports[0] if reports else f"{folder}/test.xml")
        both = [str(path), str(path.with_name(f"{path.stem}-2.xml"))]
        first, second = halves()
        apart = start("second", second, both[1], apart=True, out=log)
        here = start("first", first, both[0], apart=False, out=None)
        try:
            statuses = [here.wait(), apart.wait()]
        finally:
            apart.kill()
        log.seek(0)
        sys.stdout.write(log.read().decode(errors="replace"))
        sys.stdout.flush()
        counted = subprocess.run([sys.executable, "tools/tally.py", *both], cwd=PROJECT, check=False)
    return max(*statuses, counted.returncode)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
