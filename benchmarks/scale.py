"""Measure many containers at once: how fast they start, the memory of each, how fast they are listed, what each costs.

    sudo python benchmarks/scale.py [-n CONTAINERS] [--stopped CONTAINERS] [--counts 10,50,200] [--json] [--table FILE]

Memory is the proportional set size (PSS) of the processes that a detached container needs in addition to its program.
A private page counts whole; a page that ten processes share counts one tenth for each. See smaps_rollup in
proc_pid_smaps(5). A monitor of tinybox that waits has its memory in a file, so it is measured when it waits.
"""

from __future__ import annotations

import argparse
import json
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

from benchmarks import document, growth
from benchmarks.leavings import Leavings, leave_nothing_if_ended, unmount_below
from benchmarks.peers import (
    FAILURES,
    IMAGE,
    Unavailable,
    check,
    reason_of,
    root_of_image,
    tool,
)
from tests.support.stored_boxes import crowd, home_at
from tinybox.container.records.paths import Paths
from tinybox.isolation import namespaces
from tinybox.linux import process

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = ("sleep", "1000")
LISTINGS = 5
RESTS = 30.0
COLUMNS = {
    "containers": "containers",
    "starts_per_s": "starts/s",
    "monitor_mib": "monitor MiB",
    "init_mib": "init MiB",
    "both_mib": "PSS MiB",
}
Record = dict[str, object]


class Keepers:
    """The pids of one container's processes other than its program: its monitor outside, and its PID 1."""

    def __init__(self, monitor: int, init: int | None) -> None:
        self.monitor, self.init = monitor, init


def pss(pid: int) -> int:
    """Return the proportional set size of a process in bytes; see proc_pid_smaps(5)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise Unavailable("this kernel reports no PSS")


def await_rest(monitors: list[int]) -> None:
    """Wait until each monitor has moved its memory to a file without a name, for at most RESTS seconds."""
    until = time.monotonic() + RESTS
    while time.monotonic() < until:
        if all("(deleted)" in Path(f"/proc/{monitor}/maps").read_text() for monitor in monitors):
            return
        time.sleep(0.1)


def parent(pid: int) -> int:
    """Return the pid of a process's parent; see proc_pid_stat(5)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def start_all(count: int, start: Callable[[int], str]) -> tuple[list[str], float]:
    """Start *count* containers, as many at a time as there are CPUs; return their ids and the starts a second."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        ids = list(workers.map(start, range(count)))
    return ids, count / (time.perf_counter() - begin)


def figures(name: str, note: str, rate: float, keepers: list[Keepers]) -> Record:
    """Measure the memory of every container's keepers and return one row."""
    monitors = [pss(keeper.monitor) for keeper in keepers]
    inits = [pss(keeper.init) if keeper.init else 0 for keeper in keepers]
    record: Record = {"name": name, "note": note, "containers": len(keepers), "starts_per_s": round(rate, 1)}
    for key, values in (
        ("monitor", monitors),
        ("init", inits),
        ("both", [sum(p) for p in zip(monitors, inits, strict=True)]),
    ):
        record[f"{key}_mib"] = round(statistics.mean(values) / 2**20, 2)
    return record


def tinybox(count: int, stack: ExitStack) -> Record:
    """Start *count* detached containers, measure monitor and init of each, and remove them."""
    command = str(Path(sys.executable).with_name("tinybox"))
    check(sys.executable, "-m", "compileall", "-q", "tinybox", cwd=Path(__file__).parents[1])  # as pip would have done
    names = [f"bench-{os.getpid()}-{number}" for number in range(count)]

    def start(number: int) -> str:
        return check(command, "run", "-d", "--network", "none", "--name", names[number], IMAGE, *PROGRAM).strip()

    stack.callback(subprocess.run, [command, "rm", "-f", *names], capture_output=True, check=False)
    ids, rate = start_all(count, start)
    keepers = []
    for container in ids:
        first = json.loads(Path(Paths().run_directory(container), "state.json").read_text())["pid"]
        keepers.append(Keepers(parent(first), first))
    await_rest([keeper.monitor for keeper in keepers])
    return figures("tinybox run -d", "monitor + tinybox's init", rate, keepers)


def podman(count: int, stack: ExitStack) -> Record:
    """Do the same with podman; its store, its state and the other files that it leaves are removed at the end."""
    program = tool("podman")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinybox-bench-", dir="/var/tmp")))
    root_of_image(folder)
    stack.enter_context(Leavings())
    places = [f"--root={folder}/podman", f"--runroot={folder}/podman-run", f"--tmpdir={folder}/podman-tmp"]
    settings = ["--cgroup-manager=cgroupfs", "--runtime=runc", "--events-backend=none", "--log-level=error"]
    base = [program, *places, *settings]
    stack.callback(unmount_below, folder)
    check("tar", "-C", f"{folder}/rootfs", "-cf", f"{folder}/root.tar", ".")
    check(*base, "import", "--quiet", f"{folder}/root.tar", IMAGE)
    # podman would raise these limits, which needs CAP_SYS_RESOURCE; lower limits are always allowed.
    arguments = ["run", "-d", "--network=none", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]
    init, note = [], "conmon alone: no catatonit here"
    if any(os.path.exists(path) for path in ("/usr/libexec/podman/catatonit", "/usr/bin/catatonit")):
        init, note = ["--init"], "conmon + catatonit"
    stack.callback(subprocess.run, [*base, "rm", "--force", "--all", "--time=0"], capture_output=True, check=False)
    ids, rate = start_all(count, lambda _: check(*base, *arguments, *init, IMAGE, *PROGRAM).strip())
    keepers = []
    for line in check(*base, "inspect", "--format", "{{.State.ConmonPid}} {{.State.Pid}}", *ids).splitlines():
        monitor, first = map(int, line.split())
        keepers.append(Keepers(monitor, first if init else None))
    return figures("podman run -d", note, rate, keepers)


