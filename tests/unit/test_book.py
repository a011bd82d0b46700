"""`tinybox explain`: each step has a page that is generated from the code, and so is up to date."""

from __future__ import annotations

import ast
import inspect
import os
import re

import pytest

from tests.guards.sources import CHECKOUT
from tinybox.container.planning.omissions import OMISSIONS
from tinybox.errors import UsageError
from tinybox.isolation import rootfs
from tinybox.seeing import book

EVERY = book.entries()
PLANNERS = CHECKOUT / "tinybox/container/planning"


def possible(text: str) -> set[str]:
    """Return a pattern for each step name in a file; ``f"mount{key}"`` becomes ``mount.+``."""
    tree = ast.parse(text)
    assigned = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant | ast.JoinedStr)
    }
    made = [node.args[0] for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Step"
            and node.args]  # fmt: skip
    return {pattern(assigned[first.id] if isinstance(first, ast.Name) else first) for first in made}


def pattern(name: ast.expr) -> str:
    """Return the regular expression for a string, or an f-string, in the code."""
    parts = name.values if isinstance(name, ast.JoinedStr) else [name]
    return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts)


def without_page(patterns: set[str]) -> set[str]:
    """Return the *patterns* that match no step of the book."""
    return {each for each in patterns if not any(re.fullmatch(each, entry.step.name) for entry in EVERY)}


def test_every_step_of_the_planner_is_listed() -> None:
    """Every step name in the planner's files has a page; the plan of `exec` is not one of a container."""
    files = [path for path in PLANNERS.glob("*.py") if path.name != "entering.py"]
    patterns = {each for path in files for each in possible(path.read_text())}
    assert {"addresses", "await\\-network", "hook\\-.+", "mount.+", "chroot"} <= patterns  # the names are really read
    assert not without_page(patterns)


def test_a_step_without_a_page_is_noticed() -> None:
    """The control: an unknown name, whole or as a prefix, is no step of the book."""
    text = """def steps(kind): name = f"open-{kind}-door"; return [Step("door", "", "", f), Step(name, "", "", f)]"""
    assert without_page(possible(text)) == {"door", r"open\-.+\-door"}


@pytest.mark.parametrize("entry", EVERY, ids=[f"{entry.lane}-{entry.step.name}" for entry in EVERY])
def test_every_step_has_its_page(entry: book.Entry) -> None:
    """Sentence, manual, description from the docstring, call, and lines that are in the named file."""
    text = "\n".join(book.page(entry))
    assert text.startswith(f"{entry.step.name}: {entry.step.says}\n")
    assert entry.step.manual in text
    of_kernel = entry.step.act.__module__.startswith(("tinybox.linux", "tinybox.isolation"))
    assert ("What the kernel does\n" if of_kernel else "The idea\n") in text
    place = re.search(r"^The lines: (\S+):(\d+)$", text, re.MULTILINE)
    assert place
    source = (CHECKOUT / place[1]).read_text().splitlines()
    shown = re.findall(r"^ *(\d+)  (.*)$", text[place.end() :], re.MULTILINE)
    assert len(shown) > 1
    assert all(source[int(number) - 1].rstrip() == line for number, line in shown)


def test_the_page_of_pivot_has_its_omission() -> None:
    """Docstring, call and omission: the text of each comes from the code."""
    text = " ".join("\n".join(book.pages("pivot_root")).split())
    assert " ".join((inspect.getdoc(rootfs.pivot) or "").split()) in text
    assert " ".join(OMISSIONS["pivot"].warns.split()) in text
    assert "tinybox run --omit pivot" in text


def test_omissions_cover_steps() -> None:
    """Every omission covers at least one step that a plan can have."""
    for omission in OMISSIONS.values():
        assert any(omission.covers(entry.step) for entry in EVERY), omission.name


def test_the_list_has_every_step_once() -> None:
    """`tinybox explain` lists all possible steps: those of users, terminals, limits and joined namespaces, too."""
    lines = [line.split()[:2] for line in book.table() if line.startswith(("host ", "box "))]
    assert lines == [[entry.lane, entry.step.name] for entry in EVERY]
    assert {"pivot", "clone", "id-maps", "terminal", "join-pid", "seccomp", "readonly-root"} <= {
        name for _, name in lines
    }


def test_it_fits_a_hundred_columns() -> None:
    """Except for code, no line is longer."""
    for entry in EVERY:
        words, _, _ = "\n".join(book.page(entry)).partition("The lines: ")
        assert max(map(len, words.splitlines())) <= book.WIDTH, entry.step.name
    assert max(map(len, book.table())) <= book.WIDTH


def test_an_unknown_step_gets_suggestions() -> None:
    """An unknown name is one line, with similar names."""
    with pytest.raises(UsageError, match=r"there is no such step .*pivot"):
        book.find("pivotx")


def test_the_lines_are_found_from_anywhere() -> None:
    """The path of the file is relative to the checkout, not to the current directory."""
    assert os.path.isabs(book.CHECKOUT)
    assert "The lines: tinybox/isolation/rootfs.py:" in "\n".join(book.pages("pivot"))
