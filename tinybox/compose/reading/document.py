"""Read a compose file into a tree of fields; each field knows its line, so that an error can name it.

YAML is read into nodes of text and no further. Whether a text is a number, a truth value or a time is decided by the
code that reads the field; so ``22:22`` stays a port, and ``no`` a restart policy.
"""

from __future__ import annotations

import os
import shlex

from tinybox.compose.reading.interpolation import interpolate
from tinybox.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

STDIN = "-"  # as the name of a file
LARGEST = 1 << 20  # characters of a file
DEEPEST = 40  # levels; an alias that contains itself would otherwise have no end
FIELDS_MOST = 100_000  # with all aliases expanded: nine lines, each with ten aliases of the line before, give 10**9
TEXT_MOST = 1 << 24  # characters of all fields, with their variables filled in
TRUE, FALSE = ("true", "yes", "on", "y", "t", "1"), ("false", "no", "off", "n", "f", "0")
MODE_MOST, NUMBER_MOST = 0o7777, 20  # the largest permissions, and digits of a number
NAME_MOST = 200  # characters of a field's name that are kept, for errors
NULL, STRING, INT = (f"tag:yaml.org,2002:{kind}" for kind in ("null", "str", "int"))
RESET, OVERRIDE, YAMLS = "!reset", "!override", "tag:yaml.org,2002:"  # tags of the specification, and YAML's own


class Field:
    """One value: a text, None, a list or a mapping of fields; with the *place* and the *name* it has in the file."""

    __slots__ = ("content", "name", "place", "tag")

    def __init__(self, content: Any, name: str, place: str, tag: str = STRING) -> None:
        self.content, self.name, self.place, self.tag = content, name, place, tag

    def wrong(self, cause: str, cure: str = "") -> UsageError:
        """Return a UsageError with the place and the name of this field, for the caller to raise."""
        return UsageError(f"{self.place}: {self.name}" if self.name else self.place, cause, cure)

    def text(self) -> str:
        """Return the text of this field; UsageError if it is a list, a mapping or empty."""
        if not isinstance(self.content, str):
            raise self.wrong("is no text", "write one value after the colon")
        return self.content

    def flag(self) -> bool:
        """Return the truth value of this field; UsageError if it is neither true nor false."""
        word = self.text().lower()
        if word not in (*TRUE, *FALSE):
            raise self.wrong(f"{word!r} is neither true nor false")
        return word in TRUE

    def mode(self) -> int:
        """Return the permissions that this field writes as an octal number; UsageError if it is none.

        A number of YAML's own without a zero in front is decimal, as docker compose reads it.
        """
        text = self.text()
        base = 10 if self.tag == INT and not text.startswith("0") else 8
        digits = text.removeprefix("0o")
        if not digits or len(digits) > NUMBER_MOST or not set(digits) <= set("0123456789"[:base]):
            raise self.wrong(f"{text!r} is no octal number", "write 0440")
        if int(digits, base) > MODE_MOST:
            raise self.wrong(f"{text!r} is no number from 0 to {MODE_MOST:o}")
        return int(digits, base)

    def entries(self) -> list[Field]:
        """Return the items of a list; an empty field is an empty list. UsageError if it is anything else."""
        if self.content is None:
            return []
        if not isinstance(self.content, list):
            raise self.wrong("is no list", "write its items below, each after a dash")
        return self.content

    def texts(self) -> list[str]:
        """Return the items of a list of texts, or a single text as a list of one."""
        return [self.content] if isinstance(self.content, str) else [entry.text() for entry in self.entries()]

    def arguments(self) -> list[str]:
        """Return the arguments of a command: a list unchanged, a text split as a shell splits it."""
        if not isinstance(self.content, str):
            return self.texts()
        try:
            return shlex.split(self.content)
        except ValueError as error:
            raise self.wrong(f"cannot be split into words: {error}", "close the quote") from error

    def mapping(self, known: Collection[str] = ()) -> dict[str, Field]:
        """Return the fields of a mapping; with *known* keys, any other is a UsageError, and ``x-`` keys are left out.

        Without *known*, users choose the keys, as in ``environment``; there ``x-`` keys are keys like any other.
        """
        if self.content is None:
            return {}
        if not isinstance(self.content, dict):
            raise self.wrong("is no mapping", "write KEY: VALUE below it")
        if not known:
            return dict(self.content)
        found = {key: field for key, field in self.content.items() if not key.startswith("x-")}
        for key, field in found.items():
            if key not in known:
                raise field.wrong("is a key that tinybox does not know", "docs/compose.md lists the known ones")
        return found

    def pairs(self) -> dict[str, str | None]:
        """Return a mapping, or a list of ``KEY=VALUE``, as a dictionary; a missing value is None."""
        if isinstance(self.content, list):
            split = (entry.text().partition("=") for entry in self.content)
            return {key: value if equals else None for key, equals, value in split}
        return {key: None if field.content is None else field.text() for key, field in self.mapping().items()}

    def plain(self) -> Any:
        """Return the tree as plain lists, dicts and scalars, for printing."""
        if isinstance(self.content, dict):
            return {key: field.plain() for key, field in self.content.items()}
        if isinstance(self.content, list):
            return [field.plain() for field in self.content]
        if self.content is None or self.tag == STRING:
            return self.content
        return _scalar(self.content)


