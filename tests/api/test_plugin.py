"""The pytest plugin: its fixtures in runs of pytest of their own, and in this one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import pytest_tinybox
from pytest_tinybox import boxes, command
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tinybox.boxes import Box, ComposeProject
    from pytest_tinybox.command import Command

FILE = """
services:
  web:
    image: busybox
    command: [sh, -c, "echo hi > /srv/page; echo serving; exec httpd -f -h /srv"]
    ports: ["127.0.0.1::80"]
    tmpfs: [/srv]
    stop_grace_period: 0s
    healthcheck: {test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1/page"], interval: 200ms}
"""


@pytest.fixture(scope="module")
def tinybox_compose_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the project of this module, in place of a file beside it."""
    file = tmp_path_factory.mktemp("project") / "compose.yaml"
    file.write_text(FILE)
    return str(file)


def fetched(address: tuple[str, int], path: str) -> bytes:
    """Return the last line that an HTTP server sends."""
    with socket.create_connection(address, timeout=30 * SLOWNESS) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            return answer.read().splitlines()[-1]


@pytest.mark.root
@pytest.mark.slow
def test_boxes_of_a_test_find_one_another(
    tinybox_container: Callable[..., Box], tinybox_network: str, tinybox_command: Command
) -> None:
    """Options are those of `run`; the boxes are in the test's own network, and marked for a later clean-up.

    The network goes after them, though its fixture is the last one of this test.
    """
    text = "trap 'exit 4' TERM; echo here; while :; do sleep 0.05; done"
    web = tinybox_container(
        "busybox", "sh", "-c", text, network=tinybox_network, env={"A": "1"}, publish=["127.0.0.1::80"]
    )
    other = tinybox_container("busybox", "sleep", "60", network=tinybox_network, memory="16m", read_only=True)
    assert other.exec("ping", "-c", "1", web.name).returncode == 0
    assert (web.exec("sh", "-c", "echo $A; cat", input="in").stdout, web.status) == ("1\nin", "running")
    assert other.exec("touch", "/x").returncode == 1
    address, port = web.port(80)
    assert (address, port > 0) == ("127.0.0.1", True)
    assert {web.id, other.id} <= set(tinybox_command("ps", "-q", "--no-trunc", f"-flabel={boxes.LABEL}").stdout.split())
    web.stop()
    assert (web.wait(), web.logs()) == (4, "here\n")


@pytest.mark.root
@pytest.mark.slow
def test_a_project_is_up_for_a_module(tinybox_compose: ComposeProject) -> None:
    """It is healthy before the test begins: the page is there at once, by the published port."""
    assert fetched(tinybox_compose.port("web", 80), "/page") == b"hi"
    assert tinybox_compose.exec("web", "cat", "/srv/page").stdout == "hi\n"
    assert "serving" in tinybox_compose.logs("web")


FAILING = """
import pytest

@pytest.fixture
def broken(tinybox_container):
    tinybox_container("busybox", "sh", "-c", "echo from the setup; exec sleep 60")
    raise RuntimeError

def test_fails(tinybox_container, tinybox_network):
    box = tinybox_container("busybox", "sh", "-c", "printf 'a clue\\\\033]0;x\\\\n'; exec sleep 60", name="probe-{pid}")
    while not box.logs():
        pass
    assert not box

def test_passes(tinybox_container):
    box = tinybox_container("busybox", "sh", "-c", "echo not to be shown; exec sleep 60")
    while not box.logs():
        pass

def test_is_not_begun(broken):
    pass

def test_cannot_start(tinybox_container):
    tinybox_container("busybox", "no-such-program", name="never-{pid}")
"""


@pytest.mark.root
@pytest.mark.slow
def test_a_failure_shows_the_output_of_its_boxes(pytester: pytest.Pytester, tinybox_command: Command) -> None:
    """What the boxes of a test wrote is shown if it fails, without control characters; and they are removed."""
    networks = tinybox_command("network", "ls", "-q").stdout
    pytester.makepyfile(FAILING.replace("{pid}", str(os.getpid())))
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(failed=2, passed=1, errors=1)
    shown = str(done.stdout)
    assert f"tinybox container probe-{os.getpid()}" in shown
    assert "a clue\\x1b]0;x" in shown
    assert "not to be shown" not in shown
    assert "no-such-program" in shown
    assert tinybox_command("ps", "-aq", f"-flabel={boxes.LABEL}", f"-fname={os.getpid()}").stdout == ""
    assert tinybox_command("network", "ls", "-q").stdout == networks


@pytest.fixture
def sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make this process another user, whose only program is the returned file, which is not there yet."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "sudo"


def test_without_root_and_sudo_the_test_is_skipped_with_the_reason(sudo: Path) -> None:
    """Without a sudo, and with one that refuses, the reason says what is missing."""
    for _ in range(2):
        with pytest.raises(pytest.skip.Exception, match="needs root: this is another user, `sudo -n` is not allowed"):
            command.found()
        sudo.write_text("#!/bin/sh\nexit 1\n")
        sudo.chmod(0o755)


def test_sudo_runs_the_command_with_the_settings_of_the_test(sudo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called with -n, and the variables TINYBOX_* go with it."""
    sudo.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {sudo}.calls\nshift\nPATH=/usr/bin:/bin exec "$@"\n')
    sudo.chmod(0o755)
    monkeypatch.setenv("TINYBOX_ROOT", str(sudo.parent / "store"))
    assert command.found()("--version").stdout.startswith("tinybox")
    calls = sudo.with_name("sudo.calls").read_text().splitlines()
    assert [call.startswith("-n env ") and f"TINYBOX_ROOT={sudo.parent}/store" in call for call in calls] == [
        True,
        True,
    ]
    assert calls[-1].endswith("--version")


def test_the_plugin_costs_other_runs_nothing(pytester: pytest.Pytester) -> None:
    """A run without its fixtures loads one file of it, and nothing of tinybox; `-p no:tinybox` not even that."""
    text = "import sys\ndef test_it(): assert [name for name in sys.modules if 'tinybox' in name] == {expected}\n"
    for expected, options in ((["pytest_tinybox"], ()), ([], ("-p", "no:tinybox"))):
        pytester.makepyfile(text.replace("{expected}", repr(expected)))
        pytester.runpytest_subprocess("-p", "no:cacheprovider", *options).assert_outcomes(passed=1)


def test_every_name_of_the_plugin_begins_with_its_own() -> None:
    """Its fixtures and hooks take no name away from other plugins, or from a test."""
    found = {name for name in vars(pytest_tinybox) if "tinybox" in name and not name.startswith("__")}
    public = {f"tinybox_{word}" for word in ("container", "network", "compose_file", "compose", "command")}
    assert found == {"_tinybox_removals", *public}


def test_without_a_compose_file_the_error_says_the_cure(tmp_path: Path) -> None:
    """It names the directory and the fixture to override. Control: a file of one of docker's names is found."""
    with pytest.raises(pytest.fail.Exception, match=r"no compose.yaml in .*the fixture tinybox_compose_file"):
        boxes.compose_file(tmp_path)
    (tmp_path / "docker-compose.yml").touch()
    assert boxes.compose_file(tmp_path) == str(tmp_path / "docker-compose.yml")


def test_options_are_written_as_the_command_reads_them() -> None:
    """Flags, lists, dicts and numbers; None and False are left out."""
    options = {"rm": True, "init": False, "env": {"A": "b c"}, "volume": ["/a:/b", "/c:/d"], "cpus": 0.5, "name": None}
    words = ["--rm", "--env=A=b c", "--volume=/a:/b", "--volume=/c:/d", "--cpus=0.5"]
    assert boxes.option_words(options) == words


@pytest.mark.root
@pytest.mark.slow
def test_what_a_killed_pytest_has_left_is_found_by_its_label(
    pytester: pytest.Pytester, tinybox_command: Command
) -> None:
    """After SIGKILL in a test the box still runs, and the command of the page finds and removes it."""
    pytester.makepyfile(
        "import os, time\n"
        "def test_it(tinybox_container):\n"
        "    open('id', 'w').write(tinybox_container('busybox', 'sleep', '600').id)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=pytester.path) as run:
        deadline = time.monotonic() + 60 * SLOWNESS
        while not (pytester.path / "id").exists() or not (pytester.path / "id").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        run.kill()
    left = tinybox_command("ps", "-aq", "--no-trunc", "--filter", "label=pytest-tinybox").stdout.split()
    assert (pytester.path / "id").read_text() in left
    tinybox_command("rm", "-f", "-v", *left)
