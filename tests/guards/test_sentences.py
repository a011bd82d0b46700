"""Sentences name their subject: no "who" or "what" without a noun, no process called "he", no archaic words.

A reader whose first language is another one understands each sentence at first sight. This guard knows only the worst
patterns; ../shared/house.md and CONTRIBUTING.md have the style, and reading is what counts.
"""

from __future__ import annotations

import io
import re
import tokenize
from typing import TYPE_CHECKING

import pytest

from tests.guards.sources import CHECKOUT, Source, complaints

if TYPE_CHECKING:
    from collections.abc import Iterator

VERBS = (
    "is|are|was|has|had|does|can|cannot|may|must|comes|goes|runs|wants|asks|begins|lives|dies|lies|takes|makes|"
    "needs|owns|holds"
)
PATTERNS = {
    rf"(?:^|[.:;] |\")(?:Who|What|who|what) (?:{VERBS})\b(?!.*\?)": "name the process or the thing",
    r"\b[Ww]hoever\b": "name the process",
    r"\b(?:[Hh]e|[Hh]is|[Hh]im|[Hh]imself)\b": "a process is it",
    r"\b[Ss]omebody\b": "name the user, process or program",
    r"\banew\b": "again",
    r"\bin vain\b": "without a result",
    r"\bto be had\b": "available",
    r"\b(?:[Ll]est|[Tt]hereby)\b": "so that ... not, by this",
}
PAGES = [
    *(CHECKOUT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md") if (CHECKOUT / name).exists()),
    *sorted((CHECKOUT / "docs").rglob("*.md")),
]
SHORTEST = 25  # characters of a string that can be a sentence


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of comments, docstrings and long strings in a file, each with its number."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and len(token.string) > SHORTEST):
            yield from windows(token.string, token.start[0])


def windows(text: str, first: int = 1) -> Iterator[tuple[int, str]]:
    """Yield each line of *text* and its number; what follows up to a question mark within two lines belongs to it."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        more = " ".join(lines[at + 1 : at + 3])
        yield first + at, f"{line} {more.partition('?')[0]}?" if "?" in more else line


def odd(line: str) -> Iterator[str]:
    """Yield what is wrong with a *line* of prose."""
    for pattern, advice in PATTERNS.items():
        if match := re.search(pattern, line.strip()):
            yield f"{match[0]!r}: {advice}"


def unclear(source: Source) -> Iterator[str]:
    """Complain about lines of comments, docstrings and messages with one of the patterns."""
    for number, line in prose(source.text):
        for complaint in odd(line):
            yield f"{number}: {complaint}"


def test_sentences_of_the_code_name_their_subject() -> None:
    """Docstrings, comments, messages and help of the code, its tools and benchmarks."""
    assert complaints(unclear, "tinybox", "tools", "benchmarks") == ""


def test_sentences_of_the_tests_name_their_subject() -> None:
    """The same in tests; this file has the patterns themselves."""
    lines = complaints(unclear, "tests").splitlines()
    assert [line for line in lines if not line.startswith("tests/guards/test_sentences.py:")] == []


def test_sentences_of_the_pages_name_their_subject() -> None:
    """README, CHANGELOG and every page in docs/."""
    found = [
        f"{page.relative_to(CHECKOUT)}:{number}: {complaint}"
        for page in PAGES
        for number, line in windows(page.read_text())
        for complaint in odd(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        '"""Who owns it removes it."""',
        "# it ends: who has the lock may remove it",
        "# the owner, he holds the lock",
        '"""Wait for whoever comes."""',
        '"cannot be removed: somebody uses it"',
    ],
)
def test_a_sentence_without_a_noun_is_found(line: str) -> None:
    """The guard bites, in docstrings, comments and messages."""
    assert list(unclear(Source("x.py", f"{line}\n")))


@pytest.mark.parametrize("line", ['"""The owner removes it. What does the kernel answer?"""', "# a process that waits"])
def test_a_plain_sentence_is_accepted(line: str) -> None:
    """The control: a plain sentence, and a question."""
    assert not list(unclear(Source("x.py", f"{line}\n")))
