r"""The templates of --format: the part of Go's text/template that docker's users write, compiled to Python functions.

    {{.ID}}\t{{.Names}}   {{json .}}   {{index .Config.Labels "x"}}   {{.Name | upper}}   {{range .Mounts}}...{{end}}

Text is printed unchanged; between the braces is a pipeline of values and functions, or one of if, with, range, else,
end. A template is compiled from the outside in: each part becomes a function that takes a Scope and returns its text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from tinybox.cli.formatting import actions
from tinybox.cli.formatting.functions import SHOWN, call, field, known, null, shown, wrong
from tinybox.cli.formatting.scope import TEXT_MOST, Leave, Scope, Shallow
from tinybox.errors import TemplateError, UsageError, printable

Value = Callable[["Scope"], Any]
Part = Callable[["Scope"], str]

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_WORDS = {"true": True, "false": False, "nil": None}
_ROUND = 64  # characters that one round of a range counts for


def unescaped(text: str) -> str:
    r"""Return the value of --format of a command that lists something: docker reads ``\t`` and ``\n`` in it."""
    return text.replace("\\t", "\t").replace("\\n", "\n")


class Template:
    """A template, compiled once and rendered for each thing; UsageError names the error in its text."""

    def __init__(self, text: str, *, in_cells: bool = False) -> None:
        kept = "" if in_cells else "\n\t" if sys.stdout.isatty() else None
        with Shallow():
            self._parts = _Blocks(text, kept).all()

    def render(self, data: Any) -> str:
        """Return the text of the template for *data*; UsageError names a missing field, and lists those there are."""
        with Shallow():
            return _rendered(self._parts, Scope(data, {"$": [data]}, [TEXT_MOST]))


def of_document(text: str) -> Template:
    """Return the template *text* for one document; TemplateError: it cannot be read."""
    try:
        return Template(text)
    except UsageError as error:
        raise TemplateError(error.thing, error.cause, error.cure) from error


def _rendered(parts: list[Part], scope: Scope) -> str:
    texts = []
    for part in parts:
        try:
            texts.append(part(scope))
        except Leave as leave:
            leave.text = "".join([*texts, leave.text])
            raise
        scope.spend(len(texts[-1]))
    return "".join(texts)


def _leave(word: str) -> Part:
    def part(_: Scope) -> str:
        raise Leave(word)

    return part


class _Blocks:
    """Compiles the blocks of a template: text, values, and the parts between if, with or range, and end."""

    def __init__(self, text: str, kept: str | None) -> None:
        self._pieces = actions.split(text)
        self._kept = kept
        self._at = self._depth = 0

    def all(self) -> list[Part]:
        parts, stop = self._block()
        if stop:
            raise wrong(f"{{{{{stop}}}}} without a beginning")
        return parts

    def _block(self) -> tuple[list[Part], str]:
        """Compile up to the next ``else`` or ``end``; return the parts, and the text of that action."""
        parts: list[Part] = []
        while self._at < len(self._pieces):
            text, is_action = self._pieces[self._at]
            self._at += 1
            first, _, rest = text.partition(" ")
            if not is_action:
                parts.append(lambda _, text=text: text)  # type: ignore[misc]
            elif first in ("end", "else"):
                return parts, text
            elif first in ("if", "with", "range"):
                parts.append(self._branches(first, rest))
            elif text in ("break", "continue"):
                if not self._depth:
                    raise wrong(f"{{{{{text}}}}} outside of a range")
                parts.append(_leave(text))
            elif not text.startswith("/*"):
                parts.append(_plain(text, self._kept))
        return parts, ""

    def _branches(self, kind: str, text: str) -> Part:
        """Compile a block that begins with ``if``, ``with`` or ``range``, up to its end."""
        names, value, _ = _declaration(text)
        self._depth += kind == "range"
        body, stop = self._block()
        self._depth -= kind == "range"
        otherwise: list[Part] = []
        chained = stop.partition(" ")[2].split(" ", 1)
        if stop.startswith("else ") and len(chained) == 2 and chained[0] in ("if", "with"):
            otherwise = [self._branches(*chained)]
            stop = "end"
        elif stop == "else":
            otherwise, stop = self._block()
        if stop != "end":
            raise wrong(f"{{{{{kind} {text}}}}} has no {{{{end}}}}")
        if kind == "range":
            return lambda scope: _repeat(scope, names, value(scope), body, otherwise)
        return lambda scope: _choose(scope, names, value(scope), body, otherwise, moves_dot=kind == "with")


def _plain(text: str, kept: str | None) -> Part:
    """Compile an action that is no block: a value to show, or a variable to set; data is shown as `_safe` says."""
    names, value, is_new = _declaration(text)
    tokens = actions.words(text)
    is_data = any(token[0] in ".$" for token in tokens)
    last = tokens[-1].rpartition(".")[2]

    def part(scope: Scope) -> str:
        result = value(scope)
        if not names:
            text = null(last) if result is None and is_data else shown(result)
            return _safe(text, kept) if is_data else text
        scope.set(names[0], result, is_new=is_new)
        return ""

    return part


def _safe(text: str, kept: str | None) -> str:
    """Return *text* with each unprintable character escaped, except *kept*; None: a script reads it unchanged."""
    if kept is None or text.isprintable():
        return text
    return "".join(letter if letter in kept else printable(letter) for letter in text)


def _choose(scope: Scope, names: list[str], value: Any, body: list[Part], other: list[Part], *, moves_dot: bool) -> str:
    variables = {names[0]: value} if names else {}
    dot = value if moves_dot and value else scope.dot
    return _rendered(body if value else other, scope.within(dot, **variables))


def _repeat(scope: Scope, names: list[str], value: Any, body: list[Part], other: list[Part]) -> str:
    if isinstance(value, Mapping):
        pairs: list[tuple[Any, Any]] = [(key, value[key]) for key in sorted(value)]
    elif isinstance(value, list | tuple) or value is None:
        pairs = list(enumerate(value or ()))
    else:
        raise wrong(f"range over {shown(value)[:SHOWN]}: it is neither a list nor a map")
    if not pairs:
        return _rendered(other, scope)
    texts = []
    for pair in pairs:
        scope.spend(_ROUND)
        variables = dict(zip(names, pair if len(names) == 2 else pair[1:], strict=True)) if names else {}
        try:
            texts.append(_rendered(body, scope.within(pair[1], **variables)))
        except Leave as leave:
            texts.append(leave.text)
            if leave.word == "break":
                break
    return "".join(texts)


def _declaration(text: str) -> tuple[list[str], Value, bool]:
    """Compile ``$name := pipeline``, ``$name = pipeline``, ``$key, $value := pipeline`` or a mere pipeline.

    The last part of the result tells if the names are new ones.
    """
    tokens = actions.words(text)
    names: list[str] = []
    sign = next((token for token in tokens if token in (":=", "=")), "")
    if sign:
        at = tokens.index(sign)
        names = [name for name in tokens[:at] if name != ","]
        tokens = tokens[at + 1 :]
        if not all(name.startswith("$") and "." not in name for name in names) or len(names) > 2:
            raise wrong(f"{text!r}: only $names can be set")
    if not tokens:
        raise wrong(f"a value is missing in {{{{{text}}}}}")
    value, rest = _pipeline(tokens)
    if rest:
        raise wrong(f"unexpected {rest[0]!r} in {{{{{text}}}}}")
    return names, value, sign == ":="


def _pipeline(tokens: list[str]) -> tuple[Value, list[str]]:
    """Compile commands joined by ``|``: the result of one is the last argument of the next."""
    value, tokens = _command(tokens, None)
    while tokens[:1] == ["|"]:
        value, tokens = _command(tokens[1:], value)
    return value, tokens


def _command(tokens: list[str], piped: Value | None) -> tuple[Value, list[str]]:
    """Compile one command: a function with its arguments, or a value alone."""
    if not tokens or tokens[0] in ("|", ")", ","):
        raise wrong("a value is missing in a pipeline")
    name = known(tokens[0]) if re.fullmatch(r"[a-zA-Z]\w*", tokens[0]) and tokens[0] not in _WORDS else ""
    head, tokens = ((lambda _: None), tokens[1:]) if name else _operand(tokens)
    arguments: list[Value] = []
    while tokens and tokens[0] not in ("|", ")", ","):
        argument, tokens = _operand(tokens)
        arguments.append(argument)
    arguments += [piped] if piped is not None else []
    if name:
        return lambda scope: call(name, *(argument(scope) for argument in arguments)), tokens
    return lambda scope: _applied(head(scope), [argument(scope) for argument in arguments]), tokens


def _applied(value: Any, arguments: list[Any]) -> Any:
    """Return *value*; if it is a function, such as ``.Label "x"``, return the result of calling it."""
    if callable(value):
        try:
            return value(*arguments)
        except TypeError as error:
            raise wrong('a field that is a function needs its arguments, as in {{.Label "x"}}') from error
    if arguments:
        raise wrong(f"{shown(value)[:SHOWN]} is no function: it cannot take {shown(arguments[0])[:SHOWN]}")
    return value


def _operand(tokens: list[str]) -> tuple[Value, list[str]]:
    word, rest = tokens[0], tokens[1:]
    if word == "(":
        inner, rest = _pipeline(rest)
        if rest[:1] != [")"]:
            raise wrong(") is missing")
        names = rest[1][1:].split(".") if len(rest) > 1 and re.match(r"\.\w", rest[1]) else []
        return (lambda scope: _walk(inner(scope), names)), rest[2 if names else 1 :]
    if word[0] in '"`':
        text = word[1:-1]
        if word[0] == '"':
            text = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text)
        return (lambda _: text), rest
    if word[0] == ".":
        names = word[1:].split(".") if word != "." else []
        return (lambda scope: _walk(scope.dot, names)), rest
    if word[0] == "$":
        variable, *names = word.split(".")
        return (lambda scope: _walk(scope.value(variable), names)), rest
    if word in _WORDS:
        return (lambda _: _WORDS[word]), rest
    if word[0].isdigit() or word[0] == "-":
        number = float(word) if "." in word else int(word)
        return (lambda _: number), rest
    raise wrong(f"unexpected {word!r}")


def _walk(value: Any, names: list[str]) -> Any:
    owner = ""
    for name in names:
        value, owner = field(value, name, owner), name
    return value
