"""`tinybox watch`: host and boxes side by side, live, on this terminal, in a browser of this machine, or as a file."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from tinybox.cli import completion
from tinybox.container.records.paths import Paths
from tinybox.container.views import listing
from tinybox.errors import HostError, StateError, UsageError
from tinybox.text_values import is_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.seeing.watch.look import Box
    from tinybox.seeing.watch.terminal import Watch

CURE = "pip install 'tinybox[watch]', or leave the terminal: --serve, --html FILE"


@click.command()
@click.option("--serve", is_flag=False, flag_value="0", metavar="[PORT]",
              help="Serve a page on 127.0.0.1, at PORT or at a free port, until Ctrl-C.")  # fmt: skip
@click.option("--html", "path", metavar="FILE",
              help="Record until the boxes end, or until Ctrl-C, and write a page that needs no server.")  # fmt: skip
@click.option("--looks", type=click.IntRange(1), metavar="N", help="End the recording of --html after N looks.")
@click.argument("names", nargs=-1, metavar="[CONTAINER]...", shell_complete=completion.running)
def watch(names: tuple[str, ...], serve: str | None, path: str | None, looks: int | None) -> None:
    """Watch CONTAINERs, or all that run now: the host on the left, the box on the right, a look each second.

    Shown are processes with both pids, namespaces, mounts, open files, counters of the control group, the files in
    the upper directory, and network devices. A row that has changed since the look before is coloured. A box that ends
    stays in view, with its status; q ends. Reading changes nothing in the box, and takes less than 2 % of a CPU: after
    a look that took long, the next one is later.
    """
    if serve is not None and not is_whole(serve):  # `--serve NAME`: the port was left out
        names, serve = (serve, *names), "0"
    if looks is not None and path is None:
        raise UsageError("--looks", "is for a recording", "--html FILE")
    if serve is not None and path is not None:
        raise UsageError("--serve", "does not go with --html", "leave one of them out")
    if serve is not None:
        _serve(_boxes(names), int(serve))
    elif path is not None:
        _record(_boxes(names), path, looks)
    else:
        _show(names)


def _boxes(names: Sequence[str]) -> list[Box]:
    """Return the boxes *names*, or all that run; StateError: there is none."""
    from tinybox.seeing.watch.look import Box

    paths = Paths()
    found = list(names) or [listed.id for listed in listing.containers(paths, at_rest=False)]
    if not found:
        raise StateError("watch", "no container runs", "tinybox run -d IMAGE")
    return [Box(paths, word) for word in found]


def _show(names: Sequence[str]) -> None:
    if not all(os.isatty(fd) for fd in range(3)):
        raise UsageError("watch", "this is not a terminal", "--serve, or --html FILE")
    application = _application()
    application(_boxes(names)).run()


def _application() -> type[Watch]:
    """Return the application for a terminal; HostError: the package that draws it is not installed."""
    try:
        from tinybox.seeing.watch.terminal import Watch
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("textual", "rich"):
            raise
        raise HostError("watch", f"the Python package {package} is not installed", CURE) from error
    return Watch


def _serve(boxes: Sequence[Box], port: int) -> None:
    if port > 65535:
        raise UsageError(f"--serve {port}", "is not a port", "a number up to 65535")
    from tinybox.seeing.watch.server import Looks, Server

    with Server(Looks(boxes), port) as server:
        print(server.address, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _record(boxes: Sequence[Box], path: str, looks: int | None) -> None:
    from tinybox.container.files import whole_file
    from tinybox.seeing.watch import pages

    with whole_file.appearing(path) as file:
        if sys.stderr.isatty():
            print("recording; Ctrl-C ends it and writes the page", file=sys.stderr)
        file.write(pages.record(boxes, most=looks or pages.MOST_LOOKS).encode())
