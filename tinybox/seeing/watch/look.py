"""Look at boxes again and again, without changing them: one `View` a look, with what has changed, and the histories.

The CPU time that a look and its picture take is measured, and the next look waits until it is less than 2 % of a CPU.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from tinybox.container.records import spec
from tinybox.container.views import listing, processes
from tinybox.errors import StateError
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.seeing.watch import counters, process_facts
from tinybox.seeing.watch.rows import Panel, Row, View, compared
from tinybox.seeing.watch.upper_files import UpperFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

INTERVAL, SLOWEST = 1.0, 60.0  # seconds between two looks, at least and at most
SHARE = 0.02  # of a CPU at most
KEPT = 120  # looks of which the counters are kept
BARS = "▁▂▃▄▅▆▇█"


class Pace:
    """Decides when the next look is due: after a second, or later if looks cost more than 2 % of a CPU.

    *clock* returns the CPU time of this process in seconds. The drawing between two looks counts, too.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock, self._spent, self._last = clock, clock(), time.monotonic()
        self.share = 0.0  # of a CPU, since the look before, but at least for INTERVAL: the first look comes at once
        self.seconds = INTERVAL

    def next(self) -> float:
        """Return the seconds until the next look; call it after each one."""
        spent, now = self._clock(), time.monotonic()
        used, passed = spent - self._spent, now - self._last
        self._spent, self._last = spent, now
        self.share = used / max(passed, INTERVAL)
        self.seconds = min(max(INTERVAL, used / SHARE), SLOWEST)
        return self.seconds


class Box:
    """One box that is watched: its views, one a look, and the former values of its counters.

    StateError, when it is made: there is no such container. A container that is removed later has ended.
    """

    def __init__(self, paths: Paths, word: str) -> None:
        listed = listing.find(paths, word)
        self._paths, self.id, self.name = paths, listed.id, listed.name or listed.id[:12]
        self._where = hierarchies()
        self._former: View | None = None
        self._files: UpperFiles | None = None
        self._numbers: dict[str, tuple[float, float]] = {}
        self.history: dict[str, deque[float]] = {}

    def look(self) -> View:
        """Read everything, compare it with the look before, and return it; an ended box keeps its last facts."""
        view = compared(self._former, self._read())
        self._former = view
        self._count(view)
        return view

    def _read(self) -> View:
        try:
            listed = self._find()
        except StateError:
            return self._over("removed", "the container was removed")
        if not listed.has_process:
            return self._over(listed.word, _ending(listed))
        try:
            panels = self._panels(listed)
        except (StateError, FileNotFoundError, ProcessLookupError):  # it ended during this look
            return self._over("ending", "its first process has just ended")
        return View(self.name, self.id, listed.word, listed.state["pid"], "", panels)

    def _find(self) -> Listed:
        from tinybox.container.records import state

        return listing.Listed(self._paths, self.id, self.name, state.read(self._paths, self.id), self._where)

    def _panels(self, listed: Listed) -> list[Panel]:
        pid, bundle = listed.state["pid"], self._paths.bundle(self.id)
        found, mounts = processes.of(listed), process_facts.mounts_of(pid)
        upper = process_facts.upper_of(mounts)
        if upper and self._files is None:
            self._files = UpperFiles(upper, listed.annotations.get(spec.LAYERS, "").split(":"))
        return [
            process_facts.tree(found),
            counters.of_group(listed.group, [process.pid for process in found]),
            process_facts.open_files(found, upper),
            *([self._files.panel({mount.point for mount in mounts})] if self._files else []),
            counters.of_network(listed, is_own=counters.has_own_network(pid)),
            process_facts.walls(listed),
            process_facts.mounts(mounts, bundle),
        ]

    def _over(self, status: str, ended: str) -> View:
        """Return what is left of a box without processes: the facts that its last look saw, marked as unchanged."""
        panels = [
            panel._replace(rows=[row for row in panel.rows if row.mark != "gone"])
            for panel in (self._former.panels if self._former else [])
        ]
        return View(self.name, self.id, status, 0, ended, panels)

    def _count(self, view: View) -> None:
        """Add the counters to the histories: a value, or of one that only grows its growth a second."""
        now = time.monotonic()
        for panel in view.panels:
            for row in panel.rows:
                if row.number is None or view.ended:
                    continue
                key = f"{panel.name} {row.key}"
                then, value = self._numbers.get(key, (now, row.number))
                self._numbers[key] = now, row.number
                rate = (row.number - value) / (now - then) if now > then else 0.0
                kept = self.history.setdefault(key, deque(maxlen=KEPT))
                kept.append(max(rate, 0.0) if row.rising else row.number)


def spark(numbers: deque[float], width: int) -> str:
    """Return the last *width* numbers as bars of eight heights, from zero to the largest one."""
    shown = list(numbers)[-width:]
    most = max(shown, default=0.0)
    return "".join(BARS[min(int(number / most * len(BARS)), len(BARS) - 1)] if most else BARS[0] for number in shown)


def row_history(box: Box, panel: Panel, row: Row) -> deque[float] | None:
    """Return the history of a counter of *panel*; None for another fact."""
    return box.history.get(f"{panel.name} {row.key}")


def _ending(listed: Listed) -> str:
    code = listed.state.get("exitCode")
    if listed.word == "created":
        return "not started"
    memory = ", out of memory" if listed.state.get("oomKilled") else ""
    return f"ended with status {'unknown' if code is None else code}{memory}"
