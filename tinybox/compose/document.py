"""A compose file as a tree of fields, each of which knows its line: so that what is wrong can be pointed at.

YAML is read down to its nodes and no further. What a word means, a number, a yes, a time, is decided by who asks for
it; so ``22:22`` stays a port, and ``no`` a restart policy.
"""

from __future__ import annotations

import os
import shlex

from tinybox.compose.interpolation import interpolate
from tinybox.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

STDIN = "-"  # as the name of a file
LARGEST = 1 << 20  # characters of a file
DEEPEST = 40  # levels; an alias that contains itself would have no end
FIELDS_MOST = 100_000  # of a file with its aliases written out: nine lines, each ten times the one before, are 10**9
TEXT_MOST = 1 << 24  # characters of them all, with their variables filled in
NAME_MOST = 200  # characters of a field's name that are kept, for errors
NULL, STRING = "tag:yaml.org,2002:null", "tag:yaml.org,2002:str"
RESET, OVERRIDE, YAMLS = "!reset", "!override", "tag:yaml.org,2002:"  # tags of the specification, and YAML's own


class Field:
    """One value: a text, None, a list or a mapping of fields; with the *place* and the *name* it has in the file."""

    __slots__ = ("content", "name", "place", "tag")

    def __init__(self, content: Any, name: str, place: str, tag: str = STRING) -> None:
        self.content, self.name, self.place, self.tag = content, name, place, tag

    def wrong(self, cause: str, cure: str = "") -> UsageError:
        """Return the error that says what is wrong here, for its finder to raise."""
        return UsageError(f"{self.place}: {self.name}" if self.name else self.place, cause, cure)

    def text(self) -> str:
        """Return the one word or line that this is; UsageError if it is a list, a mapping or nothing."""
        if not isinstance(self.content, str):
            raise self.wrong("is no text", "write one value after the colon")
        return self.content

    def flag(self) -> bool:
        """Return whether this says true; UsageError if it says neither true nor false."""
        word = self.text().lower()
        if word not in ("true", "false", "yes", "no", "on", "off"):
            raise self.wrong(f"{word!r} is neither true nor false")
        return word in ("true", "yes", "on")

    def entries(self) -> list[Field]:
        """Return the items of a list; UsageError if it is none. Nothing at all is an empty list."""
        if self.content is None:
            return []
        if not isinstance(self.content, list):
            raise self.wrong("is no list", "write its items below, each after a dash")
        return self.content

    def texts(self) -> list[str]:
        """Return the items of a list of texts, or a single text as a list of one."""
        return [self.content] if isinstance(self.content, str) else [entry.text() for entry in self.entries()]

    def words(self) -> list[str]:
        """Return a command: a list as it is, a text split as a shell splits it."""
        if not isinstance(self.content, str):
            return self.texts()
        try:
            return shlex.split(self.content)
        except ValueError as error:
            raise self.wrong(f"cannot be split into words: {error}", "close the quote") from error

    def mapping(self, known: Collection[str] = ()) -> dict[str, Field]:
        """Return the fields of a mapping; where the *known* keys are given, another is a UsageError, or an ``x-``.

        Where users choose the keys, as in ``environment``, one that begins so is a key like any other.
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
                raise field.wrong("is a key that tinybox does not know", "docs/compose.md lists those it knows")
        return found

    def pairs(self) -> dict[str, str | None]:
        """Return ``KEY: VALUE`` or a list of ``KEY=VALUE``; the value is None where there is none."""
        if isinstance(self.content, list):
            split = (entry.text().partition("=") for entry in self.content)
            return {key: value if equals else None for key, equals, value in split}
        return {key: None if field.content is None else field.text() for key, field in self.mapping().items()}

    def plain(self) -> Any:
        """Return the tree as plain lists, dicts and scalars, for who prints it."""
        if isinstance(self.content, dict):
            return {key: field.plain() for key, field in self.content.items()}
        if isinstance(self.content, list):
            return [field.plain() for field in self.content]
        if self.content is None or self.tag == STRING:
            return self.content
        return _scalar(self.content)


def _scalar(text: str) -> Any:
    """Return the number, the truth or the date that a plain *text* means; whatever else it could mean, it is a text."""
    yaml = _yaml()
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return text
    return text if isinstance(value, dict | list) else value


def written(tree: Any) -> str:
    """Return plain lists, dicts and scalars as YAML, every dollar doubled: read again, it says the same."""
    return str(_yaml().safe_dump(_without_variables(tree), sort_keys=False))


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


def read(path: str, variables: Mapping[str, str]) -> Field:
    """Read the compose file *path*, with ``${NAME}`` in its values filled in; UsageError names the line at fault."""
    yaml = _yaml()
    try:
        with open(0 if path == STDIN else path, encoding="utf-8", closefd=path != STDIN) as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise UsageError(path, f"is larger than {LARGEST >> 20} MiB", "is it a compose file?")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}:{line}", f"is no YAML: {error.problem}", "mind the indentation") from error
    except RecursionError as error:
        raise UsageError(path, "goes too deep", "is it a compose file?") from error
    except (OSError, ValueError, OverflowError, yaml.YAMLError) as error:  # a character that is none is a ValueError
        raise UsageError(path, getattr(error, "strerror", None) or f"cannot be read: {error}") from error
    if node is None:
        raise UsageError(path, "is empty", "it needs services:")
    shown = min(path, os.path.relpath(path), key=len)
    return _Reader(shown, lambda text: interpolate(text, variables)).field(node, "", 0)


class _Reader:
    """Makes fields of YAML's nodes, for one *file*; every text goes through *fill*."""

    def __init__(self, file: str, fill: Callable[[str], str]) -> None:
        self._file, self._fill, self._yaml = file, fill, _yaml()
        self._count = self._length = 0

    def field(self, node: Any, name: str, depth: int, key: Any = None) -> Field:
        """Return the field of *node*, whose place is that of its *key*, where it has one."""
        made = Field(None, name[-NAME_MOST:], f"{self._file}:{(key or node).start_mark.line + 1}", node.tag)
        self._count += 1
        if depth > DEEPEST:
            raise made.wrong("goes too deep", "does an alias contain itself?")
        if self._count > FIELDS_MOST:
            raise made.wrong(f"is one of more than {FIELDS_MOST} values", "do aliases stand in one another?")
        if not node.tag.startswith(YAMLS) and node.tag not in (RESET, OVERRIDE):
            raise made.wrong(f"has a tag that tinybox does not know: {node.tag}", f"{RESET} and {OVERRIDE} can be")
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
                raise made.wrong(f"makes all texts longer than {TEXT_MOST >> 20} MiB", "do aliases repeat a long one?")
        return made

    def _fields(self, above: Field, pairs: list[tuple[Any, Any]], depth: int) -> dict[str, Field]:
        own: dict[str, Field] = {}
        merged: dict[str, Field] = {}
        for key, node in pairs:
            if not isinstance(key, self._yaml.ScalarNode):
                raise above.wrong("has a key that is no text", "write KEY: VALUE below it")
            if key.value == "<<":  # YAML's merge key: what it names holds where nothing else is said
                for item in node.value if isinstance(node, self._yaml.SequenceNode) else [node]:
                    merged = self.field(item, above.name, depth + 1).mapping() | merged
                continue
            field = self.field(node, f"{above.name}.{key.value}".lstrip("."), depth + 1, key)
            if key.value in own:
                raise field.wrong("stands there twice", "leave one of them out")
            own[key.value] = field
        return merged | own
