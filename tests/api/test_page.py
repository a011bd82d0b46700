"""docs/api.md and the example: each piece of Python on the page runs, in the order of the page."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import tinybox
from tests.guards.sources import CHECKOUT
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (CHECKOUT / "docs/api.md").read_text()
PIECES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.root
@pytest.mark.slow
def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share their names, as in one session of Python. Control: a false assertion among them is an error."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    names: dict[str, Any] = {}
    assert len(PIECES) == 8
    for piece in PIECES:
        exec(compile(piece, "docs/api.md", "exec"), names)  # noqa: S102  the page is ours
    with pytest.raises(AssertionError):
        exec("assert shop.services == []", names)  # noqa: S102


@pytest.mark.root
@pytest.mark.slow
def test_the_example_prints_what_it_promises() -> None:
    """The visitor reads the page, and the book outlives the server."""
    program = str(CHECKOUT / "examples/guest_book.py")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, timeout=60 * SLOWNESS)
    assert done.returncode == 0, done.stderr
    said = [line.partition(":")[2].strip() for line in done.stdout.splitlines()]
    assert said[0] == "<h1>Welcome</h1>"
    assert "httpd -f -h /srv" in said[1]
    assert said[3] == "a visitor was here"


def test_the_page_names_every_method() -> None:
    """Each public method and property of the five classes is on the page."""
    kinds = (tinybox.Container, tinybox.Image, tinybox.Network, tinybox.Volume, tinybox.Project)
    names = {name for kind in kinds for name in dir(kind) if not name.startswith("_")}
    assert "copy_from" in names  # the control
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", PAGE)] == []
