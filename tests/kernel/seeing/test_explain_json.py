"""`run --explain=json`: its calls agree with strace, and its events with docs/explain-schema.md."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.guards.sources import CHECKOUT
from tests.support import strace

if TYPE_CHECKING:
    from tests.conftest import Command
    from tests.support.strace import Call

pytestmark = pytest.mark.root

BOX = ("--rm", "--network", "none")

# The classes that docs/explain-schema.md lists under "What strace sees and the trace has not".
MEMORY = {"brk", "mmap", "munmap", "mprotect", "madvise", "mremap"}
SIGNALS = {"rt_sigaction", "rt_sigprocmask", "rt_sigtimedwait", "rt_sigreturn", "wait4"}
LOOKING = {"close", "fstat", "newfstatat", "pread64", "readlink", "readlinkat", "gettid", "getpid"}
TELLING = {"sendto", "recvfrom"}
WAITING = {"poll"}
UNTOLD = MEMORY | SIGNALS | LOOKING | TELLING | WAITING
FILES = re.compile(r'"[^"]*/(?:stat|state\.json[^"]*|cgroup\.events|cgroup\.freeze|freezer\.state)"')
OF_FILES = {"read", "write", "lseek", "ioctl"}
PATHS = {
    "openat",
    "openat2",
    "mkdirat",
    "mknodat",
    "fchmodat",
    "faccessat2",
    "mount",
    "fsopen",
    "pivot_root",
    "chdir",
    "execve",
}
FLAG = re.compile(r"\b[A-Z_]*[A-Z]_[A-Z_0-9]+\b")
TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


def answer(event: dict[str, Any]) -> str:
    """Return the kernel's result, as `straced` writes it."""
    result = event["result"]
    return errno.errorcode[-result] if isinstance(result, int) and result < 0 else str(result)


def without_files(calls: list[Call]) -> list[Call]:
    """Leave out the calls by which Python reads its own files: their opening, and all on their descriptors."""
    left, fds = [], set()
    for call in calls:
        first = call.line.partition("(")[2].split(",")[0].rstrip(")")
        if call.name == "openat" and FILES.search(call.line):
            fds.add(call.answer)
        elif call.name in OF_FILES and first.split(")")[0] in fds:
            continue
        else:
            if call.name == "close":
                fds.discard(first.split(")")[0])
            left.append(call)
    return left


def comparable(calls: list[Call]) -> list[Call]:
    """Leave out the documented classes, and the attempts of libc inside of posix_spawn(3)."""
    return [call for call in without_files(calls) if call.name not in UNTOLD and call.answer != "ENOSYS"]


def of_lane(events: list[dict[str, Any]], lane: str) -> list[dict[str, Any]]:
    """Return the calls of one lane: of the child up to the end of its last execve(2), of the parent from clone3(2) on.

    The parent's calls end with its wait for the execve(2) that it has released, as `until_the_word` has it: by the
    clock one of the two processes may be ahead of the other.
    """
    last = max(event["at"] + event["took"] for event in events if event.get("call") == "execve")
    calls = [event for event in events if event["event"] == "call" and event["lane"] == lane]
    if lane == "child":
        return [event for event in calls if event["at"] < last]
    return until_the_word(calls, [event["call"] for event in calls], [event["shown"] for event in calls])


def until_the_word(calls: list[Any], names: list[str], lines: list[str]) -> list[Any]:
    """Return the parent's *calls* from clone3(2) to the release of the program, and the read(2) after it."""
    start = next(number for number, line in enumerate(lines) if '"start\\n"' in line)
    return calls[names.index("clone3") : start + 2]


@pytest.mark.parametrize("options", [(), ("--init=none",), ("-m", "32m", "--security-opt", "no-new-privileges")])
def test_the_calls_are_those_of_strace(tinybox: Command, tmp_path: Path, options: tuple[str, ...]) -> None:
    """From clone3 to the last execve: the same calls, results, paths and flags, in the same order, in each process."""
    events, seen = strace.run(tinybox, tmp_path, *BOX, *options, "alpine", "true")
    pids = {"parent": events[0]["pid"], "child": next(e for e in events if e["event"] == "born")["pid"]["host"]}
    program = [calls for pid, calls in seen.items() if any(c.name == "execve" and "/bin/true" in c.line for c in calls)]
    assert len(program) == 1
    for lane, pid in pids.items():
        told, theirs = of_lane(events, lane), comparable(seen[pid])
        if lane == "parent":
            theirs = until_the_word(theirs, [call.name for call in theirs], [call.line for call in theirs])
        elif program[0] is seen[pid]:
            first = [call.name for call in theirs].index("execve")  # the trampoline, which executes the program
            theirs = theirs[: first + 1] + [call for call in theirs[first + 1 :] if call.name == "execve"]
        else:
            born = next(number for number, call in enumerate(theirs) if "CLONE_VFORK" in call.line)
            theirs = theirs[: born + 1] + [call for call in program[0] if call.name in ("setsid", "execve")]
        assert [(e["call"], answer(e)) for e in told] == [(renamed(call), call.answer) for call in theirs]
        for event, call in zip(told, theirs, strict=True):
            compare_words(event, call)


