"""Tests marked ``root``, run by someone else: run again, all at once, by ``sudo -n pytest``, where that is allowed.

The second pytest sends its reports back as lines of JSON (in pytest's own form), and the first shows them as its own.
Where sudo asks for a password, or is not there, the tests are skipped, and say so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

REPORTS = "TINYBOX_TEST_REPORTS"  # set in the second pytest: the file that its reports go to
REASON = "needs root; `sudo -n` is not allowed here (run: sudo make test)"


def pytest_configure(config: pytest.Config) -> None:
    """Choose this process's part: the first pytest, the second, or (run by root) neither."""
    if REPORTS in os.environ:
        config.pluginmanager.register(Second(config, Path(os.environ[REPORTS])))
    elif os.geteuid() != 0:
        config.pluginmanager.register(First(config))


def sudo_allowed() -> bool:
    """Tell whether sudo runs a command without asking."""
    try:
        return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class Second:
    """The pytest that root runs: it writes down each report."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self.config, self.path = config, path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write *report* as one line of JSON."""
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        with self.path.open("a") as file:
            file.write(json.dumps(data) + "\n")


class First:
    """The pytest that someone started without being root."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.wanted: list[str] = []
        self.reports: dict[str, list[pytest.TestReport]] | None = None

    @pytest.hookimpl(trylast=True)  # after -k and -m have chosen
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the tests that need root, or skip them where it cannot be had."""
        rooted = [item for item in items if item.get_closest_marker("root")]
        if rooted and sudo_allowed():
            self.wanted = [item.nodeid for item in rooted]
        else:
            for item in rooted:
                item.add_marker(pytest.mark.skip(reason=REASON))

    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Show what the second pytest reported for *item*, in place of running it here."""
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
        """Run all tests that need root in one pytest of root's, and return its reports by test."""
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
    """Make the report of a test whose pytest ended in its midst."""
    text = "pytest, run by sudo -n, ended in the midst of this test, or before it"
    return pytest.TestReport(item.nodeid, item.location, {}, "failed", text, "call")
