"""The output of a project's containers, for `compose logs` and `up`: each line begins with its container's name."""

from __future__ import annotations

import heapq
import threading
from contextlib import suppress

from tinybox.compose import members
from tinybox.container.views import log_reader
from tinybox.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import BinaryIO

    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed
    from tinybox.container.views.log_reader import Entry, Selection

LONGEST = 1 << 20  # bytes of a line without an end that are kept
COLOURS = (36, 33, 32, 35, 34)  # of the names, in turn: cyan, yellow, green, magenta, blue; see console_codes(4)


class Output:
    """Writes whole lines to *stream*, with or without a prefix; several threads may write at the same time.

    With *colours*, the prefix has one, and each service has another one. Lines of *hidden* containers are not written.
    """

    def __init__(
        self,
        stream: BinaryIO,
        containers: Iterable[Listed],
        *,
        prefix: bool,
        timestamps: bool = False,
        colours: bool = False,
        hidden: Collection[str] = (),
    ) -> None:
        shown = [listed for listed in containers if listed.id not in hidden]
        width = max((len(printable(members.short_name(listed))) for listed in shown), default=0)
        services = list(dict.fromkeys(map(members.service_of, shown)))
        self._prefixes = {}
        for listed in shown:
            name = f"{printable(members.short_name(listed)).ljust(width)}  | " if prefix else ""
            if colours and prefix:
                name = f"\033[{COLOURS[services.index(members.service_of(listed)) % len(COLOURS)]}m{name}\033[0m"
            self._prefixes[listed.id] = name.encode()
        self._stream, self._timestamps, self._alone = stream, timestamps, threading.Lock()
        self._partial: dict[tuple[str, str], bytes] = {}  # the pieces so far of a long line, by container and stream

    def write(self, container: str, entries: Iterable[Entry]) -> None:
        """Write *entries* of *container*, and flush the stream; a long line is several entries, but one line here."""
        if container not in self._prefixes:
            return
        with self._alone:
            for entry in entries:
                key = (container, entry.stream)
                data = self._partial.pop(key, f"{entry.time} ".encode() * self._timestamps) + entry.data
                if data.endswith(b"\n") or len(data) > LONGEST:
                    self._stream.write(self._prefixes[container] + data.removesuffix(b"\n") + b"\n")
                else:
                    self._partial[key] = data
            self._stream.flush()

    def finish(self, container: str) -> None:
        """Write the last line of *container* if it has no newline."""
        with self._alone:
            for key in [key for key in self._partial if key[0] == container]:
                self._stream.write(self._prefixes[container] + self._partial.pop(key) + b"\n")
            self._stream.flush()


def merged(paths: Paths, containers: list[Listed], selection: Selection) -> Iterator[tuple[Listed, Entry]]:
    """Yield the output of all *containers* so far, in the order of time."""

    def entries(listed: Listed) -> Iterator[tuple[Listed, Entry]]:
        for batch in log_reader.read(paths, listed.id, selection):
            yield from ((listed, entry) for entry in batch)

    yield from heapq.merge(*map(entries, containers), key=lambda pair: pair[1].time)


def show(paths: Paths, containers: list[Listed], selection: Selection, output: Output) -> None:
    """Write the output of all *containers* so far, in the order of time."""
    for listed, entry in merged(paths, containers, selection):
        output.write(listed.id, [entry])
    for listed in containers:
        output.finish(listed.id)


def follow(paths: Paths, containers: list[Listed], selection: Selection, output: Output) -> list[threading.Thread]:
    """Write the past and the future output of *containers*; return the threads that do it, one for each container.

    A thread ends with its container, or when the reader of the stream has ended, as in ``logs -f | head``.
    """

    def attend(container: str) -> None:
        with suppress(BrokenPipeError):
            for batch in log_reader.follow(paths, container, selection):
                output.write(container, batch)
            output.finish(container)

    threads = [threading.Thread(target=attend, args=(listed.id,), daemon=True) for listed in containers]
    for thread in threads:
        thread.start()
    return threads
