"""SVG text: elements with escaped words, and the frame of a picture, with a title and a description to be read."""

from __future__ import annotations

import html
import zlib

from tinybox.errors import printable

WIDTH, HEIGHT = 760, 400  # units; the page shows a unit as 1 to 1.6 pixels
LETTER = 0.56  # the width of a letter on average, as a part of its size
SIZE = 19  # of letters, in units: 1/40 of the height of a screen


def element(tag: str, *content: str, **attributes: float | str) -> str:
    """Return an element; *content* is SVG already, attributes are escaped; ``kind`` stands for ``class``."""
    named = {("class" if key == "kind" else key.replace("_", "-")): value for key, value in attributes.items()}
    written = "".join(f' {key}="{html.escape(shown(value))}"' for key, value in named.items() if value != "")
    return f"<{tag}{written}>{''.join(content)}</{tag}>" if content else f"<{tag}{written}/>"


def shown(value: float | str) -> str:
    """Return a word as it is, and a number with two digits after the point at most."""
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def words(text: str) -> str:
    """Return *text*, which may be a stranger's, as text of SVG and HTML: printable and escaped."""
    return html.escape(printable(text))


def text(x: float, y: float, said: str, **attributes: float | str) -> str:
    """Return a line of text at a place."""
    return element("text", words(said), x=x, y=y, **attributes)


def length(said: str, size: float = SIZE) -> float:
    """Return about how wide a text is, in units."""
    return len(said) * size * LETTER


def cut(said: str, room: float, size: float = SIZE) -> str:
    """Return *said*, shortened if it is wider than *room* units."""
    letters = int(room / (size * LETTER))
    return said if len(said) <= letters else f"{said[: max(1, letters - 1)]}…"


def picture(title: str, description: str, *content: str, height: float = HEIGHT) -> str:
    """Return the whole picture, as one image with a name and a description; see the SVG accessibility mappings."""
    mark = f"p{zlib.crc32((title + description).encode('utf-8', 'backslashreplace')):08x}"  # unique on a page
    return element(
        "svg",
        element("title", words(title), id=f"{mark}t"),
        element("desc", words(description), id=f"{mark}d"),
        *content,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {shown(height)}",
        role="img",
        aria_labelledby=f"{mark}t {mark}d",
        kind="drawing",
    )
