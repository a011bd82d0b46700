"""Root for the tests, for any user: as this process, by ``sudo -n``, in a privileged container, or not at all.

A test that needs a few commands run by root uses the fixture `privileged`. A test that must be root itself has the
marker ``root``: if another user started pytest, all those tests are run at once by ``sudo -n pytest``. The second
pytest sends its reports back as lines of JSON (pytest's own form), and the first one shows them as its own. If there
is no way to become root, the tests are skipped, and the reason is printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORTS = "TINYBOX_TEST_REPORTS"  # set in the second pytest: the file that its reports go to
REASON = "needs root; `sudo -n` is not allowed here (run: sudo make test)"
SERVICE = "root"  # in tests/support/docker-compose.yml
NOWHERE = "needs root: this is another user, `sudo -n` is not allowed, and no docker answers (run: sudo make test)"


class Runner:
    """Run programs as root and wait for them: call it with their arguments."""

    def __init__(self, *prefix: str) -> None:
        self.prefix = prefix  # the command that runs another one as root; empty if this process is root

    def __call__(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run *words* to their end; *options* are those of subprocess.run."""
        settings = {"capture_output": True, "text": True, "timeout": 120 * SLOWNESS, **options}
        done: subprocess.CompletedProcess[str] = subprocess.run([*self.prefix, *words], check=False, **settings)
        return done


@pytest.fixture(scope="session")
def privileged() -> Iterator[Runner]:
    """Give a runner of commands as root, the simplest one available; skip the test if there is none."""
    if os.geteuid() == 0:
        yield Runner()
    elif answers("sudo", "-n", "true"):
        yield Runner("sudo", "-n")
    elif answers("docker", "compose", "version") and answers("docker", "info"):
        with container("docker compose") as runner:
            yield runner
    else:
        pytest.skip(NOWHERE)


@contextlib.contextmanager
def container(engine: str) -> Iterator[Runner]:
    """Start the container of docker-compose.yml with *engine* and pytest-docker, and give a runner in it.

    Not with pytest-docker's fixture `docker_services`: one session has one of it, for services that tests talk to.
    """
    from pytest_docker.plugin import get_docker_services

    file, project = str(Path(__file__).with_name("docker-compose.yml")), f"tinybox-test-{os.getpid()}"
    with get_docker_services(engine, file, project, ["up --wait"], ["down -v"]):
        yield Runner(*shlex.split(engine), "-f", file, "-p", project, "exec", "-T", SERVICE)


def answers(*command: str) -> bool:
    """Tell whether *command* is installed and succeeds."""
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=60 * SLOWNESS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def pytest_configure(config: pytest.Config) -> None:
    """Choose the part of this process: the first pytest, the second one, or neither if root started it."""
    if REPORTS in os.environ:
        config.pluginmanager.register(Second(config, Path(os.environ[REPORTS])))
    elif os.geteuid() != 0:
        config.pluginmanager.register(First(config))


class Second:
    """The pytest that root runs: it writes each report to a file."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self.config, self.path = config, path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write *report* as one line of JSON."""
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        with self.path.open("a") as file:
            file.write(json.dumps(data) + "\n")


class First:
    """The pytest that a user other than root started."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.wanted: list[str] = []
        self.reports: dict[str, list[pytest.TestReport]] | None = None

    @pytest.hookimpl(trylast=True)  # after -k and -m have chosen
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Collect the tests that need root, or skip them if there is no way to become root."""
        rooted = [item for item in items if item.get_closest_marker("root")]
        if rooted and answers("sudo", "-n", "true"):
            self.wanted = [item.nodeid for item in rooted]
        else:
            for item in rooted:
                item.add_marker(pytest.mark.skip(reason=REASON))

    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Show the report of the second pytest for *item*, in place of running it here."""
        if item.nodeid not in self.wanted:
            return None
        if self.reports is None:
            self.reports = self.rerun()
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = self.reports.get(item.nodeid, [])
        if not any(report.when == "teardown" for report in reports):
            reports = [*reports, unreported(item)]
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def rerun(self) -> dict[str, list[pytest.TestReport]]:
        """Run all tests that need root in one pytest as root, and return its reports by test."""
        reports: dict[str, list[pytest.TestReport]] = {}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "reports")
            command = ["sudo", "-n", "env", f"{REPORTS}={path}", sys.executable, "-m", "pytest", "-q", *self.wanted]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.config.rootpath)
            for line in path.read_text().splitlines() if path.exists() else []:
                report = self.config.hook.pytest_report_from_serializable(config=self.config, data=json.loads(line))
                reports.setdefault(report.nodeid, []).append(report)
        if not reports:
            sys.stderr.write(done.stdout + done.stderr)
        return reports


def unreported(item: pytest.Item) -> pytest.TestReport:
    """Make the report of a test whose pytest process ended during it."""
    text = "pytest, run by sudo -n, ended in the midst of this test, or before it"
    return pytest.TestReport(item.nodeid, item.location, {}, "failed", text, "call")
