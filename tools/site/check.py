"""Check a site: each link leads to a file of it, each anchor exists, and no page makes a browser ask another host."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Attributes whose address the browser asks by itself. The href of an <a> is asked only after a click.
LOADED = {"src", "srcset", "data", "poster", "action", "background", "xlink:href"}
IN_STYLE = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])\s*((?:https?:)?//[^'\")\s]+)")


class Page(HTMLParser):
    """The links, the addresses that are loaded, and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.styles: list[str] = []
        self._tag = ""
        self.feed(text)

    def note_tag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses and the anchors of a tag."""
        self._tag = tag
        for name, value in attrs:
            if name == "href":
                (self.links if tag == "a" else self.loaded).append(value or "")
            elif name in LOADED:
                self.loaded.append(value or "")
            elif name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")
            elif name == "style":
                self.styles.append(value or "")

    def note_text(self, data: str) -> None:
        """Note the text of a style sheet."""
        if self._tag == "style":
            self.styles.append(data)

    def note_end(self, tag: str) -> None:
        """End the style sheet."""
        if tag == self._tag:
            self._tag = ""

    # The names by which html.parser finds the methods.
    handle_starttag, handle_data, handle_endtag = note_tag, note_text, note_end


def complaints(site: Path) -> Iterator[str]:
    """Yield a line for each link that leads nowhere, and for each address of another host that a page loads."""
    pages = {path.resolve(): Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        name = os.path.relpath(path, site)
        for address in page.loaded:
            if _is_elsewhere(address):
                yield f"{name}: loads {address}"
            elif not address.startswith("data:"):
                yield from _missing(name, path, address, pages)
        for style in page.styles:
            yield from (f"{name}: a style loads {address}" for address in IN_STYLE.findall(style))
        for address in page.links:
            if not urlsplit(address).scheme and not address.startswith("//"):
                yield from _missing(name, path, address, pages)
    for path in sorted(site.rglob("*.css")):
        yield from (f"{path.name}: loads {address}" for address in IN_STYLE.findall(path.read_text()))


def _is_elsewhere(address: str) -> bool:
    return address.startswith("//") or urlsplit(address).scheme in ("http", "https", "ftp", "ws", "wss")


def _missing(name: str, path: Path, address: str, pages: dict[Path, Page]) -> Iterator[str]:
    """Complain if a relative *address* on the page *path* names no file of the site, or no anchor of the page."""
    parts = urlsplit(address)
    goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not goal.is_file():
        yield f"{name}: {address} leads nowhere"
    elif parts.fragment and goal in pages and unquote(parts.fragment) not in pages[goal].anchors:
        yield f"{name}: {address}: there is no such place on the page"
