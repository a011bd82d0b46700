"""The option --format: print a list as a table, as lines of JSON, or by a template, as docker does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from tinybox.errors import printable

if TYPE_CHECKING:
    from tinybox.cli.formatting.template import Template

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
        self._usual = usual.split() if self.is_table and not text else []
        self._template = None if self._usual or self._json else _template(text, in_cells=self.is_table)

    def lines(self, things: Iterable[Any]) -> list[str]:
        """Return the lines to print for *things*, one or more for each; a table begins with its headings."""
        if self._usual:
            headings = [self._columns[name][0] for name in self._usual]
            getters = [self._columns[name][1] for name in self._usual]
            return in_columns([headings, *(self._cells([get(thing) for get in getters]) for thing in things)])
        rows = [Row(self._columns, thing) for thing in things]
        if self._template is None:
            from tinybox.cli.formatting.functions import as_json

            return [as_json(row) for row in rows]
        texts = [self._template.render(row) for row in rows]
        if not self.is_table:
            return texts
        lines = [self._template.render(self._headings()), *texts]
        return in_columns([[printable(cell) for cell in line.split("\t")] for line in lines])

    def _cells(self, values: list[Any]) -> list[str]:
        """Return the *values* of the usual columns as text; nearly always they are text that can be printed."""
        try:
            is_plain = all(map(str.isprintable, values))
        except TypeError:  # a number, or None
            is_plain = False
        return values if is_plain else [_cell(name, value) for name, value in zip(self._usual, values, strict=True)]

    def _headings(self) -> dict[str, Any]:
        headings: dict[str, Any] = {name: heading for name, (heading, _) in self._columns.items()}
        headings.update({name: _heading for name, (heading, _) in self._columns.items() if not heading})
        return headings


def _template(text: str, *, in_cells: bool) -> Template:
    """Return the template *text*; its module is loaded only here: the usual table needs none."""
    from tinybox.cli.formatting.template import Template, unescaped

    return Template(unescaped(text), in_cells=in_cells)


def _cell(name: str, value: Any) -> str:
    """Return the *value* of the column *name* as a template prints it."""
    if not isinstance(value, str):
        from tinybox.cli.formatting.functions import null, shown

        value = null(name) if value is None else shown(value)
    return printable(value)


def _heading(word: str) -> str:
    """Return the heading of a column that is a function: for ``.Label "x"`` it is x."""
    return word


def in_columns(rows: list[list[str]]) -> list[str]:
    """Return *rows* of cells as lines with aligned columns."""
    widths = [max(max(map(len, column)) + GAP, NARROWEST) for column in zip_longest(*rows, fillvalue="")]
    return ["".join(map(str.ljust, row, widths)).rstrip() for row in rows]
