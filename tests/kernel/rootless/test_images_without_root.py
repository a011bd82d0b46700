"""Without root: build, compose and prune work on files of all ids of the user's range; --step can be left."""

from __future__ import annotations

import os
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest

from tests.support.screens import Screen
from tests.support.student import FIRST, ID, Student, student

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]
BRIDGE = {"TINYBOX_NETWORK": "bridge"}
CONTAINERFILE = """\
FROM busybox
RUN mkdir -m 700 /mine && echo built > /mine/file && chown -R 5:6 /mine && rm /bin/false
COPY --chown=7 Containerfile /copied
USER 5:6
CMD ["cat", "/mine/file"]
"""
COMPOSE = """\
services:
  web:
    image: busybox
    command: sh -c 'echo hello > /index.html; exec httpd -f -h /'
    volumes: [pages:/pages]
    healthcheck: {test: [CMD, wget, -qO-, "http://127.0.0.1/"], interval: 100ms}
  client:
    image: busybox
    command: sh -c 'wget -qO- http://web/; touch /pages/x; chown 9 /pages/x; sleep 1000'
    volumes: [pages:/pages]
    depends_on: {web: {condition: service_healthy}}
volumes: {pages: {}}
"""


@pytest.fixture
def project(student: Student) -> Iterator[Path]:
    """Give a directory of the user with a Containerfile and a compose file."""
    folder = student.home / "project"
    folder.mkdir(mode=0o755)
    (folder / "Containerfile").write_text(CONTAINERFILE)
    (folder / "compose.yaml").write_text(COMPOSE)
    yield folder
    for name in ("Containerfile", "compose.yaml"):
        (folder / name).unlink()
    folder.rmdir()


def test_an_image_is_built_and_removed(student: Student, project: Path) -> None:
    """RUN and COPY keep the owners; outside, the files belong to ids of the range; prune removes all of them."""
    assert student("build", "-t", "built", str(project)).returncode == 0
    assert student.says("run", "--rm", "built") == "built"
    look = "id -u; id -g; stat -c %u:%g /mine/file; stat -c %u /copied; ls /bin/false 2>/dev/null || echo gone"
    assert student.says("run", "--rm", "built", "sh", "-c", look).split() == ["5", "6", "5:6", "7", "gone"]
    store = student.home / ".local/share/tinybox"
    owners = {path.lstat().st_uid for path in store.rglob("*")}
    assert owners == {ID, FIRST + 4, FIRST + 6}
    cached = student("build", "-t", "built", str(project))
    assert cached.stderr.count("CACHED") + cached.stdout.count("CACHED") == 2
    student.says("tag", "built", "other")
    student.says("rmi", "built", "other")
    student.says("builder", "prune", "-a", "-f")
    assert {path.lstat().st_uid for path in store.rglob("*")} == {ID}


def test_services_find_one_another_by_name(student: Student, project: Path) -> None:
    """Compose starts them in order, on a network of their own; `down -v` removes also a volume's file of another id."""
    words = ("compose", "-f", str(project / "compose.yaml"), "-p", "shop")
    up = student(*words, "up", "-d", "--wait", env=BRIDGE)
    assert up.returncode == 0, up.stderr
    assert student.says(*words, "logs", "--no-log-prefix", "client", env=BRIDGE) == "hello"
    assert student.says(*words, "exec", "client", "stat", "-c", "%u", "/pages/x", env=BRIDGE) == "9"
    assert sorted(student.says(*words, "ps", "--services", env=BRIDGE).split()) == ["client", "web"]
    down = student(*words, "down", "-v", env=BRIDGE)
    assert down.returncode == 0, down.stderr
    assert (student.says("ps", "-aq"), student.says("volume", "ls", "-q")) == ("", "")
    assert student.says("network", "ls", "-q", "-f", "name=shop") == ""


def test_a_step_is_left_and_undone(student: Student) -> None:
    """`--step` waits before the first step, which is `home`; `q` leaves, and no box is there."""
    master, slave = os.openpty()
    words = ("setsid", "--ctty", "--wait", student.path, "run", "--rm", "--step", "busybox", "true")
    env = student.environment | {"NO_COLOR": "1", "TERM": "xterm"}
    with subprocess.Popen(student.words(*words), stdin=slave, stdout=slave, stderr=slave, cwd="/", env=env) as process:
        seen = Screen(process, master, slave, termios.tcgetattr(slave))
        seen.wait_for("stopped before step 1, host, home:")
        seen.wait_for("undo everything and leave")
        seen.type("q")
        assert seen.status() == 130
    os.close(master)
    os.close(slave)
    assert student.says("ps", "-aq") == ""
