"""How `make test-v2` distributes its files to machines, and puts their reports together again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vm import suite
from tools import tally

if TYPE_CHECKING:
    from pathlib import Path

REPORT = b"""<testsuites><testsuite>
<testcase classname="tests.cli.test_a" name="one"/>
<testcase classname="tests.cli.test_b" name="two"><failure/></testcase>
<testcase classname="tests.cli.test_a" name="three"/><testcase classname="" name="tests.cli.test_c"><error/></testcase>
</testsuite></testsuites>"""
FILES = [f"tests/cli/test_{letter}.py" for letter in "abcd"]


@pytest.mark.parametrize("count", [0, 1, 2, 11, 12, 13, 79])
def test_each_file_goes_to_one_machine(count: int) -> None:
    """No machine has more than its share, and each has at least one file."""
    files = [str(number) for number in range(count)]
    hands = suite.dealt(files, 2)
    assert sorted(file for hand in hands for file in hand) == sorted(files)
    assert all(0 < len(hand) <= suite.SHARE for hand in hands)
    assert len(hands) >= min(2, count)


def test_a_report_is_split_by_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files with failures or import errors are run again; and nothing is counted twice or lost."""
    monkeypatch.setattr(suite, "RESULTS", tmp_path)
    assert not any(map(suite.is_done, FILES))
    suite.written(REPORT, FILES)
    assert [suite.is_done(file) for file in FILES] == [True, False, False, True]
    counts = tally.tally([str(suite.report_of(file)) for file in FILES])
    assert (counts[tally.PASSED], counts[tally.FAILED]) == (2, 2)
