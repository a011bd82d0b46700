"""Measure the time and the memory to run `true` in a box: tinybox and its peers, in one run.

    sudo python benchmarks/startup.py [-n ROUNDS] [--json] [--table FILE.md] [--plot FILE.svg]

Time is the wall clock from start to end. The peers take turns, with one run each in a round, so that noise affects all
of them alike. One more round comes first, to warm up. Memory is the ru_maxrss of wait4(2): the largest resident set of
any one process of the run, with its shared pages, not the sum of all. It is measured in separate runs.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shlex
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import document, engines, leavings, peers, rootless
from benchmarks.peers import FAILURES, Command, Interpreter, Unavailable, reason_of
from tinybox.isolation import namespaces
from tinybox.linux import process
from tinybox.pictures.series import Bars

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_CHILD_SUBREAPER = 36
COLUMNS = {
    "median_ms": "median ms",
    "best_ms": "best ms",
    "time_ratio": "to runc",
    "peak_mib": "peak MiB",
    "memory_ratio": "to runc",
}
OWN, OTHER = 0, 5  # the looks of bars
REFERENCE = "runc run"
MEMORY_RUNS = 3
PEERS: dict[str, Callable[[Path, ExitStack], Command | Interpreter]] = {
    "tinybox run": peers.tinybox,
    "tinybox.run()": peers.api,
    "tinybox-oci run": peers.tinybox_oci,
    "runc run": peers.runc,
    "crun run": peers.crun,
    "bwrap": peers.bwrap,
    "podman run": peers.podman,
    "docker, tinybox": engines.docker_tinybox,
    "docker, runc": engines.docker_runc,
    "tinybox bridge": peers.tinybox_bridge,
    "podman bridge": peers.podman_bridge,
    "tinybox rootless": rootless.tinybox,
    "podman rootless": rootless.podman,
    "python -c pass": peers.interpreter_alone,
}


class Row:
    """One peer and its measurements."""

    def __init__(self, name: str, peer: Command | Interpreter | None, note: str) -> None:
        self.name, self.peer, self.note = name, peer, note
        self.times: list[float] = []
        self.memory: list[float] = []

    def measure(self) -> None:
        """Run the peer once more; if it fails, drop it, and note the reason."""
        try:
            if isinstance(self.peer, Interpreter):
                self.times.append(self.peer.milliseconds())
            elif self.peer:
                self.times.append(milliseconds(self.peer.arguments))
        except FAILURES as reason:
            self.peer, self.note, self.times = None, reason_of(reason), []

    def weigh(self) -> None:
        """Measure the memory of MEMORY_RUNS runs."""
        if self.peer:
            text = "run\n" * 5 if isinstance(self.peer, Interpreter) else ""
            self.memory = [mebibytes(self.peer.arguments, text) for _ in range(MEMORY_RUNS)]


def milliseconds(arguments: list[str]) -> float:
    """Start a program, wait for it, and return how long that took, in milliseconds."""
    null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)]
    start = time.perf_counter_ns()
    pid = os.posix_spawn(arguments[0], arguments, os.environ, file_actions=null)
    _, status = os.waitpid(pid, 0)
    end = time.perf_counter_ns()
    if status:
        raise Unavailable(f"it failed: exit status {os.waitstatus_to_exitcode(status)}")
    return (end - start) / 1e6


def mebibytes(arguments: list[str], text: str = "") -> float:
    """Return the largest resident set among the processes of one run, in MiB; see getrusage(2).

    The figure of a process never falls, not even by execve(2), so a child of this process would begin with the size of
    Python. So a shell starts the program and ends at once. This process is the subreaper and becomes the program's
    parent; the figure of the program began with that of the shell.
    """
    with tempfile.TemporaryFile() as file:
        file.write(text.encode())
        file.seek(0)
        command = f"exec 3<&0; {shlex.join(arguments)} <&3 >/dev/null &"
        inputs = [(os.POSIX_SPAWN_DUP2, file.fileno(), 0)]
        shell = os.posix_spawn("/bin/sh", ["sh", "-c", command], os.environ, file_actions=inputs, setpgroup=0)
    peak = 0
    while True:
        try:
            pid, _, usage = os.wait4(-shell, 0)  # a process that stayed in the shell's process group
        except ChildProcessError:
            return peak / 1024
        if pid != shell:
            peak = max(peak, usage.ru_maxrss)


def prepare(folder: Path, stack: ExitStack) -> list[Row]:
    """Prepare every peer that is available here; each of the others gets a row with the reason."""
    peers.root_of_image(folder)
    rows = []
    for name, build in PEERS.items():
        try:
            peer = build(folder, stack)
            rows.append(Row(name, peer, peer.note))
        except FAILURES as reason:
            rows.append(Row(name, None, reason_of(reason)))
    return rows


def measure(rows: list[Row], rounds: int) -> None:
    """Run all peers in turns to measure the time, then each one alone to measure the memory."""
    for _ in range(rounds + 1):
        for row in rows:
            row.measure()
    for row in rows:
        del row.times[:1]
        if isinstance(row.peer, Interpreter):
            row.peer.close()
    for row in rows:
        row.weigh()


def reap() -> None:
    """Wait, one second at most, for processes that the runtimes orphaned (podman's conmon): this is their subreaper."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return


def figures(rows: list[Row]) -> list[dict[str, object]]:
    """Return one record for each peer, with ratios to runc if runc was measured."""
    reference = next((row for row in rows if row.name == REFERENCE and row.times), None)
    records: list[dict[str, object]] = []
    for row in rows:
        record: dict[str, object] = {"name": row.name, "note": row.note}
        if row.times and row.memory:
            median, memory = statistics.median(row.times), statistics.median(row.memory)
            record |= {"median_ms": round(median, 2), "best_ms": round(min(row.times), 2), "peak_mib": round(memory, 1)}
            if reference:
                record["time_ratio"] = round(median / statistics.median(reference.times), 2)
                record["memory_ratio"] = round(memory / statistics.median(reference.memory), 2)
        records.append(record)
    return records


def show(records: list[dict[str, object]], host: dict[str, object]) -> None:
    """Print the table."""
    print(f"start, run `true` in busybox, end: median of {host['rounds']} interleaved rounds")
    print(", ".join(f"{key} {value}" for key, value in host.items() if key != "rounds"))
    print(f"\n{'':16}" + "".join(f"{title:>11}" for title in COLUMNS.values()) + "   note")
    for record in records:
        cells = "".join(f"{record.get(column, '-'):>11}" for column in COLUMNS)
        print(f"{record['name']:16}{cells}   {record['note']}")


def tabulate(records: list[dict[str, object]], host: dict[str, object], path: str) -> None:
    """Write the table into the document *path*."""
    rows = [[f"`{row['name']}`", *(row.get(column, document.EMPTY) for column in COLUMNS), row["note"]]
            for row in records]  # fmt: skip
    said = document.sentence(host, f"Median of {host['rounds']} rounds, in which all take turns.")
    table = document.table(["start, run `true` in busybox, end", *COLUMNS.values(), "note"], rows)
    document.fill(path, "startup", f"{said}\n\n{table}")


def picture(records: list[dict[str, object]], host: dict[str, object]) -> Bars:
    """Return the medians as bars; those of tinybox have a look of their own."""
    measured = [(str(row["name"]), float(str(row["median_ms"]))) for row in records if "median_ms" in row]
    looks = tuple(OWN if "tinybox" in name else OTHER for name, _ in measured)
    title = "How long a box takes: start, run true in busybox, end"
    return Bars(title, document.sentence(host), "benchmarks/startup.py", "milliseconds, median", measured, looks=looks)


def main() -> int:
    """Measure and print; return 1 if tinybox itself could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-n", "--rounds", type=int, default=20, help="how many runs of each (default 20)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--table", metavar="FILE", help="write the table into this document, at its part `startup`")
    parser.add_argument("--plot", metavar="FILE", help="draw the medians as bars: an SVG file")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("the runtimes need root: sudo make bench")
    leavings.leave_nothing_if_ended()
    ctypes.PyDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process.unshare(process.CLONE_NEWNET)  # bridges and rules that peers leave behind end with this network namespace
    namespaces.loopback_up()
    host = document.host() | {"rounds": options.rounds}
    try:
        with tempfile.TemporaryDirectory(prefix="tinybox-bench-", dir="/var/tmp") as folder, ExitStack() as stack:
            try:
                rows = prepare(Path(folder), stack)
            except Unavailable as reason:
                parser.error(str(reason))
            measure(rows, options.rounds)
            records = figures(rows)
            print(json.dumps({"host": host, "rows": records}, indent=2)) if options.json else show(records, host)
            if options.table:
                tabulate(records, host, options.table)
            if options.plot:
                document.draw(options.plot, picture(records, host))
    except FAILURES as reason:  # of a peer's end: the figures are printed already
        print(f"startup.py: a peer left something behind: {reason_of(reason)}", file=sys.stderr)
        return 1
    reap()
    return 0 if "median_ms" in records[0] else 1


if __name__ == "__main__":
    sys.exit(main())
