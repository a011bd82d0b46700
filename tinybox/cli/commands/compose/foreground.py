"""`tinybox compose up` without -d: the output of the containers in this terminal, until they end or Ctrl-C is typed."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tinybox.compose import down as stopping
from tinybox.compose import output
from tinybox.container.views import listing
from tinybox.container.views.log_reader import Selection
from tinybox.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from tinybox.cli.commands.compose.project_options import ProjectOptions
    from tinybox.compose.project import Project
    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

INTERRUPTED = 130


class Foreground:
    """`up` without -d: the output of the containers, until they have ended, one of them ends all, or Ctrl-C."""

    def __init__(
        self,
        given: ProjectOptions,
        paths: Paths,
        project: Project,
        containers: list[Listed],
        seconds: float | None,
        ends_all: Callable[[int], bool],
    ) -> None:
        self._say, self._paths, self._project = given.say, paths, project
        self._containers, self._seconds, self._ends_all = containers, seconds, ends_all

    def attend(self, since: Selection, out: output.Output) -> int:
        """Show the output; return 130 after a signal, the status of the container that ended all others, or 0.

        The first signal is only noted, so that it can come at any moment, even while the threads that show the output
        are being started. Ctrl-C and SIGTERM stop the containers, another one kills them.
        """
        noted: list[int] = []
        _on_signals(lambda number, _: noted.append(number))
        threads = output.follow(self._paths, self._containers, since, out)
        running = dict(zip(threads, self._containers, strict=True))
        status = 0
        while not noted and running:
            ended = [thread for thread in running if not thread.is_alive()]
            statuses = [_status(self._paths, running.pop(thread)) for thread in ended]
            if bad := [found for found in statuses if self._ends_all(found)]:
                status = bad[0]
                break
            if not ended:
                next(iter(running)).join(0.1)
        if noted:
            self._say("Gracefully stopping... (Ctrl-C again: KILL)")
        _on_signals(_interrupted)
        try:
            self._stop(self._seconds)
        except KeyboardInterrupt:
            self._stop(0)
        for thread in threads:
            thread.join()
        return INTERRUPTED if noted else status

    def _stop(self, seconds: float | None) -> None:
        found = stopping.ranked(self._project, self._containers)
        stopping.stop(self._paths, self._project, found, seconds, self._say)


def _status(paths: Paths, listed: Listed) -> int:
    """Return the exit status of a container that has ended; 0 if another command has removed it."""
    try:
        return int(listing.find(paths, listed.id).state.get("exitCode") or 0)
    except StateError:
        return 0


def _on_signals(act: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, act)


def _interrupted(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