def listing(count: int) -> Record:
    """Measure `tinybox ps -a` for *count* stopped containers, whose records are written by tinybox's own functions."""
    command = str(Path(sys.executable).with_name("tinybox"))
    with tempfile.TemporaryDirectory(prefix="tinybox-bench-", dir="/var/tmp") as folder:
        crowd(home_at(Path(folder)), count)
        environment, times = {**os.environ, "TINYBOX_ROOT": folder}, []
        for _ in range(LISTINGS):
            begin = time.perf_counter()
            done = subprocess.run([command, "ps", "-a"], env=environment, capture_output=True, text=True, check=True)
            times.append((time.perf_counter() - begin) * 1000)
    return {
        "name": "tinybox ps -a",
        "containers": done.stdout.count("\n") - 1,
        "median_ms": round(statistics.median(times)),
    }


def measured(name: str, measure: Callable[[int, ExitStack], Record], count: int) -> Record:
    """Measure one peer; if it fails, or leaves something behind, its note says so, and the figures stay."""
    record: Record = {"name": name, "note": ""}
    try:
        with ExitStack() as stack:
            record = measure(count, stack)
    except FAILURES as failure:
        record["note"] = f"{record['note']}; {reason_of(failure)}".removeprefix("; ")
    return record


def show_titles() -> None:
    """Print the titles of the table."""
    print(f"{'':16}" + "".join(f"{title:>13}" for title in COLUMNS.values()) + "   note")


def show(row: Record) -> None:
    """Print one row of the table at once: what fails later does not lose it."""
    cells = "".join(f"{row.get(column, '-'):>13}" for column in COLUMNS)
    print(f"{row['name']:16}{cells}   {row['note']}", flush=True)


def numbers(text: str) -> list[int]:
    """Return the numbers of ``10,50,200``."""
    return [int(word) for word in text.split(",") if word]


def tabulate(path: str, facts: Record, rows: list[Record], grown: list[Record], listed: str) -> None:
    """Write both tables into the document *path*, at its parts `scale` and `growth`."""
    cells = [[f"`{row['name']}`", *(row.get(column, document.EMPTY) for column in COLUMNS), row["note"]]
             for row in rows]  # fmt: skip
    table = document.table(["detached containers", *COLUMNS.values(), "note"], cells)
    document.fill(path, "scale", f"{document.sentence(facts)} {listed}.\n\n{table}")
    if grown:
        more = "Milliseconds a box; those of ps are for the whole list."
        document.fill(path, "growth", f"{document.sentence(facts, more)}\n\n{growth.markdown(grown)}")


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-n", "--containers", type=numbers, default=[50], help="how many at once (default 50)")
    parser.add_argument("--stopped", type=int, default=1000, help="how many to list (default 1000)")
    parser.add_argument("--counts", type=numbers, default=growth.COUNTS, help="how many for the costs (10,50,200)")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="measure podman, too")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--table", metavar="FILE", help="write the tables into this document: `scale` and `growth`")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("containers need root: sudo make scale")
    return options


def main() -> int:
    """Measure and print."""
    options, facts = arguments(), document.host()
    leave_nothing_if_ended()
    process.unshare(process.CLONE_NEWNET)  # bridges and rules that peers leave behind end with this network namespace
    namespaces.loopback_up()
    silent: Callable[[Record], object] = lambda _: None  # noqa: E731
    if not options.json:
        print(document.sentence(facts), end="\n\n")
        show_titles()
    rows = []
    for name, measure in (("tinybox run -d", tinybox), ("podman run -d", podman))[: 2 if options.peers else 1]:
        for count in options.containers:
            rows.append(measured(name, measure, count))
            (silent if options.json else show)(rows[-1])
    listing_row = listing(options.stopped)
    title = f"{listing_row['name']} over {listing_row['containers']} stopped containers"
    listed = f"{title}: {listing_row['median_ms']} ms (median of {LISTINGS})"
    if not options.json:
        print(f"\n{listed}\n", flush=True)
        growth.show_titles()
    grown = growth.measure(options.counts, options.peers, tell=silent if options.json else growth.show)
    if options.json:
        found = {"host": facts, "rows": rows, "listing": listing_row, "growth": grown}
        print(json.dumps(found, indent=2))
    if options.table:
        tabulate(options.table, facts, rows, grown, listed)
    return 0 if "both_mib" in rows[0] else 1


if __name__ == "__main__":
    sys.exit(main())
