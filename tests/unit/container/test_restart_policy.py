"""Restart policies, without a container: whether it is started again, how often, and after how long."""

from __future__ import annotations

import pytest

from tinybox.container.config import restart_policy
from tinybox.container.config.restart_policy import Policy
from tinybox.container.process.wait_loop import Ending
from tinybox.container.records import spec
from tinybox.errors import UsageError


@pytest.mark.parametrize(
    ("text", "status", "again"),
    [
        ("no", 0, False),
        ("no", 1, False),
        ("on-failure", 0, False),
        ("on-failure", 137, True),
        ("always", 0, True),
        ("unless-stopped", 0, True),
    ],
)
def test_when_it_is_started_again(text: str, status: int, again: bool) -> None:
    """The policy and the exit status decide; a requested stop is final under every policy."""
    assert Policy(text).again(Ending(status), stopped=False) == again
    assert not Policy(text).again(Ending(status), stopped=True)


@pytest.mark.parametrize(
    "text", ["", "sometimes", "always:3", "on-failure:x", "on-failure:-1", "on-failure:" + "9" * 5000]
)
def test_invalid_policies(text: str) -> None:
    """Anything else is an error that names the option."""
    with pytest.raises(UsageError, match="is not a policy"):
        Policy(text)


def test_the_limit_of_starts() -> None:
    """on-failure:2 allows two more starts; without a number there is no limit."""
    policy, endless = Policy("on-failure:2"), Policy("on-failure")
    assert [policy.again(Ending(1), stopped=False) for _ in range(4)] == [True, True, False, False]
    assert policy.count == 2
    assert all(endless.again(Ending(1), stopped=False) for _ in range(100))


def test_the_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.1 s, doubled each time up to 60 s; after a run of ten seconds the first pause again."""
    clock = [100.0]
    monkeypatch.setattr(restart_policy.time, "monotonic", lambda: clock[0])  # type: ignore[attr-defined]
    policy, pauses = Policy("always"), []
    for _ in range(12):
        pauses.append(policy.delay())
        clock[0] += pauses[-1] + 1
    assert pauses[:5] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])
    assert pauses[-1] == 60
    clock[0] += restart_policy.LONG_ENOUGH
    assert policy.delay() == pytest.approx(0.1)


def test_a_delay_and_a_window_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause stays the same; after a run as long as the window, and only then, starts are counted from 0 again."""
    clock = [100.0]
    monkeypatch.setattr(restart_policy.time, "monotonic", lambda: clock[0])  # type: ignore[attr-defined]
    policy = Policy("on-failure:2", {spec.RESTART_DELAY: "1500", spec.RESTART_WINDOW: "5000"})
    again = []
    for seconds in (1, 1, 1, 5):
        clock[0] += seconds
        again.append(policy.again(Ending(1), stopped=False))
        assert policy.delay() == 1.5
        clock[0] += 1.5
    assert again == [True, True, False, True]
    assert policy.count == 1
    assert policy.now("always").delay() == 1.5


def test_a_policy_that_is_changed() -> None:
    """The same text keeps the count; another text is another policy, which counts from zero."""
    policy = Policy("on-failure:2")
    policy.again(Ending(1), stopped=False)
    assert policy.now("on-failure:2") is policy
    assert policy.now("always").count == 0


@pytest.mark.parametrize("text", ["", "sometimes", "always:3", "on-failure:x", "on-failure:-1", "no:1", "ALWAYS"])
def test_policies_that_docker_refuses(text: str) -> None:
    """They are refused here, too."""
    with pytest.raises(UsageError):
        Policy(text)
