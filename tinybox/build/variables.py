"""Expand the variables of a Containerfile: ``$name`` and ``${name}`` with the modifiers of docker's reference.

    ${name:-word}  word if name is unset or empty      ${name-word}  word if name is unset
    ${name:+word}  word if name has a value            ${name+word}  word if name is set
    ${name:?word}  an error if it is unset or empty    ${name?word}  an error if it is unset
    ${name#pattern} ${name##pattern}                   without the shortest, longest beginning that fits
    ${name%pattern} ${name%%pattern}                   without the shortest, longest end that fits
    ${name/pattern/word} ${name//pattern/word}         the first, every part that fits replaced by word

Single quotes keep everything as it is; in double quotes variables expand. The quotes themselves are removed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]|[@*#?$!-]")
DEEPEST = 50  # words within words


class VariableError(ValueError):
    """The text of an expansion is wrong, or a variable that must have a value has none."""


def expand(text: str, values: Mapping[str, str], escape: str = "\\", *, keeps_quotes: bool = False) -> str:
    """Return *text* with its variables replaced by *values* (unset ones by ""), and without quotes and escapes.

    With *keeps_quotes*, quotes and escapes stay, as in a heredoc. VariableError says what is wrong.
    """
    return "".join(_Reader(text, values, escape, keeps_quotes=keeps_quotes).words(split=False))


def words(text: str, values: Mapping[str, str], escape: str = "\\") -> list[str]:
    """Return the words of *text*, split at blanks outside of quotes, each with its variables replaced."""
    return list(_Reader(text, values, escape).words(split=True))


class _Reader:
    """Reads a text from left to right; *at* is the index of the next character."""

    def __init__(
        self, text: str, values: Mapping[str, str], escape: str, depth: int = 0, *, keeps_quotes: bool = False
    ) -> None:
        if depth > DEEPEST:
            raise VariableError("the expansions are nested too deeply")
        self._text, self._values, self._escape, self._depth = text, values, escape, depth
        self._keeps = keeps_quotes
        self.at = 0

    def words(self, *, split: bool) -> list[str]:
        """Return the words, or with *split* False the whole text as one word."""
        found, word, is_word = [], "", False
        while self.at < len(self._text):
            letter = self._text[self.at]
            if split and letter.isspace():
                self.at += 1
                if is_word:
                    found.append(word)
                word, is_word = "", False
                continue
            quoted = letter in "'\""
            piece = self._piece(letter)
            word, is_word = word + piece, is_word or quoted or bool(piece)
        return [*found, word] if is_word or not split else found

    def _piece(self, letter: str) -> str:
        """Read the next unit: a quoted part, an escaped character, a variable, or one character."""
        if self._keeps and letter not in {"$", self._escape}:
            self.at += 1
            return letter
        if letter == "'":
            return self._single()
        if letter == '"':
            return self._double()
        if letter == self._escape:
            return self._escaped()
        if letter == "$":
            return self._variable()
        self.at += 1
        return letter

    def _single(self) -> str:
        end = self._text.find("'", self.at + 1)
        if end < 0:
            raise VariableError("a single quote is not closed")
        piece = self._text[self.at + 1 : end]
        self.at = end + 1
        return piece

    def _double(self) -> str:
        found = ""
        self.at += 1
        while self.at < len(self._text):
            letter = self._text[self.at]
            if letter == '"':
                self.at += 1
                return found
            if letter == "$":
                found += self._variable()
            elif letter == self._escape and self._text[self.at + 1 : self.at + 2] in {'"', "$", self._escape}:
                found += self._text[self.at + 1]
                self.at += 2
            else:
                found += letter
                self.at += 1
        raise VariableError("a double quote is not closed")

    def _escaped(self) -> str:
        following = self._text[self.at + 1 : self.at + 2]
        if self._keeps and following not in {"$", self._escape}:
            self.at += 1
            return self._escape
        self.at += 1 + len(following)
        return following or self._escape

    def _variable(self) -> str:
        self.at += 1
        if self._text[self.at : self.at + 1] == "{":
            return self._braced()
        match = _NAME.match(self._text, self.at)
        if not match:
            return "$"
        self.at = match.end()
        return self._values.get(match[0], "")

    def _braced(self) -> str:
        inside = self._inside()
        match = _NAME.match(inside)
        if not match:
            raise VariableError(f"${{{inside}}} has no name of a variable")
        name, rest = match[0], inside[match.end() :]
        value = self._values.get(name)
        if not rest:
            return value or ""
        if rest[0] in ":-+?":
            return self._with_word(name, value, rest)
        if rest[0] in "#%/":
            return self._with_pattern(value or "", rest)
        raise VariableError(f"${{{inside}}} has an unknown modifier {rest[:2]}")

    def _inside(self) -> str:
        """Return the text between the braces, and go behind them; quotes and braces in it may be nested."""
        self.at += 1
        start, depth = self.at, 1
        while self.at < len(self._text):
            letter = self._text[self.at]
            if letter == self._escape:
                self.at += 1
            elif letter == "{":
                depth += 1
            elif letter == "}":
                depth -= 1
                if depth == 0:
                    self.at += 1
                    return self._text[start : self.at - 1]
            self.at += 1
        raise VariableError("${ is not closed")

    def _with_word(self, name: str, value: str | None, rest: str) -> str:
        counts_empty = rest[0] == ":"
        kind, text = (rest[1:2], rest[2:]) if counts_empty else (rest[0], rest[1:])
        is_set = bool(value) if counts_empty else value is not None
        if kind == "-":
            return value or "" if is_set else self._below(text)
        if kind == "+":
            return self._below(text) if is_set else ""
        if kind == "?":
            if is_set:
                return value or ""
            raise VariableError(f"{name}: {self._below(text) or 'it is not set'}")
        raise VariableError(f"unknown modifier :{kind} of ${{{name}}}")

    def _with_pattern(self, value: str, rest: str) -> str:
        double = rest[:2] in {"##", "%%", "//"}
        kind, text = rest[0], rest[2 if double else 1 :]
        if kind == "/":
            pattern, _, word = text.partition("/")
            found = _glob(self._below(pattern), greedy=True)
            return re.sub(found, lambda _: self._below(word), value, count=0 if double else 1)
        pattern = self._below(text)
        if kind == "#":
            match = re.match(_glob(pattern, greedy=double), value)
            return value[match.end() :] if match else value
        ends = range(len(value) + 1) if double else range(len(value), -1, -1)
        whole = re.compile(_glob(pattern, greedy=True))
        start = next((at for at in ends if whole.fullmatch(value, at)), len(value))
        return value[:start]

    def _below(self, text: str) -> str:
        return "".join(_Reader(text, self._values, self._escape, self._depth + 1).words(split=False))


def _glob(pattern: str, *, greedy: bool) -> str:
    """Return the regular expression of a pattern with ``*`` and ``?``."""
    anything = ".*" if greedy else ".*?"
    parts = re.split(r"([*?])", pattern)
    return "(?s:" + "".join({"*": anything, "?": "."}.get(part, re.escape(part)) for part in parts) + ")"