def renamed(call: Call) -> str:
    """Return the call's name in the trace: posix_spawn(3) makes its child by clone, clone3 or vfork."""
    return "clone" if call.name in ("clone", "clone3", "vfork") and "CLONE_VFORK" in call.line else call.name


def compare_words(event: dict[str, Any], call: Call) -> None:
    """Assert that the first path and all names of flags in the trace are in strace's line, too."""
    if event["call"] in PATHS:
        assert TEXT.findall(event["shown"])[:1] == TEXT.findall(call.line)[:1], call.line
    flags = set(FLAG.findall(TEXT.sub("", event["shown"].rpartition(") = ")[0])))
    assert flags <= set(FLAG.findall(TEXT.sub("", call.line))), (event["shown"], call.line)


def test_a_missing_call_is_noticed(tinybox: Command, tmp_path: Path) -> None:
    """The control: with pivot_root removed from the trace, the lists differ; strace has it once."""
    events, seen = strace.run(tinybox, tmp_path, *BOX, "alpine", "true")
    child = next(event for event in events if event["event"] == "born")["pid"]["host"]
    theirs = [call.name for call in comparable(seen[child])]
    told = [event["call"] for event in events if event["event"] == "call" and event["lane"] == "child"]
    assert theirs.count("pivot_root") == 1
    without = [call for call in told if call != "pivot_root"]
    assert without[: len(theirs)] != theirs[: len(without)]


SCHEMA = (CHECKOUT / "docs" / "explain-schema.md").read_text()
TYPES: dict[str, tuple[type, ...]] = {
    "number": (int,),
    "text": (str,),
    "object": (dict,),
    "boolean": (bool,),
    "number or null": (int, type(None)),
    "text or null": (str, type(None)),
    "list of text": (list,),
    "list of object": (list,),
}


def tables() -> dict[str, dict[str, str]]:
    """Read the document's tables: kind of event, field, type."""
    found = {}
    for title, body in re.findall(r"^### ([\w, ]+)\n(.*?)(?=^##|\Z)", SCHEMA, re.MULTILINE | re.DOTALL):
        fields = dict(re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", body, re.MULTILINE))
        found.update(dict.fromkeys(title.split(", "), fields))
    return found


def wrong(event: dict[str, Any]) -> list[str]:
    """Return how an event differs from the document: a field too many, one too few, another type."""
    fields = tables().get(event["event"])
    if fields is None:
        return [f"no such event: {event['event']}"]
    given = {key: value for key, value in event.items() if key != "event"}
    said = [f"{event['event']}: fields {sorted(given.keys() ^ fields.keys())}"] * (given.keys() != fields.keys())
    for key, value in given.items():
        kinds = TYPES[fields.get(key, "text")]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            said.append(f"{event['event']}.{key} is {value!r}")
        inner = {"list of text": str, "list of object": dict}.get(fields.get(key, ""))
        if inner and not all(isinstance(item, inner) for item in value):
            said.append(f"{event['event']}.{key} holds {value!r}")
    return said


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((*BOX, "busybox", "true"), 0),
        ((*BOX, "--userns", "private", "-m", "32m", "busybox", "true"), 0),
        ((*BOX, "busybox", "nosuch"), 127),
        ((*BOX, "--omit", "proc,init", "busybox", "true"), 0),
    ],
)
def test_every_event_agrees_with_the_document(
    tinybox: Command, tmp_path: Path, words: tuple[str, ...], status: int
) -> None:
    """Each event of real runs has the fields of its table, all of them and no others, with their types."""
    path = tmp_path / "trace.json"
    done = tinybox("run", "--explain=json", "-o", str(path), *words)
    assert done.returncode == status, done
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [complaint for event in events for complaint in wrong(event)] == []
    assert (events[0]["event"], events[0]["trace"], events[-1]["event"]) == ("begin", 1, "end")
    assert (events[-1]["error"] is None) == (status == 0)


def test_the_document_is_really_read() -> None:
    """The control: a missing field, one too many, a wrong type and an unknown event are found."""
    good = {"event": "state", "at": 1, "state": "created"}
    assert wrong(good) == []
    for bad in ({**good, "at": "1"}, {"event": "state", "at": 1}, {**good, "more": 1}, {"event": "nosuch"}):
        assert wrong(bad)


def test_the_changes_lead_to_the_last_state(tinybox: Command, tmp_path: Path) -> None:
    """The first state with all changes applied is the last: 14 capabilities, and none of the host's mounts."""
    from tinybox.seeing import snapshot

    path = tmp_path / "trace.json"
    assert tinybox("run", "--explain=json", "-o", str(path), *BOX, "busybox", "true").returncode == 0
    events = [json.loads(line) for line in path.read_text().splitlines()]
    state = next(event["state"] for event in events if event["event"] == "born")
    for event in events:
        if event["event"] == "done" and event["lane"] == "child":
            state = snapshot.changed(state, event["changes"])
    assert int(state["rights"]["effective"], 16).bit_count() == 14
    points = {line.split(" ")[3] for line in state["mounts"].values()}
    assert {"/", "/proc", "/dev", "/dev/pts", "/sys"} <= points
    assert not any(os.fspath(tinybox.root) in point for point in points)
