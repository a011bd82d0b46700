"""The count of tests that CI prints last is right, however many pytest runs it covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools import tally

if TYPE_CHECKING:
    from pathlib import Path

PASSED = '<testcase classname="tests.a" name="{}"/>'
FAILED = '<testcase classname="tests.a" name="{}"><failure message="first&#10;second"/></testcase>'
BROKEN = '<testcase classname="tests.a" name="{}"><error/></testcase>'
SKIPPED = '<testcase classname="tests.a" name="{}"><skipped message="why"/></testcase>'


def report(path: Path, *cases: str) -> str:
    """Write a JUnit file in pytest's form."""
    path.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    return str(path)


def test_runs_are_summed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs with different tests are added up, and an error in a fixture is a failure."""
    one = report(tmp_path / "1.xml", PASSED.format("a"), FAILED.format("b"))
    two = report(tmp_path / "2.xml", PASSED.format("c"), BROKEN.format("d"), SKIPPED.format("e"))
    assert tally.main([one, two]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 2 failed, 1 skipped"


def test_a_test_in_both_runs_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The worst outcome counts; a skip in one run is replaced by a pass in the other."""
    one = report(tmp_path / "1.xml", PASSED.format("a"), SKIPPED.format("b"))
    two = report(tmp_path / "2.xml", FAILED.format("a"), PASSED.format("b"))
    assert tally.main([one, two]) == 1
    assert capsys.readouterr().out == "failed: tests.a::a: first\n1 passed, 1 failed, 0 skipped\n"


def test_each_reason_to_skip_is_printed_with_its_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A test that another run passed is not among them; the count is the last line."""
    one = report(tmp_path / "1.xml", SKIPPED.format("a"), SKIPPED.format("b"), PASSED.format("c"))
    two = report(tmp_path / "2.xml", PASSED.format("b"))
    assert tally.main([one, two]) == 0
    told = ["skipped, 1: why (tests.a::a)", "2 passed, 0 failed, 1 skipped"]
    assert capsys.readouterr().out.splitlines() == told


@pytest.mark.parametrize("cases", [[], [SKIPPED.format("a")]])
def test_a_run_without_a_test_has_failed(tmp_path: Path, cases: list[str]) -> None:
    """Nothing collected, or all skipped, proves nothing: status 5."""
    assert tally.main([report(tmp_path / "1.xml", *cases)]) == 5


def test_a_run_that_died_has_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A killed pytest leaves no file: status 5, and the last line still counts the others."""
    one = report(tmp_path / "1.xml", PASSED.format("a"))
    assert tally.main([one, str(tmp_path / "none.xml")]) == 5
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 0 failed, 0 skipped"


def test_all_passed(tmp_path: Path) -> None:
    """The control: status 0 when tests ran and none failed."""
    assert tally.main([report(tmp_path / "1.xml", PASSED.format("a"))]) == 0
