"""Write what a benchmark has measured into a document, with the date, the kernel and the processor.

A part of a document that a benchmark fills is between ``<!-- measured: NAME -->`` and ``<!-- end -->``. A picture is an
SVG file of its own.
"""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tinybox.pictures import bars, standalone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinybox.pictures.series import Bars

PART = re.compile(r"(<!-- measured: (\S+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
EMPTY = "-"  # a cell without a figure


def host() -> dict[str, object]:
    """Return when and where this is measured: the date in UTC, the kernel, the processor, Python."""
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "Linux": platform.release(),
        "processor": processor(),
        "CPUs": os.cpu_count(),
        "CPython": platform.python_version(),
    }


def processor(cpuinfo: str | None = None) -> str:
    """Return the model of the processor, as proc_cpuinfo(5) has it; where that has none (aarch64), its architecture."""
    text = Path("/proc/cpuinfo").read_text() if cpuinfo is None else cpuinfo
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return " ".join(found[1].split()) if found else platform.machine()


def sentence(facts: dict[str, object], more: str = "") -> str:
    """Return *facts* as a sentence: ``Measured on 2026-11-30: Linux 6.1, ...``; *more* says what the figures are."""
    named = [f"Linux {facts['Linux']}", f"{facts['processor']}", f"{facts['CPUs']} CPUs", f"CPython {facts['CPython']}"]
    return f"Measured on {facts['date']}: {', '.join(named)}.{f' {more}' if more else ''}"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown: the first column and the last are words, the others numbers."""
    marks = ["---", *["--:"] * (len(heads) - 2), "---"]
    return "\n".join([_line(heads), f"|{'|'.join(marks)}|", *map(_line, rows)])


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def fill(path: str, name: str, text: str) -> None:
    """Replace the part *name* of the document *path* by *text*; ValueError: the document has no such part."""
    former = Path(path).read_text()
    if name not in [found[2] for found in PART.finditer(former)]:
        raise ValueError(f"{path} has no part <!-- measured: {name} -->")
    chosen = lambda found: f"{found[1]}\n{text}\n\n{found[3]}" if found[2] == name else found[0]  # noqa: E731
    Path(path).write_text(PART.sub(chosen, former))


def draw(path: str, picture: Bars) -> None:
    """Write *picture* to the file *path*, with its own colours, for a light page and a dark one."""
    Path(path).write_text(standalone.picture(bars.draw(picture)))
