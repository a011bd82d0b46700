"""`tinybox logs`: print the log of a container, its stdout on stdout and its stderr on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from tinybox.cli import completion
from tinybox.cli.late import Late
from tinybox.container.records.paths import Paths
from tinybox.container.views import listing, log_reader, units
from tinybox.errors import UsageError, printable
from tinybox.text_values import is_whole

if TYPE_CHECKING:
    from tinybox.container.views import inspection
    from tinybox.container.views.listing import Listed
    from tinybox.container.views.log_reader import Entry
else:
    inspection = Late("tinybox.container.views.inspection")


def line_count(text: str) -> int | None:
    """Return the number of lines of --tail; None for all, and for a negative number, as in docker."""
    if text == "all" or (text.startswith("-") and is_whole(text[1:])):
        return None
    if not is_whole(text):
        raise UsageError(f"--tail {text}", "is not a number of lines", "a number, or all")
    return int(text)


class Writer:
    """Writes log entries to stdout and stderr in the order in which they came; *timestamps*: with times.

    *details* is the text before each line, after the time.
    """

    def __init__(self, *, timestamps: bool, details: str = "") -> None:
        self._timestamps, self._details = timestamps, details.encode("utf-8", "surrogateescape")
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
            if self._details and not self._in_line[former]:
                self._streams[former].write(self._details)
            self._streams[former].write(entry.data)
            self._in_line[former] = not entry.data.endswith(b"\n")
        self._streams[former].flush()


def _details(listed: Listed) -> str:
    """Return the labels and variables that --log-opt labels=NAME,... and env=NAME,... name, as ``NAME=VALUE,...``."""
    known = inspection.container(listed)
    wanted = known["HostConfig"]["LogConfig"]["Config"]
    variables = dict(line.partition("=")[::2] for line in known["Config"]["Env"])
    found = [(name, values[name]) for key, values in (("labels", listed.labels), ("env", variables))
             for name in wanted.get(key, "").split(",") if name in values]  # fmt: skip
    return printable(",".join(f"{name}={value}" for name, value in sorted(found)))


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with new output until the container has ended.")
@click.option("--since", default="", metavar="TIME", help="Only output since then: 10m, a date, or Unix seconds.")
@click.option("--until", default="", metavar="TIME", help="Only output before then.")
@click.option("-n", "--tail", default="all", metavar="N", help="Only the last N lines.")
@click.option("--details", is_flag=True, help="Show the labels and variables that --log-opt names before each line.")
@click.option("-t", "--timestamps", is_flag=True, help="Show the time of each line.")
@click.argument("container", shell_complete=completion.containers)
def logs(container: str, since: str, until: str, tail: str, *, follow: bool, timestamps: bool, details: bool) -> None:
    """Show the output of CONTAINER: its stdout on stdout, its stderr on stderr.

    A container of `run --rm` without a terminal has no log, unless it was started with -d.
    """
    paths, now = Paths(), time.time_ns()
    listed = listing.find(paths, container)
    log_reader.check(listed)
    selection = log_reader.Selection(
        units.moment("--since", since, now) if since else 0,
        units.moment("--until", until, now) if until else 0,
        line_count(tail),
    )
    batches = log_reader.follow if follow else log_reader.read
    writer = Writer(timestamps=timestamps, details=f"{_details(listed)} " if details else "")
    for batch in batches(paths, listed.id, selection):
        writer.write(batch)
