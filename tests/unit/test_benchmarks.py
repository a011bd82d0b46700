"""The benchmarks lose no figure: a peer that fails is a line with its reason, and the others are measured."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from benchmarks import peers, scale, startup
from benchmarks.leavings import mounts_below, users_of
from benchmarks.peers import FAILURES, Command, Unavailable, reason_of

if TYPE_CHECKING:
    from contextlib import ExitStack

FAILED = [OSError(16, "busy", "overlay"), Unavailable("busy: overlay"), AssertionError("log\nbusy: overlay")]


@pytest.mark.parametrize("failure", FAILED)
def test_what_cannot_be_cleaned_up_loses_no_figure(failure: Exception) -> None:
    """A peer whose end fails keeps its figures, and its note has the reason; one that fails at once has the note."""

    def fail() -> NoReturn:
        raise failure

    def late(count: int, stack: ExitStack) -> scale.Record:
        stack.callback(fail)
        return {"name": "peer", "note": "two processes", "containers": count, "both_mib": 1.5}

    def early(count: int, stack: ExitStack) -> scale.Record:
        fail()

    row = scale.measured("peer", late, 7)
    assert (row["containers"], row["both_mib"]) == (7, 1.5)
    assert str(row["note"]).startswith("two processes; ")
    assert "busy" in str(row["note"])
    assert scale.measured("peer", early, 7) == {"name": "peer", "note": reason_of(failure)}


def test_a_peer_that_fails_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make bench` prepares the other peers, and the row of the failed one says why, in one line."""

    def broken(folder: Path, stack: ExitStack) -> Command:
        raise subprocess.TimeoutExpired(["peer"], 60)

    def works(folder: Path, stack: ExitStack) -> Command:
        return Command("works", "", "/bin/true")

    monkeypatch.setattr(startup, "PEERS", {"broken": broken, "works": works})
    monkeypatch.setattr(peers, "root_of_image", Path)
    with contextlib.ExitStack() as stack:
        rows = startup.prepare(tmp_path, stack)
    startup.measure(rows, 2)
    assert rows[0].note == "Command '['peer']' timed out after 60 seconds"
    assert [len(row.times) for row in rows] == [0, 2]
    assert issubclass(subprocess.TimeoutExpired, FAILURES)


def test_users_of_a_directory_are_found_by_their_words(tmp_path: Path) -> None:
    """A process whose command line names the directory is a user of it until it ends; nothing is mounted there."""
    assert users_of(tmp_path) == []
    words = ["sh", "-c", "echo ready; read line", str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert users_of(tmp_path) == [process.pid]
        process.communicate()
    assert users_of(tmp_path) == []
    assert mounts_below(tmp_path) == []
