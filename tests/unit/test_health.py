"""What a check's results mean: from starting to healthy to unhealthy, and what is kept of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.container import health
from tinybox.container.health import HEALTHY, LOG_MAX, STARTING, UNHEALTHY, Check
from tinybox.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class Record:
    """Keeps what would be written to state.json, or refuses as a full disk does."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.full = False

    def write(self, *, health: dict[str, Any]) -> None:
        """Note it."""
        if self.full:
            raise StateError("state.json", "cannot be written: No space left on device")
        self.written.append(health)


class Container:
    """As much of a container as a check needs."""

    def __init__(self) -> None:
        self.record, self.told = Record(), list[str]()
        self.tell: Callable[[str], None] = self.told.append


def check(*, retries: int = 2, start_period: float = 0, **more: float) -> tuple[Check, Container]:
    """Return a check of a container that is nowhere."""
    container = Container()
    settings = {"test": ["true"], "interval": 1, "timeout": 1, "retries": retries, "startPeriod": start_period, **more}
    return Check(container, settings), container  # type: ignore[arg-type]


def results(it: Check, *codes: int) -> list[str]:
    """Let checks end with *codes*; return the status after each."""
    found = []
    for code in codes:
        it._judge(code, "said")
        found.append(it.status)
    return found


def test_up_and_down() -> None:
    """One success makes it healthy, so many failures in a row unhealthy, and one success heals; each change is told."""
    it, container = check(retries=2)
    assert results(it, 0, 1, 0, 1, 1, 1, 0) == [HEALTHY, HEALTHY, HEALTHY, HEALTHY, UNHEALTHY, UNHEALTHY, HEALTHY]
    assert container.told == [f"health_status: {status}" for status in (HEALTHY, UNHEALTHY, HEALTHY)]


def test_the_start_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures in the start period count nothing; after it, or after the first success, they do."""
    clock = [0.0]
    monkeypatch.setattr(health.time, "monotonic", lambda: clock[0])  # type: ignore[attr-defined]
    it, _ = check(retries=2, start_period=10)
    assert results(it, 1, 1, 1) == [STARTING] * 3
    clock[0] = 11
    assert results(it, 1, 1) == [STARTING, UNHEALTHY]
    early, _ = check(retries=2, start_period=10)
    assert results(early, 0, 1, 1) == [HEALTHY, HEALTHY, UNHEALTHY]


def test_the_start_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds within the start period and until the first success; without one there is but one interval."""
    clock = [0.0]
    monkeypatch.setattr(health.time, "monotonic", lambda: clock[0])  # type: ignore[attr-defined]
    it, _ = check(start_period=10, startInterval=0.2)
    assert it.pause() == 0.2
    clock[0] = 11
    assert it.pause() == 1
    early, _ = check(start_period=10, startInterval=0.2)
    results(early, 0)
    assert early.pause() == 1
    assert check(startInterval=0.2)[0].pause() == check(start_period=10)[0].pause() == 1


def test_what_is_kept() -> None:
    """The last five results are kept, with the failures in a row."""
    it, container = check()
    results(it, *range(1, 9))
    kept = container.record.written[-1]
    assert [row["ExitCode"] for row in kept["Log"]] == [4, 5, 6, 7, 8]
    assert len(kept["Log"]) == LOG_MAX
    assert kept["FailingStreak"] == 8


def test_a_full_disk_is_no_reason_to_end() -> None:
    """A result that cannot be written is lost; the next one is written again."""
    it, container = check()
    container.record.full = True
    assert results(it, 0) == [HEALTHY]
    container.record.full = False
    assert results(it, 0) == [HEALTHY]
    assert len(container.record.written) == 1
