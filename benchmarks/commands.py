"""Measure the short commands: ps, logs, inspect, exec and --help, compared with what each one's limit is stated in.

    sudo python benchmarks/commands.py [-n ROUNDS] [--stopped CONTAINERS] [--table FILE.md]

The commands take turns, as in startup.py. The stopped containers of `ps -a` have the records that real ones have: the
same functions write them. exec, logs and inspect look at one running container; runc's and podman's run the same
program from the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import document, leavings, peers
from benchmarks.peers import FAILURES, IMAGE, check, reason_of, tool
from benchmarks.startup import milliseconds
from tests.support.stored_boxes import crowd, home_at

if TYPE_CHECKING:
    from collections.abc import Callable

TINYBOX = str(Path(sys.executable).with_name("tinybox"))
PROGRAM = ("sleep", "1000")
TIMES, MORE = "times", "ms more than"


class Row:
    """One command: its words, and the row that it is compared with, as a ratio (TIMES) or a difference (MORE)."""

    def __init__(self, name: str, *words: str, compared: str = "", how: str = TIMES) -> None:
        self.name, self.words, self.compared, self.how = name, list(words), compared, how
        self.times: list[float] = []
        self.failure = ""

    def measure(self) -> None:
        """Run the command once more; if it fails, note the reason, and leave it out from now on."""
        if self.failure:
            return
        try:
            self.times.append(milliseconds(self.words))
        except FAILURES as failure:
            self.failure, self.times = reason_of(failure), []


def alone(folder: Path, stack: ExitStack, stopped: int) -> list[Row]:
    """Return the commands that need no container that runs: the interpreter, --help, ps over an empty and a full store.

    The first command of a store makes its directories, so both stores are there before.
    """
    empty, full = folder / "empty", folder / "full"
    home_at(empty)
    crowd(home_at(full), stopped)
    return [
        Row("python -c pass", sys.executable, "-c", "pass"),
        Row("tinybox --help", TINYBOX, "--help", compared="python -c pass", how=MORE),
        Row("tinybox run --help", TINYBOX, "run", "--help", compared="python -c pass", how=MORE),
        Row("tinybox ps --help", TINYBOX, "ps", "--help", compared="python -c pass", how=MORE),
        Row("tinybox exec --help", TINYBOX, "exec", "--help", compared="python -c pass", how=MORE),
        Row("tinybox ps, no container", TINYBOX, "--root", str(empty), "ps"),
        Row(f"tinybox ps, {stopped} stopped", TINYBOX, "--root", str(full), "ps", compared="tinybox ps, no container"),
        Row(f"tinybox ps -a, {stopped} stopped", TINYBOX, "--root", str(full), "ps", "-a",
            compared="tinybox ps, no container"),
    ]  # fmt: skip


def inside(folder: Path, stack: ExitStack, stopped: int) -> list[Row]:
    """Return the commands of tinybox on a running container."""
    name = f"bench-{os.getpid()}"
    check(TINYBOX, "run", "-d", "--network", "none", "--name", name, IMAGE, *PROGRAM)
    stack.callback(check, TINYBOX, "rm", "-f", name)
    return [
        Row("tinybox exec", TINYBOX, "exec", name, "true", compared="runc exec"),
        Row("tinybox logs", TINYBOX, "logs", name, compared="podman logs"),
        Row("tinybox inspect", TINYBOX, "inspect", name, compared="podman inspect"),
    ]


def runc(folder: Path, stack: ExitStack, stopped: int) -> list[Row]:
    """Return runc's exec in a container that runs the same program, which dies with this benchmark."""
    root, place = ["--root", f"{folder}/runc"], folder / "sleeping"
    config = json.loads((peers.bundle(folder) / "config.json").read_text())
    config["process"]["args"], config["root"]["path"] = list(PROGRAM), f"{folder}/rootfs"
    place.mkdir()
    (place / "config.json").write_text(json.dumps(config))
    name, quiet = f"bench-{os.getpid()}", 'exec "$@" </dev/null >/dev/null 2>&1'  # it would keep our pipes open
    check("sh", "-c", quiet, "sh", tool("runc"), *root, "run", "--detach", "--bundle", str(place), name)
    stack.callback(check, tool("runc"), *root, "delete", "--force", name)
    return [Row("runc exec", tool("runc"), *root, "exec", name, "true")]


