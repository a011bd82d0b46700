"""An image may have as many layers as docker's: more than the paths of layers that fit into a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

LAYERS = 126  # and the base


def test_an_image_of_127_layers(built: Command, tmp_path: Path) -> None:
    """It is built by RUN and COPY, and runs, also with a volume; mount(2) takes one page of options."""
    (tmp_path / "file").write_text("last\n")
    lines = ["FROM busybox", *(f"COPY file /f{number}" for number in range(LAYERS - 1)), "RUN mkdir /v && cp /f1 /v/f"]
    (tmp_path / "Containerfile").write_text("\n".join([*lines, "VOLUME /v", ""]))
    done = built("build", "-q", "-t", "case", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert built("run", "--rm", "case", "sh", "-c", "ls -d /f* | wc -l; cat /f124 /v/f").stdout == "125\nlast\nlast\n"
