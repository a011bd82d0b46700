"""The idea of each step, calls folded into a sentence, and a trace as text: the key steps alone, and 80 columns."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tinybox.seeing import book, folding, ideas
from tinybox.seeing.text import Text

STEPS = [entry.step.name for entry in book.entries()]
# Steps of usual runs that the sample plans of `tinybox explain` have under another name.
USUAL = ["mount/sys", "mount/dev/pts", "mount/dev/shm", "mount/dev/mqueue"]
GROUPS = ["cpu", "cpuset", "devices", "freezer", "pids"]


@pytest.mark.parametrize("name", STEPS)
def test_each_step_has_an_idea(name: str) -> None:
    """Whatever step a plan can have, its idea is one or two sentences."""
    idea, without = ideas.of(name)
    assert idea.endswith(".")
    assert 20 < len(idea) < 260
    assert without == "" or (without.endswith(".") and len(without) < 200)


def test_each_idea_has_a_step() -> None:
    """No sentence is about a step that there is no longer; and an unknown step has none."""
    found = {idea for name in [*STEPS, *USUAL] for idea in [ideas.of(name)]}
    assert [name for name, idea in ideas.IDEAS.items() if idea not in found] == []
    assert ideas.of("nosuch") == ("", "")


def test_twelve_steps_matter_most() -> None:
    """Each of the twelve has an idea, and says what goes wrong without it; most other steps are no key steps."""
    assert len(ideas.KEY_STEPS) == 12
    assert all(all(ideas.IDEAS[name]) for name in ideas.KEY_STEPS)
    assert ideas.is_key("limit-memory.max")
    assert not ideas.is_key("limit-RLIMIT_NOFILE")
    assert not ideas.is_key("mount/dev")
    assert len([name for name in STEPS if ideas.is_key(name)]) < 16


def call(path: str, result: int = -2, name: str = "openat") -> dict[str, Any]:
    """Return the event of a call on *path*."""
    shown = f'{name}(AT_FDCWD, "{path}") = {result}'
    return {"event": "call", "lane": "parent", "call": name, "arguments": ["AT_FDCWD", f'"{path}"'], "result": result,
            "shown": shown, "manual": "open(2)"}  # fmt: skip


def test_the_missing_groups_of_a_hybrid_host_are_one_sentence() -> None:
    """Calls that find no file, and whose paths differ in one part, become one sentence with the differing parts."""
    there = call("/sys/fs/cgroup/memory/box/cgroup.procs", 4)
    left, said = folding.without_missing(
        [*(call(f"/sys/fs/cgroup/{group}/box/cgroup.procs") for group in GROUPS), there]
    )
    assert left == [there]
    pattern = "/sys/fs/cgroup/*/box/cgroup.procs"
    assert said == [f"5 calls of open(2) found no file {pattern} (ENOENT), for {', '.join(GROUPS)}"]


@pytest.mark.parametrize(
    "calls",
    [
        [call("/a/x/c"), call("/a/y/c")],  # only two
        [call("/a/x/c"), call("/b/y/c"), call("/c/z/c")],  # paths of different directories
        [call("/a/x/c", -13), call("/a/y/c", -13), call("/a/z/c", -13)],  # another error
        [call("/a/x/c"), call("/a/y/c", name="access"), call("/a/z/c", name="stat")],  # other calls
        [call("/a/x"), call("/a/y"), call("/a/z")],  # other names in one directory
    ],
)
def test_other_calls_are_left_as_they_are(calls: list[dict[str, Any]]) -> None:
    """The control: few calls, other paths, other errors and other calls are not folded."""
    assert folding.without_missing(calls) == (calls, [])


def told(steps: list[str], **settings: Any) -> list[str]:
    """Return the lines of a trace with these steps of the parent."""
    parts: list[str] = []
    text = Text(parts.append, **settings)
    text.show({"event": "begin", "command": ["tinybox", "run"], "container": "c" * 64, "name": "box", "kernel": "6.1",
               "machine": "x86_64", "pid": 7, "state": {"namespaces": {}}})  # fmt: skip
    for number, name in enumerate(steps, 1):
        idea, without = ideas.of(name)
        about = {"idea": idea, "without": without, "key": ideas.is_key(name), "manual": "x(2)", "undo": ""}
        text.show({"event": "step", "lane": "parent", "number": number, "name": name, "says": f"Do {name}", **about})
        text.show(call(f"/sys/fs/cgroup/{'memory' * 8}/{name}", 4) | {"number": number})
        text.show({"event": "done", "lane": "parent", "number": number, "name": name, "took": 1000, "error": None,
                   "changes": [], "child_changes": [], "written": []})  # fmt: skip
    text.show({"event": "end", "status": 0, "error": None})
    return "".join(parts).splitlines()


def test_key_steps_alone() -> None:
    """Steps between two key steps are one line with their names; none is lost."""
    lines = told(["cgroup", "open-cgroup", "etc", "clone", "release"], key_steps=True)
    assert re.findall(r"^ +\d+ host (\w+):", "\n".join(lines), re.MULTILINE) == ["cgroup", "clone"]
    assert "... 2 steps between: open-cgroup, etc" in lines
    assert "... 1 step between: release" in lines


def test_an_idea_is_told_once() -> None:
    """Two limits have one idea: it is at the first of them, with what goes wrong without it."""
    text = " ".join(" ".join(told(["limit-memory.max", "limit-pids.max"])).split())
    assert text.count(ideas.of("limit-")[0]) == 1
    assert text.count(f"Without it: {ideas.of('limit-')[1]}") == 1


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Lines follow the width, and a path is broken after a slash, not inside a word."""
    lines = told(["cgroup", "clone", "network", "pivot"], width=width)
    assert max(map(len, lines)) <= width
    assert max(map(len, lines)) > width - 12
    words = [word for line in lines for word in line.replace("/", " ").split()]
    assert words.count("memory" * 8) == 4
