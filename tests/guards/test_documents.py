"""Parts of the documents that come from the code are up to date: map of the files, drawings, paths, test names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.guards.sources import CHECKOUT
from tools import documents

TEST_NAME = re.compile(r"`((?:unit|kernel|cli|guards|oci|attacks)/(?:\w+/)?test_\w+\.py)::(test_\w+)`")
REASONS = ("not applicable: ", "the check is optional", "a rule for writers")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
CONTRIBUTING, SECURITY = CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "docs/security.md"
NAMED = re.compile(r"`?\b((?:docs|tests|tinybox|tools)/[\w/.-]+\w|\w+\.(?:md|py|toml))\b")
PAGES = [
    CHECKOUT / "README.md",
    CHECKOUT / "SECURITY.md",
    CHECKOUT / "CHANGELOG.md",
    CONTRIBUTING,
    *sorted((CHECKOUT / "docs").rglob("*.md")),
]
ORDER = documents.READING_ORDER.read_text()


def missing_tests(text: str) -> list[str]:
    """Complain about tests that *text* cites as proof and that do not exist."""
    return [
        f"{path}::{name}"
        for path, name in TEST_NAME.findall(text)
        if not (CHECKOUT / "tests" / path).is_file() or name not in functions(CHECKOUT / "tests" / path)
    ]


def unheld(text: str) -> list[str]:
    """Complain about rules of the OCI specification without a test and without a reason for that."""
    rows = [line.strip("| ").rsplit(" | ", 1) for line in text.splitlines() if line.startswith("| ")]
    return [rule for rule, held in rows if "::test_" not in held and not held.startswith((*REASONS, "tested by"))]


def functions(path: Path) -> set[str]:
    """Return the names of the functions that a file defines."""
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def broken_links(text: str, folder: Path) -> list[str]:
    """Complain about links of a page in *folder* to missing files."""
    return [target for target in LINK.findall(text) if not (folder / target).exists()]


def missing_files(text: str) -> list[str]:
    """Complain about paths of the checkout, and names of files of tinybox/, that *text* names and that do not exist."""
    there = {path.name for path in (CHECKOUT / "tinybox").rglob("*.py")}
    named = [path for path in NAMED.findall(text) if "NAME" not in path]
    return [path for path in named if path not in there and not (CHECKOUT / path).exists()]


def missing_targets(text: str) -> list[str]:
    """Complain about targets of make that *text* names and that the Makefile does not have."""
    targets = re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    return [target for target in re.findall(r"\bmake ([a-z-]+)(?=`|  )", text) if target not in targets]


def mistimed(text: str) -> list[str]:
    """Complain about files in the reading order whose length differs by more than a quarter from the stated time."""
    complaints = []
    for match in documents.READ.finditer(text):
        said, takes = int(match[0].split()[1]), documents.minutes(CHECKOUT / match[2])
        if abs(said - takes) > max(1, takes // 4):
            complaints.append(f"{match[2]} takes {takes} min and not {said}: make docs")
    return complaints


@pytest.mark.parametrize("page", documents.FILLED, ids=lambda page: page.name)
def test_the_made_parts_are_up_to_date(page: Path) -> None:
    """`make docs` would write what is in the page: the map, the README's table of options, compose's keys."""
    text = page.read_text()
    assert "<!-- made: " in text
    assert text == documents.filled(text), f"{page.name} is stale: make docs"


def test_a_stale_map_is_found() -> None:
    """The guard works: another text is not what would be made."""
    stale = "<!-- made: container/records/state.py -->\n\n    new --> old\n\n<!-- end -->\n"
    assert "creating" in documents.filled(stale)
    assert "old" not in documents.filled(stale)


def test_every_file_has_its_line() -> None:
    """The control: each file of the code is in the map, with its purpose."""
    text = documents.house()
    for path in sorted((CHECKOUT / "tinybox").rglob("*.py")):
        if path.name not in ("__init__.py", "__main__.py"):
            assert f"- `{path.name}` {documents.purpose(path)[:30]}" in text.replace("\n  ", " ")


def rows_of(text: str, head: str) -> list[str]:
    """Return the rows of the table of *text* whose heading begins with *head*."""
    return text.partition(f"| {head} |")[2].partition("\n\n")[0].splitlines()[2:]


@pytest.mark.parametrize("head", ["what holds", "the hole"])
def test_the_tests_of_the_security_tables_exist(head: str) -> None:
    """Each row of the two tables names existing tests, and there are more than a few rows."""
    text = SECURITY.read_text()
    rows = rows_of(text, head)
    assert len(rows) > 20
    assert [row for row in rows if not TEST_NAME.search(row)] == []
    assert missing_tests(text) == []


def test_every_attack_is_in_the_security_table() -> None:
    """Each test that tries an attack has a row."""
    named = {name for _, name in TEST_NAME.findall("\n".join(rows_of(SECURITY.read_text(), "the hole")))}
    for path in (CHECKOUT / "tests/attacks").glob("test_*.py"):
        assert {name for name in functions(path) if name.startswith("test_")} - named == set(), path.name


def test_a_missing_test_is_found() -> None:
    """The guard works: a missing file, a function that the file does not define."""
    assert missing_tests("`unit/test_nowhere.py::test_x` `guards/test_documents.py::test_not_here`") == [
        "unit/test_nowhere.py::test_x",
        "guards/test_documents.py::test_not_here",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_to_files(page: Path) -> None:
    """Each link of a page to a file of the checkout finds that file."""
    assert broken_links(page.read_text(), page.parent) == []


def test_a_broken_link_is_found() -> None:
    """The guard works for a missing file, and ignores addresses and anchors."""
    text = "[a](nowhere.md) [b](README.md#x) [c](https://example.org/x) [d](#here)"
    assert broken_links(text, CHECKOUT) == ["nowhere.md"]


def test_what_contributing_names_is_there() -> None:
    """Each file, folder and target of make that CONTRIBUTING.md names exists, and there are more than 30."""
    text = CONTRIBUTING.read_text()
    assert missing_files(text) == []
    assert missing_targets(text) == []
    assert len(NAMED.findall(text)) > 30
    assert "CONTRIBUTING.md" in (CHECKOUT / "README.md").read_text()


def test_a_file_that_is_not_there_is_found() -> None:
    """The guard finds missing files, folders and targets; it accepts the place holder NAME and existing files."""
    text = "`tests/unit/nowhere.py` `tinybox/nowhere` `tinybox/lab/catalogue/NAME.py`, `README.md`, `limits.py` `no.py`"
    assert missing_files(text) == ["tests/unit/nowhere.py", "tinybox/nowhere", "no.py"]
    assert missing_targets("`make check`, `make nothing`\n    make docs       # x") == ["nothing"]


def test_the_reading_order_can_be_walked() -> None:
    """Its files exist, each once, with about the stated time, and the last one is the table of contents."""
    paths = [match[2] for match in documents.READ.finditer(ORDER)]
    assert len(paths) == len(set(paths)) == len(re.findall(r"^\d+\. ", ORDER, re.MULTILINE)) > 15
    assert mistimed(ORDER) == []
    assert paths[-1] == "tinybox/container/lifecycle.py"
    assert "lifecycle.run" in ORDER


def test_a_wrong_time_is_found() -> None:
    """The guard works: lifecycle.py takes neither a minute nor an hour."""
    entry = "[x](../tinybox/container/lifecycle.py), {} min"
    assert mistimed(entry.format(1))
    assert mistimed(entry.format(60))


def test_each_oci_rule_has_its_test() -> None:
    """In the table of the OCI specification's rules, each row names a test, or why there is none."""
    text = (CHECKOUT / "docs/oci-conformance.md").read_text()
    assert unheld(text) == []
    assert text.count("::test_") > 100


def test_a_rule_without_a_test_is_found() -> None:
    """The guard works: a row with neither."""
    row = "| A rule | somehow |\n"
    assert unheld(row) == ["A rule"]
    assert unheld(row.replace("somehow", "not applicable: Linux")) == []
