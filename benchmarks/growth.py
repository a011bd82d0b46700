"""Measure what a box costs beside others: start, ps, network connect, stop, rm and compose up for growing numbers.

A cost that grows linearly with the number of boxes is the same for each box, whether there are ten or two hundred. So
the figures are milliseconds a box; those of ps are milliseconds for the whole list. benchmarks/scale.py runs this.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import document
from benchmarks.peers import FAILURES, IMAGE, check, podman_run, reason_of, root_of_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TINYBOX = str(Path(sys.executable).with_name("tinybox"))
PROGRAM = ("sleep", "1000")
COUNTS = (10, 50, 200)
SERVICES = 10  # of a compose file; each has the same number of replicas
LISTS = 3  # a list is taken so many times, and the median counts
COLUMNS = {
    "start": "run -d",
    "ps": "ps (all)",
    "connect": "network connect",
    "stop": "stop",
    "ps_a": "ps -a (all)",
    "rm": "rm",
    "up": "compose up",
    "down": "compose down",
}
Record = dict[str, object]


class Engine:
    """A command line with docker's words: *base* begins each command, *options* are those of its run."""

    def __init__(self, name: str, base: Sequence[str], options: Sequence[str], *, compose: bool) -> None:
        self.name, self.base, self.options, self.compose = name, list(base), list(options), compose

    def do(self, *words: str) -> float:
        """Run one command; return how long it took, in milliseconds."""
        begin = time.perf_counter()
        check(*self.base, *words)
        return (time.perf_counter() - begin) * 1000

    def each(self, names: Sequence[str], *words: str, after: Sequence[str] = ()) -> float:
        """Run a command for each of *names*, as many at a time as there are CPUs; return the milliseconds for each."""
        begin = time.perf_counter()
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            list(workers.map(lambda name: self.do(*words, name, *after), names))
        return (time.perf_counter() - begin) * 1000 / len(names)

    def all_at_once(self, names: Sequence[str], *words: str) -> float:
        """Run one command for all *names*; return the milliseconds for each."""
        return self.do(*words, *names) / len(names)

    def listed(self, *words: str) -> float:
        """Return the median of the milliseconds of a list."""
        return statistics.median(self.do(*words) for _ in range(LISTS))


def tinybox(folder: Path, stack: ExitStack) -> Engine:
    """Return the installed command."""
    check(sys.executable, "-m", "compileall", "-q", "tinybox", cwd=Path(__file__).parents[1])  # as pip would have done
    return Engine("tinybox", [TINYBOX], ["--network", "bridge"], compose=True)


def podman(folder: Path, stack: ExitStack) -> Engine:
    """Return podman, with a store of its own."""
    root_of_image(folder)
    words = podman_run(folder, stack)
    at = words.index("run")
    everything = [*words[:at], "rm", "--force", "--all", "--time=0"]  # also a container whose `podman run` was ended
    stack.callback(subprocess.run, everything, capture_output=True, check=False)
    return Engine("podman", words[:at], [*words[at + 2 :], "--network=podman"], compose=False)


def life(engine: Engine, count: int, record: Record, stack: ExitStack) -> None:
    """Start *count* boxes on a bridge, list and connect them, stop, list and remove them; note each cost."""
    mark = f"bench-{os.getpid()}"
    names, network = [f"{mark}-{number}" for number in range(count)], f"{mark}-net"
    stack.callback(subprocess.run, [*engine.base, "network", "rm", network], capture_output=True, check=False)
    stack.callback(subprocess.run, [*engine.base, "rm", "-f", *names], capture_output=True, check=False)
    record["start"] = engine.each(names, "run", "-d", *engine.options, "--name", after=(IMAGE, *PROGRAM))
    record["ps"] = engine.listed("ps")
    engine.do("network", "create", network)
    record["connect"] = engine.each(names, "network", "connect", network)
    record["stop"] = engine.all_at_once(names, "stop", "--time", "0")
    record["ps_a"] = engine.listed("ps", "-a")
    record["rm"] = engine.all_at_once(names, "rm")


def project(engine: Engine, count: int, record: Record, stack: ExitStack) -> None:
    """Bring a compose project of *count* boxes up and down."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinybox-bench-", dir="/var/tmp")))
    service = f"image: {IMAGE}, command: {' '.join(PROGRAM)}, scale: {count // SERVICES}, stop_signal: KILL"
    lines = ["services:", *(f"  service{number}: {{{service}}}" for number in range(SERVICES))]
    (folder / "compose.yaml").write_text("\n".join([f"name: bench-{os.getpid()}", *lines, ""]))
    words = ("compose", "-f", str(folder / "compose.yaml"))
    stack.callback(subprocess.run, [*engine.base, *words, "down"], capture_output=True, check=False)
    record["up"] = engine.do(*words, "up", "-d") / count
    record["down"] = engine.do(*words, "down") / count


def costs(engine: Engine, count: int) -> Record:
    """Return the row of one engine for *count* boxes: what fails is in its note, and the figures before it stay."""
    record: Record = {"name": engine.name, "boxes": count, "note": ""}
    for act in (life, project) if engine.compose else (life,):
        try:
            with ExitStack() as stack:
                act(engine, count, record, stack)
        except FAILURES as failure:
            record["note"] = f"{record['note']}; {reason_of(failure)}".removeprefix("; ")
    return record


def cell(record: Record, column: str) -> str:
    """Return a figure as text."""
    found = record.get(column)
    return f"{found:.1f}" if isinstance(found, float) else document.EMPTY


def show(record: Record) -> None:
    """Print one row at once."""
    cells = "".join(f"{cell(record, column):>{len(title) + 3}}" for column, title in COLUMNS.items())
    print(f"{record['name']:10}{record['boxes']:>6}{cells}   {record['note']}", flush=True)


def measure(counts: Sequence[int], peers: bool, *, tell: Callable[[Record], object] = show) -> list[Record]:
    """Measure each engine for each of *counts*, and *tell* each row as it comes."""
    rows: list[Record] = []
    for prepare in (tinybox, podman) if peers else (tinybox,):
        name = prepare.__name__
        try:
            with tempfile.TemporaryDirectory(prefix="tinybox-bench-", dir="/var/tmp") as folder, ExitStack() as stack:
                engine = prepare(Path(folder), stack)
                for count in counts:
                    rows.append(costs(engine, count))
                    tell(rows[-1])
        except FAILURES as failure:
            rows.append({"name": name, "boxes": "", "note": reason_of(failure)})
            tell(rows[-1])
    return rows


def show_titles() -> None:
    """Print the titles of the table."""
    print("milliseconds a box; those of ps are for the whole list")
    print(f"{'':10}{'boxes':>6}" + "".join(f"   {title}" for title in COLUMNS.values()) + "   note")


def markdown(rows: Sequence[Record]) -> str:
    """Return the rows as a table in Markdown."""
    cells = [[row["name"], row["boxes"], *(cell(row, column) for column in COLUMNS), row["note"]] for row in rows]
    return document.table(["", "boxes", *COLUMNS.values(), "note"], cells)
