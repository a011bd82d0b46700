"""`tinybox logs`: print the log of a container, its stdout on stdout and its stderr on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from tinybox.cli import completion
from tinybox.container.records import naming
from tinybox.container.records.paths import Paths
from tinybox.container.views import log_reader, units
from tinybox.errors import UsageError
from tinybox.text_values import is_whole

if TYPE_CHECKING:
    from tinybox.container.views.log_reader import Entry


def line_count(text: str) -> int | None:
    """Return the number of lines of --tail; None for all, and for a negative number, as in docker."""
    if text == "all" or (text.startswith("-") and is_whole(text[1:])):
        return None
    if not is_whole(text):
        raise UsageError(f"--tail {text}", "is not a number of lines", "a number, or all")
    return int(text)


class Writer:
    """Writes log entries to stdout and stderr in the order in which they came; *timestamps*: with times."""

    def __init__(self, *, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
        self._in_line = dict.fromkeys(self._streams, False)

    def write(self, entries: list[Entry]) -> None:
        """Write one batch and flush it; flush a stream before writing to the other one, so that the order is kept."""
        former = "stdout"
        for entry in entries:
            if entry.stream != former:
                self._streams[former].flush()
                former = entry.stream
            if self._timestamps and not self._in_line[former]:
                self._streams[former].write(f"{entry.time} ".encode())
            self._streams[former].write(entry.data)
            self._in_line[former] = not entry.data.endswith(b"\n")
        self._streams[former].flush()


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with new output until the container has ended.")
@click.option("--since", default="", metavar="TIME", help="Only output since then: 10m, a date, or Unix seconds.")
@click.option("--until", default="", metavar="TIME", help="Only output before then.")
@click.option("-n", "--tail", default="all", metavar="N", help="Only the last N lines.")
@click.option("-t", "--timestamps", is_flag=True, help="Show the time of each line.")
@click.argument("container", shell_complete=completion.containers)
def logs(container: str, since: str, until: str, tail: str, *, follow: bool, timestamps: bool) -> None:
    """Show the output of CONTAINER: its stdout on stdout, its stderr on stderr.

    A container of `run --rm` without a terminal has no log, unless it was started with -d.
    """
    paths, now = Paths(), time.time_ns()
    selection = log_reader.Selection(
        units.moment("--since", since, now) if since else 0,
        units.moment("--until", until, now) if until else 0,
        line_count(tail),
    )
    batches = log_reader.follow if follow else log_reader.read
    writer = Writer(timestamps=timestamps)
    for batch in batches(paths, naming.find(paths, container), selection):
        writer.write(batch)
