"""`compose logs`: each line of a container's output is one line, however long it is."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from tests.support.stored_boxes import home_at, store
from tinybox.compose import members, output
from tinybox.container.monitor.log import Log
from tinybox.container.views import listing
from tinybox.container.views.log_reader import Selection

if TYPE_CHECKING:
    from pathlib import Path


def test_a_long_line_is_one_line(tmp_path: Path) -> None:
    """40,000 characters are several entries of the log, but one line with one name and one time, also for --tail."""
    paths = home_at(tmp_path)
    box = store(paths, "project-web-1", created=1, exitCode=0)
    lines = [b"first\n", b"x" * 40_000 + b"\n", b"last, unfinished"]
    log = Log(os.path.join(paths.bundle(box), "container.log"))
    log.write("stdout", b"".join(lines))
    log.close()
    listed = listing.find(paths, box)
    for tail in (1, 2, 3):
        stream = io.BytesIO()
        shown = output.Output(stream, [listed], prefix=True, timestamps=True)
        output.show(paths, [listed], Selection(tail=tail), shown)
        found = stream.getvalue().splitlines()
        assert len(found) == tail
        for line, expected in zip(found, lines[3 - tail :], strict=True):
            name, _, rest = line.partition(b"  | ")
            assert name.startswith(members.short_name(listed).encode())
            assert rest.partition(b" ")[2] == expected.rstrip(b"\n")