def podman(folder: Path, stack: ExitStack, stopped: int) -> list[Row]:
    """Return podman's commands on a container that runs the same program."""
    words = peers.podman_run(folder, stack)
    at = words.index("run")
    base, options, name = words[:at], words[at + 2 :], f"bench-{os.getpid()}"
    check(*base, "run", "-d", "--network=none", *options, "--name", name, IMAGE, *PROGRAM)
    stack.callback(check, *base, "rm", "--force", "--time=0", name)
    return [
        Row("podman exec", *base, "exec", name, "true", compared="runc exec"),
        Row("podman logs", *base, "logs", name),
        Row("podman inspect", *base, "inspect", name),
        Row("podman ps", *base, "ps"),
    ]


def prepare(folder: Path, stack: ExitStack, stopped: int) -> list[Row]:
    """Return all rows; a peer that fails is a row with its reason."""
    peers.root_of_image(folder)
    peers.tinybox(folder, stack)  # compiles the code, as pip would have done
    rows: list[Row] = []
    groups: tuple[Callable[[Path, ExitStack, int], list[Row]], ...] = (alone, inside, runc, podman)
    for group in groups:
        try:
            rows += group(folder, stack, stopped)
        except FAILURES as failure:
            rows.append(Row(group.__name__))
            rows[-1].failure = reason_of(failure)
    return rows


def figures(rows: list[Row]) -> list[list[object]]:
    """Return a line for each row: its name, median and best in milliseconds, and how it compares."""
    medians = {row.name: statistics.median(row.times) for row in rows if row.times}
    lines: list[list[object]] = []
    for row in rows:
        if row.name not in medians:
            lines.append([row.name, document.EMPTY, document.EMPTY, row.failure])
            continue
        median, other, said = medians[row.name], medians.get(row.compared), ""
        if other is not None:
            figure = f"{median / other:.2f}" if row.how == TIMES else f"{median - other:.0f}"
            said = f"{figure} {row.how} {row.compared}"
        lines.append([row.name, f"{median:.1f}", f"{min(row.times):.1f}", said])
    return lines


def main() -> int:
    """Measure in turns, and print one line for each command."""
    parser = argparse.ArgumentParser(description="how long the short commands take")
    parser.add_argument("-n", "--rounds", type=int, default=15, help="how many runs of each (default 15)")
    parser.add_argument("--stopped", type=int, default=1000, help="how many stopped containers ps lists (default 1000)")
    parser.add_argument("--table", metavar="FILE", help="write the table into this document, at its part `commands`")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("containers need root: sudo make bench-commands")
    leavings.leave_nothing_if_ended()
    facts = document.host()
    with tempfile.TemporaryDirectory(prefix="tinybox-bench-", dir="/var/tmp") as folder, ExitStack() as stack:
        rows = prepare(Path(folder), stack, options.stopped)
        for number in range(options.rounds + 1):
            for row in rows:
                row.measure()
                if not number:  # the first round warms up
                    row.times = []
        lines = figures(rows)
    print(f"{document.sentence(facts)}\n\n{'':32}{'median ms':>10}{'best ms':>10}   compared")
    for name, median, best, said in lines:
        print(f"{name:32}{median:>10}{best:>10}   {said}")
    if options.table:
        more = f"Median of {options.rounds} rounds, in which all take turns."
        table = document.table(["command", "median ms", "best ms", "compared"],
                               [[f"`{name}`", *rest] for name, *rest in lines])  # fmt: skip
        document.fill(options.table, "commands", f"{document.sentence(facts, more)}\n\n{table}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
