"""What a check's results mean: from starting to healthy to unhealthy, and what is kept of them."""

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
    wanted = {"test": ["true"], "interval": 1, "timeout": 1, "retries": retries, "startPeriod": start_period, **more}
    return Check(container, wanted), container  # type: ignore[arg-type]


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


def test_the_least_pause() -> None:
    """However short an interval was asked for, a check does not follow another one at once: that is our own time."""
    assert check(interval=1e-3)[0].pause() == check(start_period=10, startInterval=1e-9)[0].pause() == LEAST_PAUSE
    assert check(interval=2)[0].pause() == 2


KEYS = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod", "start-interval": "StartInterval"}


class Image:
    """As much of an image as the settings need."""

    def __init__(self, **healthcheck: int) -> None:
        self.reference, self.config = "some:1", {"Healthcheck": {"Test": ["CMD", "true"], **healthcheck}}


class Request:
    """As much of what a user asks for."""

    def __init__(self, image: Image, **options: str) -> None:
        self.image, self.options = image, options


def settings(**options: str) -> dict[str, Any]:
    """Return the settings of a check that is asked for with *options*."""
    made = for_monitor(Request(Image(), **options))  # type: ignore[arg-type]
    found: dict[str, Any] = json.loads(made[spec.HEALTH])
    return found


@pytest.mark.parametrize("word", list(KEYS))
def test_docker_s_least_time(word: str) -> None:
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
