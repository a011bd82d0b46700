"""A trace is shown again without root and without the kernel's help; any other file is refused in one line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tinybox.errors import UsageError
from tinybox.seeing.replay import Replay, read
from tinybox.seeing.text import Text

if TYPE_CHECKING:
    from pathlib import Path

STATE: dict[str, Any] = {"namespaces": {"mnt": "1"}, "mounts": {}, "rights": {}}
STEP = {
    "lane": "parent",
    "number": 1,
    "name": "cgroup",
    "says": "Make the group",
    "manual": "cgroups(7)",
    "undo": "rmdir",
}
EVENTS: list[dict[str, Any]] = [
    {"event": "begin", "trace": 1, "command": ["tinybox", "run"], "container": "c" * 64, "name": "box", "kernel": "6.1",
     "machine": "x86_64", "plan": {}, "pid": 7, "state": STATE},
    {"event": "step", **STEP, "at": 1},
    {"event": "call", "lane": "parent", "who": "parent", "number": 1, "call": "mkdirat", "arguments": [], "result": 0,
     "shown": f'mkdirat(AT_FDCWD, "/sys/{"c" * 64}") = 0', "manual": "mkdir(2)", "at": 2, "took": 3},
    {"event": "of a later version", "what": "ever"},
    {"event": "done", "lane": "parent", "number": 1, "name": "cgroup", "at": 1, "took": 1_500_000, "error": None,
     "changes": [{"section": "rights", "key": "seccomp", "before": "0", "after": "2"}], "written": []},
    {"event": "end", "at": 9, "status": 0, "error": None, "left": False},
]  # fmt: skip


def trace(folder: Path, events: list[Any]) -> str:
    """Write a trace and return its path."""
    path = folder / "trace.json"
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    return str(path)


def test_a_trace_is_shown_unchanged(tmp_path: Path) -> None:
    """Sentence, call with the id shortened, change, time and undo; an unknown event is skipped."""
    shown: list[str] = []
    assert Replay(Text(shown.append).show).run(read(trace(tmp_path, EVENTS)))
    text = "".join(shown)
    for part in (
        "  1 host cgroup: Make the group\n",
        "pid 7; see cgroups(7); 1.50 ms\n",
        'mkdirat(AT_FDCWD, "/sys/cccccccccccc") = 0\n',
        "rights seccomp  0 -> 2\n",
        "undone by: rmdir\n",
        "the program ended with status 0\n",
    ):
        assert part in text, text


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([{"event": "step"}], "is no trace"),
        ([{"a": 1}], "is no event"),
        ([["begin"]], "is no event"),
        ([{**EVENTS[0], "trace": 2}], "version 2"),
    ],
)
def test_other_json_is_refused(tmp_path: Path, events: list[Any], said: str) -> None:
    """Other JSON, and a later version of the schema, are UsageErrors with that reason."""
    with pytest.raises(UsageError, match=said):
        list(read(trace(tmp_path, events)))


def test_a_file_without_json_is_refused(tmp_path: Path) -> None:
    """Any other file is refused with its first line."""
    path = tmp_path / "text"
    path.write_text("hello\n")
    with pytest.raises(UsageError, match="line 1: is no event"):
        list(read(str(path)))


def test_the_states_are_kept_for_inspection(tmp_path: Path) -> None:
    """After the end the parent's state is the first one with every change applied; the trace itself does not change."""
    replay = Replay(lambda event: None)  # noqa: ARG005
    replay.run(read(trace(tmp_path, EVENTS)))
    assert replay.states["parent"]["rights"] == {"seccomp": "2"}
    assert STATE["rights"] == {}
