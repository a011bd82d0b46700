"""Run one command for several names at the same time, because it waits most of its time: `stop` of many containers."""

from __future__ import annotations

import threading

from tinybox.cli import several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST = 50  # names at the same time, as docker's client
_turns = threading.Semaphore(MOST)


def each(names: Sequence[str], act: Callable[[str], str | None]) -> int:
    """Do what `several.each` does, with the calls of *act* side by side, and the results in the order of *names*.

    Ctrl-C ends the command, and does not wait for the calls.
    """
    calls = {name: _Call(act, name) for name in names}
    for call in calls.values():
        call.start()
    return several.each(names, lambda name: calls[name].result())


class _Call(threading.Thread):
    """A thread that calls *act* with *name* when it is its turn."""

    def __init__(self, act: Callable[[str], str | None], name: str) -> None:
        super().__init__(daemon=True)
        self._act, self._of = act, name
        self._result: str | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Call it; this method is the thread."""
        try:
            with _turns:
                self._result = self._act(self._of)
        except Exception as error:  # noqa: BLE001  result() raises every kind of error again
            self._error = error

    def result(self) -> str | None:
        """Wait until the call has ended; return its result, or raise its error."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._result
