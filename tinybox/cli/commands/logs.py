"""`tinybox logs`: what a container has said, on the stream on which it said it."""

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
    """Return the number that --tail says; None for all, which is what docker makes of a negative one, too."""
    if text == "all" or (text.startswith("-") and is_whole(text[1:])):
        return None
    if not is_whole(text):
        raise UsageError(f"--tail {text}", "is not a number of lines", "a number, or all")
    return int(text)


class Writer:
    """Writes entries to stdout and stderr, in the order in which they came, with *timestamps* before each line."""

    def __init__(self, *, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
        self._in_line = dict.fromkeys(self._streams, False)

    def write(self, entries: list[Entry]) -> None:
        """Write one batch and see it out; before the stream changes, what is before must be out, too."""
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
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until the container has ended.")
@click.option("--since", default="", metavar="TIME", help="Only what came since then: 10m, a date, or Unix seconds.")
@click.option("--until", default="", metavar="TIME", help="Only what came before then.")
@click.option("-n", "--tail", default="all", metavar="N", help="Only the last N lines.")
@click.option("-t", "--timestamps", is_flag=True, help="Show when each line came.")
@click.argument("container", shell_complete=completion.containers)
def logs(container: str, since: str, until: str, tail: str, *, follow: bool, timestamps: bool) -> None:
    """Show what CONTAINER, run with -d, has said: its stdout on stdout, its stderr on stderr."""
    paths, now = Paths(), time.time_ns()
    selection = log_reader.Selection(
        units.moment("--since", since, now) if since else 0,
        units.moment("--until", until, now) if until else 0,
        line_count(tail),
    )
    look = log_reader.follow if follow else log_reader.read
    writer = Writer(timestamps=timestamps)
    for batch in look(paths, naming.find(paths, container), selection):
        writer.write(batch)
