"""`tinybox top`, `tree` and `ns`: show the processes of containers, and the namespaces of host and box."""

from __future__ import annotations

import pwd
import time
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli import completion
from tinybox.cli.formatting.options import format_option, print_lines
from tinybox.cli.formatting.table import Columns, Table
from tinybox.container.records import events
from tinybox.container.records.paths import Paths
from tinybox.container.views import listing, namespaces, processes, units
from tinybox.errors import UsageError, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.container.views.processes import Process

TOP, TREE = "UID PID PPID C STIME TTY TIME CMD", "PID BoxPID State User BoxUser Tree"
NS = "Container Namespace Host Box Verdict"


def _user(uid: int) -> str:
    """Return the host's name for a user, or the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _show(table: Table, things: Iterable[Any]) -> None:
    print_lines(table.lines(things))


def top_columns(now: float) -> Columns:
    """Return the columns of ``ps -ef``; see ps(1)."""

    def began(process: Process) -> str:
        form = "%H:%M" if now - process.start < units.DAY else "%b%d"
        return time.strftime(form, time.localtime(process.start))

    def used(process: Process) -> str:
        minutes, seconds = divmod(int(process.cpu_seconds), 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"

    return {
        "UID": ("UID", lambda process: _user(process.uid)),
        "PID": ("PID", lambda process: process.pid),
        "PPID": ("PPID", lambda process: process.ppid),
        "C": ("C", lambda process: process.share_of_cpu(now)),
        "STIME": ("STIME", began),
        "TTY": ("TTY", lambda process: process.tty),
        "TIME": ("TIME", used),
        "CMD": ("CMD", lambda process: process.command),
    }


@click.command(context_settings={"ignore_unknown_options": True})
@format_option(TOP)
@click.argument("container", shell_complete=completion.running)
@click.argument("ps_options", nargs=-1, type=click.UNPROCESSED, metavar="[PS OPTION]...")
def top(container: str, style: str, ps_options: tuple[str, ...]) -> None:
    """List the processes of CONTAINER, with their PIDs on the host; the columns are those of `ps -ef`.

    With options of ps(1) after CONTAINER, such as aux or -o pid,comm, the host's ps prints them; it has to print PIDs.
    """
    listed = listing.find(Paths(), container)
    events.emit(listed.paths, listed.id, "top", listed.annotations)
    if ps_options:
        if style:
            raise UsageError("--format", "does not go with options of ps", "leave one of them out")
        print_lines(map(printable, processes.by_ps(listed, ps_options)))
        return
    _show(Table(top_columns(time.time()), style, TOP), processes.of(listed))


TREE_COLUMNS: Columns = {
    "PID": ("HOST PID", lambda row: row[1].pid),
    "BoxPID": ("BOX PID", lambda row: row[1].box_pid),
    "State": ("STATE", lambda row: row[1].state),
    "User": ("HOST USER", lambda row: _user(row[1].uid)),
    "BoxUser": ("BOX USER", lambda row: row[1].box_uid),
    "PPID": ("HOST PPID", lambda row: row[1].ppid),
    "Command": ("COMMAND", lambda row: row[1].command),
    "Tree": ("COMMAND", lambda row: row[0] + row[1].command),
}


@click.command()
@click.argument("container", shell_complete=completion.running)
@format_option(f"{TREE} PPID Command")
def tree(container: str, style: str) -> None:
    """Show the process tree of CONTAINER: each process with its PID on the host and in the box, its state and users.

    A process at the left margin has its parent outside the box: PID 1 of the box, and programs of `tinybox exec`.
    """
    table = Table(TREE_COLUMNS, style, TREE)
    _show(table, processes.forest(processes.of(listing.find(Paths(), container))))


NS_COLUMNS: Columns = {
    "Container": ("CONTAINER", lambda pair: pair.container),
    "Namespace": ("NAMESPACE", lambda pair: pair.kind),
    "Host": ("HOST", lambda pair: pair.host or "-"),
    "Box": ("BOX", lambda pair: pair.box or "-"),
    "Verdict": ("VERDICT", lambda pair: "differs" if pair.differs else "same"),
}


@click.command()
@click.argument("container", required=False, shell_complete=completion.running)
@format_option(NS)
def ns(container: str | None, style: str) -> None:
    """Show the eight namespaces of host and box side by side, by their inode numbers, and whether they differ.

    Without CONTAINER, those of every running container.
    """
    paths = Paths()
    found = [listing.find(paths, container)] if container else listing.containers(paths, at_rest=False)
    alive = [listed for listed in found if container or listed.has_process]
    pairs = [pair for listed in alive for pair in namespaces.pairs(listed)]
    _show(Table(NS_COLUMNS, style, NS), pairs)
