"""`make test` runs two halves at the same time: no test is left out, and none runs twice."""

from __future__ import annotations

from pathlib import Path

from tests import halves


def test_each_test_file_is_in_one_half() -> None:
    """Each file of tests is below one directory of one half, and all directories exist."""
    first, second = halves.halves()
    folders = [halves.PROJECT / name for name in (*first, *second)]
    assert all(folder.is_dir() for folder in folders)
    found = {str(path): sum(folder in path.parents for folder in folders) for path in halves.TESTS.rglob("test_*.py")}
    assert set(found.values()) == {1}, {path: count for path, count in found.items() if count != 1}


def test_the_services_end_their_half() -> None:
    """The boxes of tests/services live until the end of pytest, so no test of another directory comes after them."""
    first, _ = halves.halves()
    assert [Path(name).name for name in first[-len(halves.LAST) :]] == list(halves.LAST)
