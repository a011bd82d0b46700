"""Measure how long `tinybox ps -a` takes for many stopped containers, compared with `tinybox --version`.

    python benchmarks/listing.py [-n CONTAINERS]

The functions that write the records of real containers write these, too, each with a config.json of the usual size. It
needs no root. The project's limit is 300 ms for 1000 containers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.stored_boxes import crowd, home_at

TINYBOX = Path(sys.executable).with_name("tinybox")
ROUNDS = 9
COMMANDS = {
    "tinybox --version": ("--version",),
    "tinybox ps": ("ps",),
    "tinybox ps -aq": ("ps", "-a", "-q"),
    "tinybox ps -a": ("ps", "-a"),
}


def milliseconds(root: str, arguments: tuple[str, ...]) -> float:
    """Run one command on the store at *root*, and return how long it took, in milliseconds."""
    settings = {**os.environ, "TINYBOX_ROOT": root}
    start = time.perf_counter_ns()
    subprocess.run([TINYBOX, *arguments], env=settings, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter_ns() - start) / 1e6


def main() -> None:
    """Make the containers, run the commands in turns, and print one line for each."""
    parser = argparse.ArgumentParser(description="how long ps takes over many stopped containers")
    parser.add_argument("-n", type=int, default=1000, metavar="CONTAINERS")
    count = parser.parse_args().n
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory(prefix="tinybox-listing-") as root:
        crowd(home_at(Path(root)), count)
        for number in range(ROUNDS + 1):  # the first round warms up
            for name, arguments in COMMANDS.items():
                took = milliseconds(root, arguments)
                times[name] += [took] * bool(number)
    print(f"{count} stopped containers, {ROUNDS} rounds, ms        best   median")
    for name, taken in times.items():
        print(f"{name:40} {min(taken):10.0f} {statistics.median(taken):8.0f}")


if __name__ == "__main__":
    main()
