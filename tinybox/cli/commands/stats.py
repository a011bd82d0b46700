"""`tinybox stats`: print how much CPU, memory, network and disk containers use, once or every second."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli import completion
from tinybox.cli.formatting.options import format_option, no_trunc_option
from tinybox.cli.formatting.table import Columns, Table
from tinybox.container.records.paths import Paths
from tinybox.container.views import listing, statistics, units
from tinybox.container.views.listing import Listed

if TYPE_CHECKING:
    from collections.abc import Callable

USUAL = "ID Name CPUPerc MemUsage MemPerc NetIO BlockIO PIDs"
CLEAR = "\033[H\033[J"
UNKNOWN = "--"
ZEROS = {"CPUPerc": "0.00%", "MemPerc": "0.00%", "MemUsage": "0B", "NetIO": "0B", "BlockIO": "0B", "PIDs": "0"}


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share * 100:.2f}%"


def _both(form: str, first: int | None, second: int | None) -> str:
    """Return two sizes, separated by a slash; a size that this host does not count is --."""
    size = units.binary_size if form == "binary" else units.decimal_size
    return " / ".join(UNKNOWN if count is None else size(count) for count in (first, second))


WHOLE: Columns = {
    "Container": ("CONTAINER", lambda pair: pair[0].listed.id),
    "ID": ("CONTAINER ID", lambda pair: pair[0].listed.id),
}
COLUMNS: Columns = {
    "Container": ("CONTAINER", lambda pair: pair[0].listed.id[:12]),
    "ID": ("CONTAINER ID", lambda pair: pair[0].listed.id[:12]),
    "Name": ("NAME", lambda pair: pair[0].listed.name),
    "CPUPerc": ("CPU %", lambda pair: _percent(pair[0].cpu_share(pair[1]))),
    "MemUsage": ("MEM USAGE / LIMIT", lambda pair: _both("binary", pair[0].memory, pair[0].memory_limit)),
    "MemPerc": ("MEM %", lambda pair: _percent(pair[0].memory_share)),
    "NetIO": ("NET I/O", lambda pair: _both("decimal", *pair[0].network)),
    "BlockIO": ("BLOCK I/O", lambda pair: _both("decimal", *pair[0].disk)),
    "PIDs": ("PIDS", lambda pair: UNKNOWN if pair[0].pids is None else str(pair[0].pids)),
}


FIELDS = " ".join(COLUMNS)


def with_zeros(columns: Columns) -> Columns:
    """Return *columns* for programs, which expect numbers: a value that is not counted is zero there, as in docker."""

    def known(value: Callable[[Any], Any], zero: str) -> Callable[[Any], Any]:
        return lambda pair: value(pair).replace(UNKNOWN, zero)

    return {
        name: (heading, known(value, ZEROS[name]) if name in ZEROS else value)
        for name, (heading, value) in columns.items()
    }


def _chosen(paths: Paths, names: tuple[str, ...], *, at_rest: bool) -> list[Listed]:
    if names:
        return [listing.find(paths, name) for name in names]
    return listing.containers(paths, at_rest=at_rest)


def _table(style: str, *, no_trunc: bool) -> Table:
    columns = COLUMNS | WHOLE if no_trunc else COLUMNS
    table = Table(columns, style, USUAL)
    return table if table.is_table else Table(with_zeros(columns), style, USUAL)


@click.command()
@click.option("--no-stream", is_flag=True, help="Print once, and end (after two samples, for the CPU).")
@click.option("-a", "--all", "at_rest", is_flag=True, help="Show containers that do not run, too.")
@no_trunc_option()
@format_option(FIELDS)
@click.argument("names", nargs=-1, metavar="[CONTAINER]...", shell_complete=completion.running)
def stats(names: tuple[str, ...], style: str, *, no_stream: bool, at_rest: bool, no_trunc: bool) -> None:
    """Show the CPU, memory, network, disk and processes of CONTAINERs, or of all running ones, until Ctrl-C.

    CPU is in percent of one CPU. A value that this host does not count for a container is --; it is zero with
    --format json or a template. Without a memory controller, MEM USAGE is the proportional share (PSS) of its
    processes.
    """
    paths = Paths()
    show(lambda: _chosen(paths, names, at_rest=at_rest), style, no_stream=no_stream, no_trunc=no_trunc)


def show(chosen: Callable[[], list[Listed]], style: str, *, no_stream: bool, no_trunc: bool) -> None:
    """Print the usage of the containers that *chosen* returns, once or every second, as --format *style* says."""
    table = _table(style, no_trunc=no_trunc)
    for pairs in statistics.pairs(chosen):
        clear = CLEAR if table.is_table and not no_stream and sys.stdout.isatty() else ""
        click.echo(clear + "".join(f"{line}\n" for line in table.lines(pairs)), nl=False)
        if no_stream:
            return