def _scalar(text: str) -> Any:
    """Return the number, truth value or date that a plain *text* means in YAML, or else the text itself."""
    yaml = _yaml()
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return text
    return text if isinstance(value, dict | list) else value


def written(tree: Any, *, escape: bool = True) -> str:
    """Return plain lists, dicts and scalars as YAML; with *escape* every dollar is doubled, for `read` again."""
    return str(_yaml().safe_dump(_without_variables(tree) if escape else tree, sort_keys=False))


def _without_variables(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_variables(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_without_variables(value) for value in tree]
    return tree.replace("$", "$$") if isinstance(tree, str) else tree


def _yaml() -> Any:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise HostError(
            "compose", "there is no YAML reader for this Python", "pip install 'tinybox[compose]'"
        ) from error
    return yaml


def read(path: str, variables: Mapping[str, str], unset: Callable[[str], object] = lambda _: None) -> Field:
    """Read the compose file *path*, with ``${NAME}`` in its values filled in; UsageError names the line at fault.

    *unset* is called with the name of each variable that is not set and has no default.
    """
    yaml = _yaml()
    try:
        with open(0 if path == STDIN else path, encoding="utf-8-sig", closefd=path != STDIN) as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise UsageError(path, f"is larger than {LARGEST >> 20} MiB", "is it a compose file?")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}:{line}", f"is no YAML: {error.problem}", "mind the indentation") from error
    except RecursionError as error:
        raise UsageError(path, "is nested too deeply", "is it a compose file?") from error
    except (OSError, ValueError, OverflowError, yaml.YAMLError) as error:  # an invalid character is a ValueError
        raise UsageError(path, getattr(error, "strerror", None) or f"cannot be read: {error}") from error
    if node is None:
        raise UsageError(path, "is empty", "it needs services:")
    shown = min(path, os.path.relpath(path), key=len)
    return _Reader(shown, lambda text: interpolate(text, variables, unset)).field(node, "", 0)


class _Reader:
    """Makes fields from the YAML nodes of one *file*; *fill* replaces the variables in every text."""

    def __init__(self, file: str, fill: Callable[[str], str]) -> None:
        self._file, self._fill, self._yaml = file, fill, _yaml()
        self._count = self._length = 0

    def field(self, node: Any, name: str, depth: int, key: Any = None) -> Field:
        """Return the field of *node*; its place is that of its *key*, if it has one."""
        made = Field(None, name[-NAME_MOST:], f"{self._file}:{(key or node).start_mark.line + 1}", node.tag)
        self._count += 1
        if depth > DEEPEST:
            raise made.wrong("is nested too deeply", "does an alias contain itself?")
        if self._count > FIELDS_MOST:
            raise made.wrong(f"is one of more than {FIELDS_MOST} values", "are aliases nested?")
        if not node.tag.startswith(YAMLS) and node.tag not in (RESET, OVERRIDE):
            raise made.wrong(f"has a tag that tinybox does not know: {node.tag}", f"{RESET} and {OVERRIDE} are known")
        if isinstance(node, self._yaml.MappingNode):
            made.content = self._fields(made, node.value, depth)
        elif isinstance(node, self._yaml.SequenceNode):
            made.content = [self.field(item, f"{made.name}[{at}]", depth + 1) for at, item in enumerate(node.value)]
        elif node.tag != NULL:
            try:
                made.content = self._fill(node.value)
            except UsageError as error:
                raise made.wrong(str(error)) from error
            self._length += len(made.content)
            if self._length > TEXT_MOST:
                raise made.wrong(f"makes all texts longer than {TEXT_MOST >> 20} MiB", "do aliases repeat a long text?")
        return made

    def _fields(self, above: Field, pairs: list[tuple[Any, Any]], depth: int) -> dict[str, Field]:
        own: dict[str, Field] = {}
        merged: dict[str, Field] = {}
        for key, node in pairs:
            if not isinstance(key, self._yaml.ScalarNode):
                raise above.wrong("has a key that is no text", "write KEY: VALUE below it")
            if key.value == "<<":  # YAML's merge key: its fields are defaults for this mapping
                for item in node.value if isinstance(node, self._yaml.SequenceNode) else [node]:
                    merged = self.field(item, above.name, depth + 1).mapping() | merged
                continue
            field = self.field(node, f"{above.name}.{key.value}".lstrip("."), depth + 1, key)
            if key.value in own:
                raise field.wrong("is given twice", "leave one of them out")
            own[key.value] = field
        return merged | own
