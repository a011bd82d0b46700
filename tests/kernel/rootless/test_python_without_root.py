"""The Python API and the pytest plugin for a user without root."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.student import Student, student

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]
PROGRAM = """
import tinybox
done = tinybox.run("busybox", "id", "-u", capture_output=True, rm=True, network="none")
with tinybox.Container.run("busybox", "sleep", "1000", name="one", network="none") as box:
    print(done.stdout.decode().strip(), box.exec("hostname").status, [each.name for each in tinybox.Container.list()])
with tinybox.Network.create("mine") as network:
    with tinybox.Container.run("busybox", "sleep", "1000", name="two", network="mine") as box:
        names = [each.name for each in tinybox.Network.list()]
        print("mine" in names, box.exec("ip", "route").stdout.decode().split()[0])
print(tinybox.Container.list(all=True))
"""
TESTS = """
def test_it(tinybox_container, tinybox_command):
    box = tinybox_container("busybox", "sleep", "1000", network="none")
    assert box.exec("id", "-u").stdout == "0\\n"
    assert tinybox_command("ps", "-q").stdout.strip() == box.id[:12]
"""


def test_a_program_in_the_home_uses_the_library(student: Student) -> None:
    """Started by `tinybox unshare`, tinybox.run, Container and Network use the user's store and networks."""
    said = student.says("unshare", sys.executable, "-c", PROGRAM)
    first, second, third = said.splitlines()
    assert (first, second.split()[:2], third) == ("0 0 ['one']", ["True", "default"], "[]")
    assert student.says("ps", "-aq") == ""


def test_the_plugin_works_without_root(student: Student) -> None:
    """Its fixtures run boxes of the user, where neither root nor sudo is there; nothing is left."""
    file = student.home / "test_it.py"
    file.write_text(TESTS)
    words = student.words(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file))
    env = student.environment
    done = subprocess.run(words, capture_output=True, text=True, cwd=student.home, env=env, check=False)
    file.unlink()
    assert "1 passed" in done.stdout, done
    assert student.says("ps", "-aq") == ""
