"""`tinybox watch` without root shows the user's own boxes."""

from __future__ import annotations

import http.client
import json
import re
import signal
from pathlib import Path

import pytest

from tests.support.boxes import PATIENCE
from tests.support.student import Student, student

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]


def test_a_user_watches_a_box_of_their_own(student: Student) -> None:
    """A server without root answers on the host's loopback: both pids, and a file of the upper directory."""
    student.says("run", "-d", "--name", "mine", "busybox", "sh", "-c", "echo hello >/fresh; exec sleep 1000")
    try:
        with student.start("watch", "--serve", "mine") as serving:
            assert serving.stdout
            found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/([\w-]+)/\n", serving.stdout.readline())
            assert found
            client = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=PATIENCE)
            client.request("GET", f"/{found[2]}/look/0")
            view = json.loads(client.getresponse().read())["view"]
            client.close()
            serving.send_signal(signal.SIGINT)
            assert serving.wait(PATIENCE) == 0
        panels = {panel["name"]: panel["rows"] for panel in view["panels"]}
        first = next(row for row in panels["processes"] if row[0] == str(view["pid"]))
        status = Path(f"/proc/{view['pid']}/status").read_text()
        assert re.search(r"^NSpid:\s.*\b1$", status, re.MULTILINE)
        assert first[2].startswith("1 ")
        assert any(row[0] == "/fresh" and "added" in row[2] for row in panels["upper"])
        assert any(row[0] == "user" and "the same" in row[2] for row in panels["namespaces"])  # of the home
    finally:
        student("rm", "-f", "mine")
