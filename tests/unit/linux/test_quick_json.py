"""The C half of the json module reads and writes as the whole module does."""

from __future__ import annotations

import io
import json
import math
import random

import pytest

from tinybox.linux import quick_json

TEXTS = [
    "",
    " ",
    "{",
    "[1,",
    '"open',
    "nul",
    "{} x",
    "[NaN]",
    "Infinity",
    '{"a": 1,}',
    "{'a': 1}",
    "\ufeff{}",
    "01",
    '"\n"',
]


def anything(luck: random.Random, depth: int = 0) -> object:
    """Make a random value that JSON can express."""
    kind = luck.randrange(5 if depth > 3 else 7)
    if kind == 5:
        return [anything(luck, depth + 1) for _ in range(luck.randrange(4))]
    if kind == 6:
        return {str(anything(luck, 9)): anything(luck, depth + 1) for _ in range(luck.randrange(4))}
    word = "".join(chr(luck.choice((34, 92, 10, 65, 0xE4, 0x1F600))) for _ in range(luck.randrange(6)))
    return (None, luck.random() < 0.5, luck.randrange(-(10**20), 10**20), luck.uniform(-1e9, 1e9), word)[kind]


def test_both_halves_agree() -> None:
    """A thousand random values give the same text, and the same value again."""
    luck = random.Random(7)  # noqa: S311  the same values each time
    for _ in range(1000):
        value = anything(luck)
        text = quick_json.dumps(value)
        assert text == json.dumps(value)
        assert quick_json.loads(f" \n{json.dumps(value, indent=2)}\n") == value


@pytest.mark.parametrize("text", TEXTS)
def test_malformed_json_is_refused(text: str) -> None:
    """An incomplete or wrong text is a ValueError, as with the whole module (which accepts NaN and Infinity)."""
    with pytest.raises(ValueError, match=r".+"):
        quick_json.loads(text)


def test_values_that_json_cannot_express() -> None:
    """An object, NaN, or a list that contains itself cannot be written."""
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(TypeError):
        quick_json.dumps({"a": object()})
    for value in (math.nan, endless):
        with pytest.raises(ValueError, match=r".+"):
            quick_json.dumps(value)


def test_files() -> None:
    """A value that is written as text can be loaded from a file."""
    assert quick_json.load(io.StringIO(quick_json.dumps({"a": [1, None]}))) == {"a": [1, None]}
