"""The words of --filter, for whatever is listed: ``KEY=VALUE``, docker's keys, and how several of them add up.

Values of one key are alternatives; keys all have to agree, and so have labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox import text_values
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Test = Callable[[Any], bool]


class Filter:
    """The words of several --filter options, made into one question; UsageError tells which word is wrong.

    Who lists something has a method ``_KEY`` for each key, which makes a test of its value.
    """

    def __init__(self, words: Sequence[str], keys: Sequence[str]) -> None:
        self.asked = pairs(words, keys)
        self._alternatives: list[list[Test]] = []
        for key, values in self.asked.items():
            tests = [getattr(self, f"_{key}")(value) for value in values]
            self._alternatives += [[test] for test in tests] if key == "label" else [tests]

    def __call__(self, thing: Any) -> bool:
        """Tell whether *thing* is meant."""
        return all(any(test(thing) for test in tests) for tests in self._alternatives)

    def _label(self, value: str) -> Test:
        key, has_value, wanted = value.partition("=")
        return lambda thing: key in thing.labels and (not has_value or thing.labels[key] == wanted)


def pairs(words: Sequence[str], keys: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each key in *words*, ``KEY=VALUE``; UsageError if it is none of *keys*."""
    asked: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in keys:
            raise UsageError(f"--filter {word}", "is no filter", f"KEY=VALUE; keys: {', '.join(keys)}")
        asked.setdefault(key, []).append(value)
    return asked


def truth(key: str, value: str) -> bool:
    """Return what *value* says: true or 1, false or 0; else UsageError."""
    said = text_values.truth(value)
    if said is None:
        raise UsageError(f"--filter {key}={value}", "is neither true nor false")
    return said
