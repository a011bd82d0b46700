"""House style that no linter checks: short functions and files, cited man pages, names with a meaning."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.guards.sources import Source, complaints, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTION_LINES = 40
FILE_LINES = 300
CITATION = re.compile(r"\w\(\d\)")  # as in mount_setattr(2), with or without markup around the name
EMPTY_WORDS = {"util", "utils", "helper", "helpers", "manager", "common", "misc"}
EMPTY_VERBS = ("do_", "handle_")

CODE = ("tinybox", "benchmarks", "tools")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def too_long(source: Source) -> Iterator[str]:
    """Complain about functions that do not fit on a page, and files that do not fit on a few."""
    lines = source.text.count("\n")
    if lines > FILE_LINES:
        yield f"1: {lines} lines; a file has at most {FILE_LINES}"
    for node in ast.walk(source.tree):
        if isinstance(node, Function):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{node.lineno}: {node.name} has {length} lines; a function has at most {FUNCTION_LINES}"


def uncited(source: Source) -> Iterator[str]:
    """Complain about public functions whose docstring cites no page of the manual."""
    for node in source.tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            docstring = ast.get_docstring(node) or ""
            if not CITATION.search(docstring):
                yield f"{node.lineno}: {node.name} cites no man page, such as mount_setattr(2)"


def empty_names(source: Source) -> Iterator[str]:
    """Complain about empty names: of the file, and of its definitions."""
    defined = [(node.lineno, node.name) for node in ast.walk(source.tree) if isinstance(node, Function | ast.ClassDef)]
    for line, name in [(1, part) for part in Path(source.path).with_suffix("").parts] + defined:
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}
        if words & EMPTY_WORDS or name.lstrip("_").startswith(EMPTY_VERBS):
            yield f"{line}: {name} says nothing; what does it do, to what?"


def test_functions_and_files_are_short() -> None:
    """No function has more than 40 lines, no file more than 300."""
    assert complaints(too_long, *CODE) == ""


def test_the_linux_package_cites_the_manual() -> None:
    """Every public function in linux/ cites its manual page; a page for JSON does not exist."""
    complained = [line for line in complaints(uncited, "tinybox/linux").splitlines() if "/quick_json.py:" not in line]
    assert complained == []


def test_names_have_a_meaning() -> None:
    """Nothing is called utils, helpers, manager or common, do_ or handle_."""
    assert complaints(empty_names, *CODE) == ""


def test_the_guards_read_files() -> None:
    """The control for all three: files are really found."""
    assert {"tinybox/errors.py", "tinybox/linux/mount.py"} <= {source.path for source in sources(*CODE)}


def test_a_long_function_is_found() -> None:
    """The guard works at 41 lines, and not at 40."""
    body = "    pass\n"
    assert not list(too_long(Source("tinybox/x.py", "def f():\n" + body * 39)))
    assert list(too_long(Source("tinybox/x.py", "class C:\n  def f():\n" + body * 40)))


def test_a_long_file_is_found() -> None:
    """The guard works at 301 lines, and not at 300."""
    assert not list(too_long(Source("tinybox/x.py", "a = 1\n" * 300)))
    assert list(too_long(Source("tinybox/x.py", "a = 1\n" * 301)))


@pytest.mark.parametrize("docstring", ["", '"""Mount it; see the manual."""', '"""Mount it (twice)."""'])
def test_a_missing_citation_is_found(docstring: str) -> None:
    """The guard works for a missing docstring, and for one without a page of the manual."""
    assert list(uncited(Source("tinybox/linux/x.py", f"def mount():\n    {docstring}\n    return 0\n")))


@pytest.mark.parametrize("docstring", ['"""Mount it; see mount(2)."""', '"""Read it; see proc_pid_status(5)."""'])
def test_a_citation_is_seen(docstring: str) -> None:
    """The control: a page of the manual in the docstring satisfies the guard; private functions need none."""
    assert not list(uncited(Source("tinybox/linux/x.py", f"def mount():\n    {docstring}\n")))
    assert not list(uncited(Source("tinybox/linux/x.py", "def _mount():\n    pass\n")))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tinybox/utils.py", ""),
        ("tinybox/common/mount.py", ""),
        ("tinybox/linux/mount_helpers.py", ""),
        ("tinybox/x.py", "class CgroupManager: pass"),
        ("tinybox/x.py", "def do_mount(): pass"),
        ("tinybox/x.py", "class C:\n    def _handle_exit(self): pass"),
    ],
)
def test_an_empty_name_is_found(path: str, text: str) -> None:
    """The guard works for files, packages, classes, functions and methods."""
    assert list(empty_names(Source(path, text)))


@pytest.mark.parametrize("name", ["done", "dominate", "command_of", "uncommon_signal", "handler"])
def test_a_name_with_a_meaning_is_accepted(name: str) -> None:
    """The control: names that only look like the empty ones."""
    assert not list(empty_names(Source("tinybox/x.py", f"def {name}(): pass")))
