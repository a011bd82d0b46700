"""The results of health checks: from starting to healthy to unhealthy, and how many results are kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tinybox.container.config.life import duration, for_monitor
from tinybox.container.monitor import health
from tinybox.container.monitor.health import HEALTHY, LEAST_PAUSE, LOG_MAX, STARTING, UNHEALTHY, Check
from tinybox.container.records import spec
from tinybox.errors import StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


class Record:
    """Keep the values for state.json, or refuse them as a full disk does."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.full = False

    def write(self, *, health: dict[str, Any]) -> None:
        """Store the values."""
        if self.full:
            raise StateError("state.json", "cannot be written: No space left on device")
        self.written.append(health)


class Container:
    """The attributes of a container that a check needs."""

    def __init__(self) -> None:
        self.record, self.emitted = Record(), list[str]()
        self.emitted: list[str] = []
        self.emit: Callable[[str], None] = self.emitted.append


def check(*, retries: int = 2, start_period: float = 0, **more: float) -> tuple[Check, Container]:
    """Return a check of a container that does not exist."""
    container = Container()
    wanted = {"test": ["true"], "interval": 1, "timeout": 1, "retries": retries, "startPeriod": start_period, **more}
    return Check(container, wanted), container  # type: ignore[arg-type]


def results(it: Check, *codes: int) -> list[str]:
    """Make checks end with *codes*; return the status after each."""
    found = []
    for code in codes:
        it._judge(code, "said")
        found.append(it.status)
    return found


def test_up_and_down() -> None:
    """One success makes it healthy, so many failures in a row unhealthy, one success healthy; changes are events."""
    it, container = check(retries=2)
    assert results(it, 0, 1, 0, 1, 1, 1, 0) == [HEALTHY, HEALTHY, HEALTHY, HEALTHY, UNHEALTHY, UNHEALTHY, HEALTHY]
    assert container.emitted == [f"health_status: {status}" for status in (HEALTHY, UNHEALTHY, HEALTHY)]


def test_the_start_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures in the start period are not counted; after it, or after the first success, they are."""
    clock = [0.0]
    monkeypatch.setattr(health.time, "monotonic", lambda: clock[0])  # type: ignore[attr-defined]
    it, _ = check(retries=2, start_period=10)
    assert results(it, 1, 1, 1) == [STARTING] * 3
    clock[0] = 11
    assert results(it, 1, 1) == [STARTING, UNHEALTHY]
    early, _ = check(retries=2, start_period=10)
    assert results(early, 0, 1, 1) == [HEALTHY, HEALTHY, UNHEALTHY]


def test_the_start_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """It applies within the start period and until the first success; without one there is only one interval."""
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


def test_the_least_pause() -> None:
    """However short the interval, a check does not follow another one at once: that least pause is tinybox's own."""
    assert check(interval=1e-3)[0].pause() == check(start_period=10, startInterval=1e-9)[0].pause() == LEAST_PAUSE
    assert check(interval=2)[0].pause() == 2


KEYS = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod", "start-interval": "StartInterval"}


class Image:
    """The attributes of an image that the settings need."""

    def __init__(self, **healthcheck: int) -> None:
        self.reference, self.config = "some:1", {"Healthcheck": {"Test": ["CMD", "true"], **healthcheck}}


class Request:
    """The options of a user."""

    def __init__(self, image: Image, **options: str) -> None:
        self.image, self.options = image, options


def settings(**options: str) -> dict[str, Any]:
    """Return the settings of a check with *options*."""
    made = for_monitor(Request(Image(), **options))  # type: ignore[arg-type]
    found: dict[str, Any] = json.loads(made[spec.HEALTH])
    return found


@pytest.mark.parametrize("word", list(KEYS))
def test_docker_s_shortest_times(word: str) -> None:
    """Each time is 0, which means its default, or at least 1ms; in an image's record as well."""
    option, key = f"health_{word.replace('-', '_')}", f"{KEYS[word][0].lower()}{KEYS[word][1:]}"
    for text in ("1ns", "999us", "0.5ms"):
        with pytest.raises(
            UsageError, match=f"--health-{word} {text}.*{KEYS[word]} in Healthcheck cannot be less than 1ms"
        ):
            settings(**{option: text})
    for text in ("1ms", "1000us", "1000000ns", "1s"):
        assert settings(**{option: text})[key] == pytest.approx(duration(option, text))
    assert settings(**{option: "0s"}) == settings()
    for wrong in (1, 999_999, -1):
        with pytest.raises(UsageError, match=f"image some:1: {KEYS[word]} in Healthcheck cannot be less than 1ms"):
            for_monitor(Request(Image(**{KEYS[word]: wrong})))  # type: ignore[arg-type]


def test_kept_results() -> None:
    """The last five results are kept, with the number of failures in a row."""
    it, container = check()
    results(it, *range(1, 9))
    kept = container.record.written[-1]
    assert [row["ExitCode"] for row in kept["Log"]] == [4, 5, 6, 7, 8]
    assert len(kept["Log"]) == LOG_MAX
    assert kept["FailingStreak"] == 8


def test_a_full_disk_does_not_end_the_monitor() -> None:
    """A result that cannot be written is lost; the next one is written again."""
    it, container = check()
    container.record.full = True
    assert results(it, 0) == [HEALTHY]
    container.record.full = False
    assert results(it, 0) == [HEALTHY]
    assert len(container.record.written) == 1
