"""Each key of the compose specification has an effect, or is left out with a reason: each one is tried."""

from __future__ import annotations

import sys

import pytest

from tools import compose_keys


def test_each_key_has_an_effect_or_a_reason() -> None:
    """A project with the key differs from one without it, or LEFT_OUT says what happens, and why."""
    shares = compose_keys.shares()
    sys.stdout.write(f"keys: {shares['there']} of {shares['sensible']}, {shares['share']} %\n")
    assert compose_keys.wrong() == []
    assert shares["share"] >= 95


def test_the_facts_are_there() -> None:
    """The table is the specification's: all five kinds of things, and more than three hundred keys."""
    known = compose_keys.FACTS["keys"]
    assert {"services.build.args", "networks.ipam.config.subnet", "volumes.driver_opts", "include.path"} <= set(known)
    assert len(known) > 330
    assert known["services.env_file"] == ["array", "string"]


@pytest.mark.parametrize(
    ("key", "kinds", "complaint"),
    [
        ("services.frobnicate", ["string"], "services.frobnicate: unknown, not effect"),
        ("services.ports.name", ["string"], "services.ports.name: nothing, not effect"),
        ("services.gpus", ["string"], "services.gpus: refused, not effect"),
    ],
)
def test_a_key_without_effect_is_found(
    monkeypatch: pytest.MonkeyPatch, key: str, kinds: list[str], complaint: str
) -> None:
    """The guard works: a key that is not known, one that does nothing, and one that is refused."""
    monkeypatch.setitem(compose_keys.FACTS["keys"], key, kinds)
    monkeypatch.setattr(compose_keys, "FACTS", {"keys": {key: kinds}})
    monkeypatch.setattr(compose_keys, "LEFT_OUT", {})
    compose_keys.outcomes.cache_clear()
    try:
        assert any(line.startswith(complaint) for line in compose_keys.wrong())
    finally:
        compose_keys.outcomes.cache_clear()


def test_a_reason_that_is_not_needed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard works: a key that is left out and has an effect, and one that is not the specification's."""
    monkeypatch.setitem(compose_keys.LEFT_OUT, "services.image", (compose_keys.REFUSED, "because"))
    monkeypatch.setitem(compose_keys.LEFT_OUT, "services.nothing", (compose_keys.REFUSED, "because"))
    assert "services.image: effect, not refused" in compose_keys.wrong()
    assert "services.nothing: is no key" in compose_keys.wrong()
