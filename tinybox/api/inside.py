"""What Python sees of one container and its processes: its state, its log, its files, and programs beside its own."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.api import requests
from tinybox.api.removable import Removable
from tinybox.container import execute
from tinybox.container.network import published_ports
from tinybox.container.process.handles import Handles
from tinybox.container.process.program_streams import ProgramStreams
from tinybox.container.views import inspection, listing, log_reader, processes, statistics, units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from tinybox.api.images import Image
    from tinybox.container.process.wait_loop import Ending
    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed
    from tinybox.container.views.log_reader import Entry
    from tinybox.container.views.processes import Process


class Use(NamedTuple):
    """What a container uses; a value that this host does not count is None.

    *cpus* is the use of CPUs in the last interval: 2.0 is two whole CPUs. *memory*, its limit, *network* (received,
    sent) and *disk* (read, written) are in bytes, the last two since the start.
    """

    cpus: float | None
    memory: int | None
    memory_limit: int | None
    pids: int | None
    network: tuple[int | None, int | None]
    disk: tuple[int | None, int | None]


def _nobody(_: str) -> None:
    """Take no notice of a socket or device that a copy leaves out."""


class Inside(Removable):
    """The part of a Container that looks at it, and into it."""

    def __init__(self, id: str, paths: Paths, *, made: bool = False) -> None:  # noqa: A002
        super().__init__(made=made)
        self.id, self._paths = id, paths

    def __str__(self) -> str:
        return self._listed().name or self.id

    def _listed(self) -> Listed:
        return listing.find(self._paths, self.id)

    @property
    def name(self) -> str:
        """Its name."""
        return self._listed().name

    @property
    def status(self) -> str:
        """``created``, ``running``, ``paused``, ``restarting`` or ``exited``."""
        return self._listed().word

    @property
    def health(self) -> str:
        """``healthy``, ``unhealthy``, ``starting``, or ``none`` if it has no health check."""
        return self._listed().health

    @property
    def exit_code(self) -> int | None:
        """The exit status of its program; None while it runs, before its first start, and if it is unknown."""
        listed = self._listed()
        code: int | None = None if listed.is_alive else listed.state.get("exitCode")
        return code

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its image and its own."""
        return self._listed().labels

    @property
    def ports(self) -> dict[str, list[tuple[str, int]]]:
        """Where its published ports are on the host: ``{"80/tcp": [("0.0.0.0", 49153)]}``."""
        found: dict[str, list[tuple[str, int]]] = {}
        for port in self._listed().ports:
            where = (port["hostIp"] or "0.0.0.0", port["hostPort"])  # noqa: S104  shown, not bound
            found.setdefault(published_ports.inside(port), []).append(where)
        return found

    def inspect(self) -> dict[str, Any]:
        """Return everything about it, with docker's keys; the key ``Spec`` has its config.json."""
        return inspection.container(self._listed())

    def exec(
        self,
        *command: str,
        stdin: int | None = None,
        input: bytes | None = None,  # noqa: A002  as in subprocess.run
        capture_output: bool = True,
        **options: Any,
    ) -> Ending:
        """Run *command* beside its program; return how it ended, with ``stdout`` and ``stderr``; see docker-exec(1).

        *options*: ``user workdir env env_file privileged``. Other parameters are those of tinybox.run().
        """
        paths, here = requests.changing(self._paths.root)
        given = _exec_options(options)
        with ProgramStreams(stdin, input, captured=capture_output) as streams:
            ending = execute.execute(
                paths, here, self.id, requests.words_of(command), given, streams.handles(watched=True)
            )
            assert ending is not None  # noqa: S101  it is None only with ``detach``
            return streams.keep(ending)

    def exec_detached(self, *command: str, **options: Any) -> None:
        """Start *command* beside its program and leave it running; its output is lost, as with ``exec -d``."""
        paths, here = requests.changing(self._paths.root)
        given = {**_exec_options(options), "detach": True}
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            execute.execute(paths, here, self.id, requests.words_of(command), given, Handles((null, null, null)))
        finally:
            os.close(null)

    def logs(
        self,
        *,
        follow: bool = False,
        since: float | str = "",
        until: float | str = "",
        tail: int | None = None,
    ) -> Iterator[Entry]:
        """Yield its output in pieces, usually lines: each has ``time`` (RFC 3339), ``stream`` and ``data`` (bytes).

        With *follow* go on until it ends. *since* and *until* are Unix seconds, or text as of `logs`, such as ``"10m"``
        or a date. *tail*: only so many of the last lines. StateError: it has no log.
        """
        now, listed = time.time_ns(), self._listed()
        log_reader.check(listed)
        first, last = (units.moment(key, str(value), now) if value else 0
                       for key, value in (("since", since), ("until", until)))  # fmt: skip
        selection = log_reader.Selection(first, last, tail)
        read = log_reader.follow if follow else log_reader.read
        for batch in read(self._paths, self.id, selection):
            yield from batch

    def top(self) -> list[Process]:
        """Return its processes, those of `exec` included, with their pids on the host and in the box."""
        return processes.of(self._listed())

    def stats(self, interval: float = 1.0) -> Iterator[Use]:
        """Yield what it uses, every *interval* seconds; ``next(box.stats())`` waits for one. The end is its removal."""
        for pairs in statistics.pairs(lambda: [self._listed()], interval):
            ((sample, former),) = pairs
            yield Use(
                sample.cpu_share(former), sample.memory, sample.memory_limit, sample.pids, sample.network, sample.disk
            )

    def diff(self) -> list[tuple[str, str]]:
        """Return its changes of files: pairs of ``A`` (added), ``C`` (changed) or ``D`` (deleted) and the path."""
        from tinybox.container.files.diff import changes

        return [*changes(self._paths, self.id)]

    def copy_to(self, source: str, path: str, *, archive: bool = False, follow: bool = False) -> int:
        """Copy the host's *source* to *path* in it, running or not; return the bytes of the archive; see docker-cp(1).

        With *archive* owners are kept, else the files are root's; with *follow* a link that *source* is, is followed.
        """
        from tinybox.container.files import copy

        return copy.copy_in(self._paths, self.id, source, path, archive=archive, follow=follow, told=_nobody)

    def copy_from(self, path: str, destination: str, *, archive: bool = False, follow: bool = False) -> int:
        """Copy its *path* to *destination* on the host; return the bytes of the archive."""
        from tinybox.container.files import copy

        return copy.copy_out(self._paths, self.id, path, destination, archive=archive, follow=follow, told=_nobody)

    def export(self, file: BinaryIO) -> None:
        """Write its own files, without volumes and other mounts, to *file* as a tar archive; see docker-export(1)."""
        from tinybox.container.files import copy

        file.flush()
        copy.export(self._paths, self.id, file.fileno(), _nobody)

    def commit(
        self, name: str = "", *, author: str = "", message: str = "", changes: Sequence[str] = (), pause: bool = True
    ) -> Image:
        """Make an image of it, called *name* or nameless, and return that; see docker-commit(1).

        *changes* are instructions such as ``"CMD ls"``. With *pause* it is frozen meanwhile.
        """
        from tinybox.api.images import Image
        from tinybox.container.files import commit

        options = commit.CommitOptions(name, author, message, changes)
        made = commit.commit(self._paths, self.id, options, pause=pause, told=_nobody)
        return Image(made, self._paths, name=str(options.reference or ""), made=True)


def _exec_options(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `exec` among *given* as the command line gives them; UsageError: `exec` has no such one."""
    from tinybox.container import python_options
    from tinybox.errors import UsageError

    if wrong := sorted(given.keys() - {"user", "workdir", "env", "env_file", "privileged"}):
        raise UsageError(f"option {wrong[0]}", "is no option of exec in Python", "user workdir env env_file privileged")
    return python_options.normal(given)
