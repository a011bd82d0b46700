"""Parts of an HTML page as text: elements with escaped words, a table, a drawing with its figures below it."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from tinybox.errors import printable
from tinybox.pictures import drawing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.pictures.series import Picture

QUOTED = re.compile(r"`([^`]+)`")


def words(said: str) -> str:
    """Return text, which may be a stranger's, as HTML: printable and escaped; words in backquotes become code."""
    return QUOTED.sub(r"<code>\1</code>", html.escape(printable(said)))


def element(tag: str, *content: str, name: str = "") -> str:
    """Return an element of the class *name*; *content* is HTML already."""
    return f"<{tag}{f' class={name!r}' if name else ''}>{''.join(content)}</{tag}>"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], name: str = "") -> str:
    """Return a table; its cells are HTML already."""
    head = element("tr", *(f'<th scope="col">{cell}</th>' for cell in heads))
    body = "".join(element("tr", *(element("td", cell) for cell in row)) for row in rows)
    return element("table", element("thead", head), element("tbody", body), name=name)


def picture(one: Picture) -> str:
    """Return a drawing, with its figures as a table that is folded away: the same facts for a screen reader."""
    heads, *rows = drawing.table(one)
    figures = table(map(words, heads), (map(words, row) for row in rows))
    folded = element("details", element("summary", "The figures"), element("div", figures, name="scroll"))
    return element("figure", element("div", drawing.draw(one), name="paper")) + folded
