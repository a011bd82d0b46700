"""ps: which containers are listed, in which order, and with which text; on states of the real functions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.stored_boxes import SECOND, crowd, home_at, store
from tinybox.cli.commands.listing import USUAL, columns
from tinybox.cli.formatting.table import Table
from tinybox.container.records import spec, state
from tinybox.container.views import listing
from tinybox.container.views.container_filters import ContainerFilter
from tinybox.container.views.status_text import status
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Spec
    from tinybox.container.records.state_file import State

NOW = 2_000_000 * SECOND


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Give a store with four containers: created, ended with 0, ended with an error, and ended with unknown status."""
    paths = home_at(tmp_path)
    store(paths, "made", created=1000 * SECOND, labels={"tier": "web"})
    store(paths, "well", created=1001 * SECOND, labels={"tier": "db", "x": ""}, exitCode=0)
    store(paths, "badly", created=1002 * SECOND, exitCode=137)
    store(paths, "unseen", created=1003 * SECOND, exitCode=None)
    return paths


def listed(paths: Paths, *words: str) -> list[str]:
    """Return the names of those that `ps -a --filter WORD` lists."""
    wanted = ContainerFilter(paths, words)
    return [box.name for box in listing.containers(paths, at_rest=True, is_wanted=wanted)]


def test_the_newest_is_first(paths: Paths) -> None:
    """`ps -a` lists all, the newest first; `ps` alone lists only running ones, of which there are none."""
    assert listed(paths) == ["unseen", "badly", "well", "made"]
    assert listing.containers(paths, at_rest=False) == []


FILTERS = {
    "name=ell": ["well"],
    "name=^(well|made)$": ["well", "made"],
    "label=tier": ["well", "made"],
    "label=tier=db": ["well"],
    "label=x": ["well"],
    "exited=0": ["well"],
    "exited=137": ["badly"],
    "exited=unknown": ["unseen"],
    "status=created": ["made"],
    "status=exited": ["unseen", "badly", "well"],
    "status=running": [],
    "health=none": ["unseen", "badly", "well", "made"],
    "health=healthy": [],
    "ancestor=alpine:3": ["unseen", "badly", "well", "made"],
    "ancestor=alpine": ["unseen", "badly", "well", "made"],
    "ancestor=busybox": [],
    "ancestor=abababababab": ["unseen", "badly", "well", "made"],
    "before=badly": ["well", "made"],
    "since=badly": ["unseen"],
    "is-task=false": ["unseen", "badly", "well", "made"],
    "is-task=true": [],
    " NAME = ell ": ["well"],
    "": ["unseen", "badly", "well", "made"],
}


@pytest.mark.parametrize("word", FILTERS)
def test_filters(paths: Paths, word: str) -> None:
    """Each of docker's keys selects its containers."""
    assert listed(paths, word) == FILTERS[word]


def test_filters_together(paths: Paths) -> None:
    """Values of one key are alternatives, keys and labels must all agree."""
    assert listed(paths, "exited=0", "exited=137") == ["badly", "well"]
    assert listed(paths, "exited=0", "name=made") == []
    assert listed(paths, "label=tier", "label=x") == ["well"]


def test_filter_by_id(paths: Paths) -> None:
    """A part of an id is enough; the id of another container does not match."""
    first, second = (listing.find(paths, name).id for name in ("well", "badly"))
    assert listed(paths, f"id=^{first[:12]}") == ["well"]
    assert listed(paths, f"id={second}") == ["badly"]


@pytest.mark.parametrize("word", ["foo=bar", "name", "status=asleep", "exited=no", "health=fine", "name=(", "="])
def test_invalid_filters(paths: Paths, word: str) -> None:
    """An invalid filter is an error that names it."""
    with pytest.raises(UsageError, match="--filter"):
        ContainerFilter(paths, [word])


def test_filter_by_volume(paths: Paths) -> None:
    """A volume is found by its name, and any mount by its path; /proc, which every container has, is not."""
    box = listing.find(paths, "well")
    for name in ("made", "badly", "unseen"):
        spec.save(_config([]), paths.bundle(listing.find(paths, name).id))
    mounts: list[Any] = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/data", "type": "bind", "source": f"{paths.volumes}/stock/_data", "options": ["rbind", "rro"]},
    ]
    spec.save(_config(mounts), paths.bundle(box.id))
    assert listed(paths, "volume=stock") == listed(paths, "volume=/data") == ["well"]
    assert listed(paths, "volume=/proc") == []
    assert [(mount["Type"], mount["Name"], mount["RW"]) for mount in box.mounts()] == [("volume", "stock", False)]


