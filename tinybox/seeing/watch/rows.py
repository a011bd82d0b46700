"""What a look at a box consists of: panels of rows, each with the host's words on the left and the box's on the right.

Terminal, page and tests use the same rows. Two looks are compared by the keys of their rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

SAME, NEW, CHANGED, GONE = "", "new", "changed", "gone"
MOST_ROWS = 200  # of a panel that are shown


class Row(NamedTuple):
    """One fact: its *key* in the panel, the same in each look, and what host and box call it.

    *number* is the value of a counter, None for other facts. *rising*: it only grows, so the rate is interesting.
    *mark* says how the row differs from that of the former look.
    """

    key: str
    host: str
    box: str
    number: float | None = None
    rising: bool = False
    mark: str = SAME


class Panel(NamedTuple):
    """One kind of facts: its *name*, a *title* for each side, and the rows in the order in which they are shown."""

    name: str
    host: str
    box: str
    rows: list[Row]


class View(NamedTuple):
    """All that one look saw of a box: *status* is docker's word for its state, *ended* a sentence about its end."""

    name: str
    container: str
    status: str
    pid: int
    ended: str
    panels: list[Panel]

    def panel(self, name: str) -> list[Row]:
        """Return the rows of the panel *name*."""
        return next((panel.rows for panel in self.panels if panel.name == name), [])


def limited(rows: list[Row], what: str) -> list[Row]:
    """Return the first MOST_ROWS *rows*, and one row that says how many *what* more there are."""
    if len(rows) <= MOST_ROWS:
        return rows
    return [*rows[:MOST_ROWS], Row("...", f"and {len(rows) - MOST_ROWS} more {what}", "")]


def compared(former: View | None, now: View) -> View:
    """Return *now* with marks at rows that are new, changed or gone since the look *former*; the first look has none.

    A row that is gone is shown once more, at the end of its panel.
    """
    if former is None:
        return now
    return now._replace(
        panels=[panel._replace(rows=_marked(former.panel(panel.name), panel.rows)) for panel in now.panels]
    )


def _marked(former: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    before = {row.key: row for row in former if row.mark != GONE}
    marked = []
    for row in rows:
        was = before.pop(row.key, None)
        mark = NEW if was is None else SAME if (was.host, was.box) == (row.host, row.box) else CHANGED
        marked.append(row._replace(mark=mark))
    return [*marked, *(row._replace(mark=GONE) for row in before.values())]
