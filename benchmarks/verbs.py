"""Measure each verb of an OCI runtime, which an engine starts one after the other: tinybox-oci beside runc, in one run.

    sudo python -m benchmarks.verbs [-n ROUNDS] [--json]

A round is one life of a container under each runtime, in turns: create, state, start, exec, kill, delete. Time is the
wall clock of the command. CPU time is its user and system time, and that of the processes that it waited for: other
work on the machine changes it less. One more round comes first, to warm up.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import leavings, peers
from benchmarks.startup import PR_SET_CHILD_SUBREAPER

VERBS = ("create", "state", "start", "exec", "kill", "delete")
CONTAINER = "tinybox-bench"
Figures = dict[str, list[tuple[float, float]]]  # for each verb: wall clock and CPU time, both in ms


class Runtime:
    """One runtime: its command, its bundle, and the figures of each verb."""

    def __init__(self, name: str, program: str, folder: Path) -> None:
        self.name, self.pid_file = name, folder / f"{name}.pid"
        self.before = [program, "--root", str(folder / name)]
        self.bundle = str(folder)
        self.figures: Figures = {verb: [] for verb in VERBS}

    def words(self, verb: str) -> list[str]:
        """Return the command line of *verb*."""
        options = {"create": ["--bundle", self.bundle, "--pid-file", str(self.pid_file)]}
        last = {"exec": ["true"], "kill": ["KILL"]}
        return [*self.before, verb, *options.get(verb, ()), CONTAINER, *last.get(verb, ())]

    def live(self) -> None:
        """Let a container live once, and note what each verb took; peers.Unavailable: a verb failed."""
        try:
            for verb in VERBS:
                self.figures[verb].append(measured(self.words(verb)))
                if verb == "kill":
                    os.waitpid(int(self.pid_file.read_text()), 0)  # this process is its subreaper
        except BaseException:  # also SystemExit after SIGTERM
            peers.check(*self.before, "delete", "--force", CONTAINER)
            raise


def measured(words: list[str]) -> tuple[float, float]:
    """Run a command and return its wall clock and CPU time, in ms; see wait4(2)."""
    null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)]
    start = time.perf_counter_ns()
    pid = os.posix_spawn(words[0], words, os.environ, file_actions=null)
    _, status, used = os.wait4(pid, 0)
    took = (time.perf_counter_ns() - start) / 1e6
    if status:
        raise peers.Unavailable(f"{' '.join(words[3:5])}: exit status {os.waitstatus_to_exitcode(status)}")
    return took, (used.ru_utime + used.ru_stime) * 1e3


def prepare(folder: Path) -> list[Runtime]:
    """Make a bundle whose program waits for a signal, and return the runtimes; peers.Unavailable: one is missing."""
    peers.check(sys.executable, "-m", "compileall", "-q", "tinybox", cwd=Path(__file__).parents[1])
    peers.root_of_image(folder)
    path = peers.bundle(folder) / "config.json"
    config = json.loads(path.read_text())
    config["process"]["args"] = ["sleep", "1000"]
    path.write_text(json.dumps(config))
    ours = str(Path(sys.executable).with_name("tinybox-oci"))
    return [Runtime("tinybox-oci", ours, folder), Runtime("runc", peers.tool("runc"), folder)]


def figures(runtimes: list[Runtime]) -> list[dict[str, object]]:
    """Return one record for each verb: the medians of both runtimes, and their ratios."""
    records: list[dict[str, object]] = []
    for verb in VERBS:
        record: dict[str, object] = {"verb": verb}
        for number, kind in enumerate(("wall", "cpu")):
            medians = [statistics.median(row[number] for row in each.figures[verb]) for each in runtimes]
            record |= {f"{each.name}_{kind}_ms": round(ms, 1) for each, ms in zip(runtimes, medians, strict=True)}
            record[f"{kind}_ratio"] = round(medians[0] / medians[1], 2)
        records.append(record)
    return records


def show(records: list[dict[str, object]], rounds: int) -> None:
    """Print the table."""
    print(f"each verb of an OCI runtime: median of {rounds} interleaved lives, ms\n")
    print(f"{'':8}{'wall clock':>24}{'ratio':>8}{'CPU time':>24}{'ratio':>8}")
    print(f"{'':8}" + f"{'tinybox-oci':>14}{'runc':>10}{'':8}" * 2)
    for record in records:
        _, *cells = record.values()
        widths = (14, 10, 8) * 2
        line = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        print(f"{record['verb']:8}{line}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-n", "--rounds", type=int, default=20, help="how many lives of each (default 20)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("the runtimes need root")
    ctypes.PyDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    leavings.leave_nothing_if_ended()
    try:
        with tempfile.TemporaryDirectory(prefix="tinybox-bench-", dir="/var/tmp") as folder:
            runtimes = prepare(Path(folder))
            for each in [*runtimes, *runtimes * options.rounds]:
                each.live()
    except peers.FAILURES as reason:
        print(f"verbs.py: {peers.reason_of(reason)}", file=sys.stderr)
        return 1
    for each in runtimes:
        for taken in each.figures.values():
            del taken[:1]
    records = figures(runtimes)
    print(json.dumps(records, indent=2)) if options.json else show(records, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
