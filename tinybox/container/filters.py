"""Which containers are meant by `--filter KEY=VALUE`: docker's keys, and how their values add up.

Values of one key are alternatives; keys all have to agree, and so have labels.
"""

from __future__ import annotations

import re

from tinybox.container import listing, networks, spec
from tinybox.errors import TinyboxError, UsageError
from tinybox.images.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinybox.container.home import Home
    from tinybox.container.listing import Listed

    Test = Callable[[Listed], bool]

HEALTH = ("starting", "healthy", "unhealthy", "none")
AT_REST_TOO = ("status", "before", "since")  # who asks for one of these means containers that have ended, too


class Filter:
    """The words of several --filter options, made into one question; UsageError tells which word is wrong."""

    def __init__(self, home: Home, words: Sequence[str]) -> None:
        self._home = home
        asked = pairs(words, self._KEYS)
        self.at_rest = any(key in asked for key in AT_REST_TOO)
        self._alternatives: list[list[Test]] = []
        for key, values in asked.items():
            tests = [self._KEYS[key](self, value) for value in values]
            self._alternatives += [[test] for test in tests] if key == "label" else [tests]

    def __call__(self, listed: Listed) -> bool:
        """Tell whether a container is meant."""
        return all(any(test(listed) for test in tests) for tests in self._alternatives)

    def _id(self, value: str) -> Test:
        pattern = _pattern("id", value)
        return lambda listed: bool(pattern.search(listed.id))

    def _name(self, value: str) -> Test:
        pattern = _pattern("name", value.removeprefix("/"))
        return lambda listed: bool(pattern.search(listed.name))

    def _label(self, value: str) -> Test:
        key, has_value, wanted = value.partition("=")
        return lambda listed: key in listed.labels and (not has_value or listed.labels[key] == wanted)

    def _exited(self, value: str) -> Test:
        if value != "unknown" and not value.isdecimal():
            raise UsageError(f"--filter exited={value}", "is no exit status", "a number, or unknown")
        wanted = None if value == "unknown" else int(value)
        return lambda listed: listed.word == "exited" and listed.state.get("exitCode") == wanted

    def _status(self, value: str) -> Test:
        _one_of("status", value, listing.STATES)
        return lambda listed: listed.word == value

    def _health(self, value: str) -> Test:
        _one_of("health", value, HEALTH)
        return lambda listed: listed.health == value

    def _ancestor(self, value: str) -> Test:
        """Ask for an image by name or id, those that were made on top of it included: they have its layers below."""
        try:
            wanted = Store(self._home.root).image(value)
        except TinyboxError:  # it may be gone, and its containers still there
            return lambda listed: (
                value in (listed.image, listed.image.rpartition(":")[0])
                or (len(value) >= 12 and listed.image_id.startswith(value.removeprefix("sha256:")))
            )
        layers = ":".join(wanted.layers)
        return lambda listed: (
            listed.image_id == wanted.id or f"{listed.annotations.get(spec.LAYERS)}:".startswith(f"{layers}:")
        )

    def _before(self, value: str) -> Test:
        made = listing.find(self._home, value).state.get("createdAt", 0)
        return lambda listed: listed.state.get("createdAt", 0) < made

    def _since(self, value: str) -> Test:
        made = listing.find(self._home, value).state.get("createdAt", 0)
        return lambda listed: listed.state.get("createdAt", 0) > made

    def _network(self, value: str) -> Test:
        from tinybox.container import network_words

        known = [network.name for network in networks.every(self._home) if network.id.startswith(value)]
        return lambda listed: not {value, *known}.isdisjoint(network_words.names(listed))

    def _volume(self, value: str) -> Test:
        return lambda listed: any(value in (mount["Name"], mount["Destination"]) for mount in listed.mounts())

    _KEYS: dict[str, Callable[[Filter, str], Test]] = {  # noqa: RUF012  never changed
        "ancestor": _ancestor,
        "before": _before,
        "exited": _exited,
        "health": _health,
        "id": _id,
        "label": _label,
        "name": _name,
        "network": _network,
        "since": _since,
        "status": _status,
        "volume": _volume,
    }


def pairs(words: Sequence[str], keys: dict[str, Callable[..., Test]] | Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each key in *words*, ``KEY=VALUE``; UsageError if it is none of *keys*."""
    asked: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in keys:
            raise UsageError(f"--filter {word}", "is no filter", f"KEY=VALUE; keys: {', '.join(keys)}")
        asked.setdefault(key, []).append(value)
    return asked


def _pattern(key: str, value: str) -> re.Pattern[str]:
    try:
        return re.compile(value)
    except re.error as error:
        raise UsageError(f"--filter {key}={value}", f"is no regular expression: {error}") from error


def _one_of(key: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise UsageError(f"--filter {key}={value}", "is unknown", ", ".join(allowed))
