"""Parse --filter KEY=VALUE options, and combine them as docker does: for containers, volumes, networks and events.

Several values of one key are alternatives; all keys must match, and all labels must match.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tinybox import text_values
from tinybox.container.views import units
from tinybox.errors import OptionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Test = Callable[[Any], bool]


PRUNE_KEYS = ("label", "label!", "until")  # of things that have labels and were made at some time
NO_LABEL = "label!"  # docker's key for things without a label


class Filter:
    """One combined test of several --filter options; UsageError names the option that is wrong.

    A subclass has a method ``_KEY`` for each key, which returns a test for a value of that key; for ``label!`` it is
    _no_label.
    """

    def __init__(self, words: Sequence[str], keys: Sequence[str]) -> None:
        self.values = pairs(words, keys)
        self._alternatives: list[list[Test]] = []
        self._by_key: dict[str, list[Test]] = {}
        for key, values in self.values.items():
            make = self._no_label if key == NO_LABEL else getattr(self, f"_{key.replace('-', '_')}")
            tests = [make(value) for value in values]
            self._alternatives += [[test] for test in tests] if key in ("label", NO_LABEL) else [tests]
            self._by_key[key] = tests

    def __call__(self, thing: Any) -> bool:
        """Return whether *thing* matches the filter."""
        return all(any(test(thing) for test in tests) for tests in self._alternatives)

    def _label(self, value: str) -> Test:
        key, has_value, wanted = value.partition("=")
        return lambda thing: key in thing.labels and (not has_value or thing.labels[key] == wanted)

    def _no_label(self, value: str) -> Test:
        has_label = self._label(value)
        return lambda thing: not has_label(thing)

    def _until(self, value: str) -> Test:
        limit = units.moment("--filter until", value, time.time_ns())
        return lambda thing: thing.created < limit


def pairs(words: Sequence[str], keys: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each key in *words*, a list of ``KEY=VALUE``.

    OptionError, in docker's words: there is no ``=``. UsageError: a key is none of *keys*.
    """
    values: dict[str, list[str]] = {}
    for word in filter(None, words):
        key, equals, value = word.partition("=")
        key, value = key.strip().lower(), value.strip()
        if not equals:
            cause = "bad format of filter (expected name=value)"
            raise OptionError(f"--filter {word}", cause, f"keys: {', '.join(keys)}")
        if key not in keys:
            raise UsageError(f"--filter {word}", f"invalid filter '{key}'", f"keys: {', '.join(keys)}")
        values.setdefault(key, []).append(value)
    return values


def truth(key: str, value: str) -> bool:
    """Return *value* as a bool, as Go's ParseBool reads it (true, 1, false, 0 ...); UsageError for any other text."""
    found = text_values.truth(value)
    if found is None:
        raise UsageError(f"--filter {key}={value}", "is neither true nor false")
    return found
