"""The fixture `privileged`: root is this process, or `sudo -n`, or a privileged container; otherwise a skip.

setpriv(1) plays other users; their right to use sudo comes from a sudoers file in a mount namespace of the test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.privileged import container
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from tests.conftest import Command
    from tests.support.privileged import Runner

pytestmark = pytest.mark.root

CHECKOUT = Path(__file__).parents[2]
MOUNTS = "mkdir /tmp/m && mount -t tmpfs none /tmp/m && umount /tmp/m"
PROBE = "def test_it(privileged):\n    assert privileged('id', '-u').stdout == '0\\n'\n"
CONFIG = "[pytest]\naddopts = -p tests.support.privileged -p no:cacheprovider -rs\nmarkers = root: needs root\n"
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
          "--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search"]  # fmt: skip


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    """Give a directory with one test file in it that uses the fixture."""
    (tmp_path / "test_probe.py").write_text(PROBE)
    (tmp_path / "pytest.ini").write_text(CONFIG)
    return tmp_path


def pytest_in(folder: Path, *before: str, path: str | None = None) -> str:
    """Run pytest in *folder* after the command prefix *before*, and return its output."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PATH"] = path or environment["PATH"]
    done = subprocess.run([*before, sys.executable, "-m", "pytest", str(folder)], capture_output=True, text=True,
                          check=False, env=environment, cwd=folder, timeout=300 * SLOWNESS)  # fmt: skip
    return done.stdout + done.stderr


def test_for_root_it_is_this_process(privileged: Runner) -> None:
    """No prefix stands before the command, and it runs as root."""
    assert privileged.prefix == ()
    assert privileged("id", "-u").stdout == "0\n"


def test_for_another_user_it_is_sudo_without_a_password(probe: Path) -> None:
    """The user nobody, whom sudoers(5) allows everything without a password, becomes root by sudo."""
    if not shutil.which("sudo"):
        pytest.skip("sudo is missing")
    allowed = probe / "sudoers"
    allowed.write_text("nobody ALL=(ALL) NOPASSWD: ALL\n")
    allowed.chmod(0o440)
    script = f'mount --bind {allowed} /etc/sudoers && exec "$@"'
    assert "1 passed" in pytest_in(probe, "unshare", "--mount", "sh", "-ec", script, "sh", *NOBODY)


def test_without_sudo_and_docker_there_is_a_skip_with_its_reason(probe: Path) -> None:
    """The control: the user nobody without sudo does not become root, and the reason of the skip names the cure."""
    said = pytest_in(probe, *NOBODY)
    assert "1 skipped" in said
    assert "`sudo -n` is not allowed, and no docker answers" in said


def test_the_container_is_privileged(tinybox: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container of docker-compose.yml, run by tinybox, may mount and has the checkout; other boxes may not."""
    monkeypatch.setenv("TINYBOX_TEST_IMAGE", "alpine")
    monkeypatch.chdir(CHECKOUT)
    with container(f"{tinybox.path} --root {tinybox.root} compose") as runner:
        assert runner("id", "-u").stdout == "0\n"
        assert runner("sh", "-c", MOUNTS).returncode == 0
        assert runner("cat", "pyproject.toml").stdout == (CHECKOUT / "pyproject.toml").read_text()
    assert tinybox("run", "--rm", "alpine", "sh", "-c", MOUNTS).returncode != 0