def _config(mounts: list[Any]) -> Spec:
    return {
        "ociVersion": "1.2.0",
        "process": {"args": ["sh"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "mounts": mounts,
    }


def box(**now: Any) -> listing.Listed:
    """Return a container whose state is *now* and that needs no check with the kernel."""

    class Unfrozen(listing.Listed):
        def is_paused(self) -> bool:
            return bool(now.get("paused"))

    written: Any = {"annotations": {}, **now}
    return Unfrozen(None, "ab" * 32, "box", written)  # type: ignore[arg-type]


STATUS: list[tuple[str, dict[str, Any]]] = [
    ("Created", {"status": "new"}),
    ("Created", {"status": "stopped", "exitCode": 127, "finishedAt": NOW}),
    ("Up 3 minutes", {"status": "running", "startedAt": NOW - 200 * SECOND}),
    ("Up 2 hours (Paused)", {"status": "running", "startedAt": NOW - 7200 * SECOND, "paused": True}),
    ("Up 5 seconds (healthy)", {"status": "running", "startedAt": NOW - 5 * SECOND, "health": {"Status": "healthy"}}),
    ("Up 5 seconds (health: starting)",
     {"status": "running", "startedAt": NOW - 5 * SECOND, "health": {"Status": "starting"}}),
    ("Exited (137) 2 minutes ago",
     {"status": "stopped", "startedAt": 1, "finishedAt": NOW - 120 * SECOND, "exitCode": 137}),
    ("Exited (unknown) 1 second ago",
     {"status": "stopped", "startedAt": 1, "finishedAt": NOW - SECOND, "exitCode": None}),
    ("Exited (unknown)", {"status": "stopped", "startedAt": NOW, "finishedAt": 5, "exitCode": None}),
    ("Restarting (1) 2 seconds ago",
     {"status": "stopped", "restarting": True, "startedAt": 1, "finishedAt": NOW - 2 * SECOND, "exitCode": 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "now"), STATUS, ids=[f"{number}-{words}" for number, (words, _) in enumerate(STATUS)]
)
def test_status_texts(words: str, now: dict[str, Any]) -> None:
    """Each state has docker's text; an unknown status or time is called unknown."""
    assert status(box(**now), NOW) == words


def test_columns(paths: Paths) -> None:
    """The table is docker's; JSON has its fields; a template can use one label; --no-trunc shortens nothing."""
    found = listing.containers(paths, at_rest=True)
    short, full = columns(full=False, now=NOW), columns(full=True, now=NOW)
    heading, first, *_ = Table(short, "", USUAL).lines(found)
    assert heading.split() == "CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES".split()
    assert first.startswith(found[0].id[:12] + "   alpine:3")
    assert Table(full, "{{.ID}}", USUAL).lines(found) == [each.id for each in found]
    assert Table(short, '{{.Names}}\\t{{.Label "tier"}}', USUAL).lines(found)[2:] == ["well\tdb", "made\tweb"]
    assert Table(short, "table {{.Names}}\t{{.State}}", USUAL).lines(found)[0] == "NAMES     STATE"
    spec.save(_config([]), paths.bundle(found[0].id))
    row = json.loads(Table(short, "json", USUAL).lines(found[:1])[0])
    assert (row["Names"], row["State"], row["Command"]) == ("unseen", "exited", "\"sh -c 'exit 1'\"")


def test_a_row_as_json_is_the_same_by_a_template(paths: Paths) -> None:
    """{{json .}} has the content of `--format json`: all columns except Label, a function; {{json .Names}} has one."""
    rows = listing.containers(paths, at_rest=True)
    table = columns(full=False, now=NOW)
    plain = Table(table, "json", USUAL).lines(rows)
    assert Table(table, "{{json .}}", USUAL).lines(rows) == plain
    assert set(json.loads(plain[0])) == set(table) - {"Label"}
    assert Table(table, "{{json .Names}}", USUAL).lines(rows)[0].startswith('"')


def test_terminal_escapes_are_shown_as_text(paths: Paths) -> None:
    """An escape sequence in a command is printed as visible text."""
    found = box(status="new", command=["\x1b[2J"])
    assert "\\x1b[2J" in Table(columns(full=True, now=NOW), "", "Command").lines([found])[1]


OPENED = """
import sys
opened = []
sys.addaudithook(lambda event, words: event == "open" and opened.append(str(words[0])))
from tinybox.cli import app
app.start(["ps", "-a", "-q"])
print(sum("config.json" in path for path in opened), sum("state.json" in path for path in opened), file=sys.stderr)
"""


def test_ps_reads_one_small_file_a_container(tmp_path: Path) -> None:
    """`ps -a` over 100 containers reads no config.json, and opens each state.json once."""
    crowd(home_at(tmp_path), 100)
    settings = {**os.environ, "TINYBOX_ROOT": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", OPENED], env=settings, capture_output=True, text=True, check=True)
    assert len(done.stdout.split()) == 100
    assert done.stderr.split() == ["0", "100"]


def test_a_removed_container_is_skipped(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that is removed while the list is read is not in it, and the others are."""
    gone = listing.find(paths, "badly").id
    read = state.read_at_rest

    def vanishing(where: Paths, container: str) -> State:
        if container == gone:
            os.rename(where.bundle(gone), where.bundle("gone"))
        return read(where, container)

    monkeypatch.setattr(state, "read_at_rest", vanishing)
    assert listed(paths) == ["unseen", "well", "made"]


def test_a_container_that_starts_after_the_look_at_those_that_run_runs(paths: Paths) -> None:
    """It had no run directory when `ps` listed these, and its file in the store says `running`: both files are read."""
    container = listing.find(paths, "well").id
    assert paths.with_run_directory() == []
    assert state.read_at_rest(paths, container)["status"] == state.STOPPED
    owner = state.lock(paths, container)
    for changes in ({"status": state.CREATING}, {"status": state.CREATED, "pid": 1, "startTicks": 1}):
        owner.write(**changes)
    owner.write(status=state.RUNNING)
    assert state.read_at_rest(paths, container)["status"] == state.RUNNING
    owner.write(status=state.STOPPED, pid=0, exitCode=0)
    owner.close()


def test_a_container_that_starts_between_two_reads_runs(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that is found first at rest and then running is not mistaken for one that died unseen."""
    container = listing.find(paths, "well").id
    owner, stored = state.lock(paths, container), state.stored

    def after_its_start(paths: Paths, container: str) -> State | None:
        monkeypatch.undo()
        for changes in ({"status": state.CREATING}, {"status": state.CREATED, "pid": 1}, {"status": state.RUNNING}):
            owner.write(**changes)
        return stored(paths, container)

    monkeypatch.setattr(state, "stored", after_its_start)
    assert listing.find(paths, "well").word == "running"
    owner.write(status=state.STOPPED, pid=0, exitCode=0)
    owner.close()
