"""The option --format: print a list as a table, as lines of JSON, or by a template, as docker does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tinybox.cli.formatting.functions import as_json
from tinybox.cli.formatting.template import Template, unescaped
from tinybox.errors import printable

GAP, NARROWEST = 3, 10  # spaces between two columns, and the least width of a column; as in docker's tables

Columns = dict[str, tuple[str, Callable[[Any], Any]]]


class Row(Mapping[str, Any]):
    """The data of one row for a template: its columns by their names; a value is computed when it is used."""

    def __init__(self, columns: Columns, thing: Any) -> None:
        self._columns, self._thing = columns, thing

    def __getitem__(self, name: str) -> Any:
        return self._columns[name][1](self._thing)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


class Table:
    """Formats things that have these *columns* (name: heading, and the function that returns a thing's value).

    *style* is the value of --format; *usual* names the columns of the default table; *raw* has the lines of the style
    ``raw``, as pairs ``word:column``.
    """

    def __init__(self, columns: Columns, style: str, usual: str, raw: str = "") -> None:
        if style == "raw" and raw:
            style = "".join("{}: {{{{.{}}}}}\n".format(*pair.split(":")) for pair in raw.split())
        self._columns = columns
        self._json = style == "json"
        self.is_table = style in ("", "table") or style.startswith("table ")
        text = style.removeprefix("table").strip() if self.is_table else style
        text = text or "\t".join(f"{{{{.{name}}}}}" for name in usual.split())
        self._template = Template(unescaped(text), in_cells=self.is_table)

    def lines(self, things: Iterable[Any]) -> list[str]:
        """Return the lines to print for *things*, one or more for each; a table begins with its headings."""
        rows = [Row(self._columns, thing) for thing in things]
        if self._json:
            return [as_json(row) for row in rows]
        texts = [self._template.render(row) for row in rows]
        return aligned([self._headings(), *texts]) if self.is_table else texts

    def _headings(self) -> str:
        headings: dict[str, Any] = {name: heading for name, (heading, _) in self._columns.items()}
        headings.update({name: _heading for name, (heading, _) in self._columns.items() if not heading})
        return self._template.render(headings)


def _heading(word: str) -> str:
    """Return the heading of a column that is a function: for ``.Label "x"`` it is x."""
    return word


def aligned(lines: list[str]) -> list[str]:
    """Return *lines*, whose cells are separated by tabs, with aligned columns."""
    rows = [[printable(cell) for cell in line.split("\t")] for line in lines]
    widths = [max(len(row[place]) for row in rows if len(row) > place) for place in range(max(map(len, rows)))]
    return [
        "".join(cell.ljust(max(width + GAP, NARROWEST)) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]
