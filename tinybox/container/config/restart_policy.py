"""Restart policies: whether a container that has ended is started again, and after how long; see docker-run(1)."""

from __future__ import annotations

import time

from tinybox.container.records import spec
from tinybox.errors import UnfitValueError, UsageError
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinybox.container.process.wait_loop import Ending

FIRST, LONGEST, LONG_ENOUGH = 0.1, 60.0, 10.0  # seconds, as in docker: the delay doubles, until a run lasts 10 s
NAMES = ("no", "on-failure", "always", "unless-stopped")


class Policy:
    """A restart policy, ``no``, ``on-failure[:N]``, ``always`` or ``unless-stopped``, and its counters.

    The *annotations* of a container may have a delay and a window for it; see records/spec.py.
    """

    def __init__(self, text: str, annotations: Mapping[str, str] | None = None) -> None:
        self.text, self._annotations = text, annotations or {}
        self.name, _, most = text.partition(":")
        if self.name not in NAMES or (most and (self.name != "on-failure" or not is_whole(most))):
            error = UnfitValueError if is_whole(most.removeprefix("-") or "0") else UsageError
            raise error(f"--restart {text}", "is not a policy", "no, on-failure[:N], always or unless-stopped")
        self.most = int(most) if most else 0
        self.count = 0
        self._delay = FIRST / 2
        self._since = time.monotonic()

    def now(self, text: str) -> Policy:
        """Return the policy for *text*: this one with its counters, or a new one if `tinybox update` has changed it."""
        return self if text == self.text else Policy(text, self._annotations)

    def again(self, ending: Ending, *, stopped: bool) -> bool:
        """Return whether to start again after this *ending*, and count it; a *stopped* container is never restarted."""
        if stopped or self.name == "no" or (self.name == "on-failure" and ending.status == 0):
            return False
        if time.monotonic() - self._since >= self._seconds(spec.RESTART_WINDOW, float("inf")):
            self.count = 0
        if self.most and self.count >= self.most:
            return False
        self.count += 1
        return True

    def delay(self) -> float:
        """Return the seconds until the next start: 0.1, 0.2, 0.4 ... up to 60; 0.1 again after a run of 10 s.

        If the container has a delay of its own, it is always that.
        """
        now = time.monotonic()
        self._delay = FIRST if now - self._since >= LONG_ENOUGH else min(self._delay * 2, LONGEST)
        delay = self._seconds(spec.RESTART_DELAY, self._delay)
        self._since = now + delay
        return delay

    def _seconds(self, annotation: str, default: float) -> float:
        text = self._annotations.get(annotation)
        return default if text is None else int(text) / 1000
