"""A picture as an SVG file of its own: it brings its style, with colours for a light page and for a dark one.

An image in a page does not see the page's style. It sees whether the reader prefers dark pages: prefers-color-scheme.
"""

from __future__ import annotations

from tinybox.pictures.style import STYLE

LIGHT = {
    "paper": "#fbfaf6",
    "card": "#ffffff",
    "ink": "#191917",
    "soft": "#5d5b55",
    "line": "#dcd8cd",
    "host": "#17569b",
    "box": "#a83c12",
    "new": "#17692f",
    "gone": "#a3221b",
    "plum": "#7a2f8a",
}
DARK = {
    "paper": "#15171a",
    "card": "#1e2125",
    "ink": "#f1efe8",
    "soft": "#b3b0a6",
    "line": "#41454b",
    "host": "#7fb6f2",
    "box": "#f59a68",
    "new": "#77cf8e",
    "gone": "#ff8f85",
    "plum": "#d79be6",
}


def picture(drawn: str) -> str:
    """Return the text of an SVG file with the picture *drawn*, which is an SVG element without a style."""
    rules = [
        f".drawing {{ {_colours(LIGHT)} background: var(--paper);",
        "font-family: system-ui, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif; }",
        f"@media (prefers-color-scheme: dark) {{ .drawing {{ {_colours(DARK)} }} }}",
    ]
    style = "\n".join([STYLE.replace("font-family: inherit; ", "").strip(), *rules])
    return f"{drawn.removesuffix('</svg>')}<style>\n{style}\n</style></svg>\n"


def _colours(known: dict[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in known.items())
