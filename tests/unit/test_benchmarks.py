"""The benchmarks lose no figure: a peer that fails is a line with its reason, and the others are measured."""

from __future__ import annotations

import contextlib
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from benchmarks import document, growth, peers, scale, startup
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


def test_an_engine_that_fails_keeps_the_figures_before(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that fails ends this engine's life of boxes: the row has the costs before it, and its reason."""
    script = "case $1 in stop) echo busy >&2; exit 3;; esac"
    engine = growth.Engine("peer", ["/bin/sh", "-c", script, "peer"], [], compose=False)
    row = growth.costs(engine, 3)
    assert {"start", "ps", "connect"} <= row.keys()
    assert not {"stop", "ps_a", "rm", "up"} & row.keys()
    assert row["note"] == "busy"
    growth.show(row)
    line = capsys.readouterr().out
    assert line.split()[:2] == ["peer", "3"]
    assert line.endswith("   busy\n")


DOCUMENT = """# Title

<!-- measured: one -->

old

<!-- end -->

between

<!-- measured: two -->

kept

<!-- end -->
"""


def test_a_table_is_written_into_its_part_of_a_document(tmp_path: Path) -> None:
    """The rest of the document stays as it is, also when it is written again; a part that is missing is an error."""
    page = tmp_path / "page.md"
    page.write_text(DOCUMENT)
    table = document.table(["name", "ms", "note"], [["`a|b`", 1.5, "x"]])
    assert table.splitlines() == ["| name | ms | note |", "|---|--:|---|", "| `a\\|b` | 1.5 | x |"]
    for _ in range(2):
        document.fill(str(page), "one", table)
        assert page.read_text() == DOCUMENT.replace("old", table)
    with pytest.raises(ValueError, match="has no part <!-- measured: three -->"):
        document.fill(str(page), "three", table)


def test_the_figures_say_where_they_are_from() -> None:
    """The sentence has the date, the kernel and the processor; a machine that names no model has its architecture."""
    facts = document.host()
    said = document.sentence(facts)
    assert said.startswith(f"Measured on {facts['date']}: Linux {facts['Linux']}, {facts['processor']}, ")
    assert document.processor("processor\t: 0\nmodel name\t: A  Chip 3\nmodel name\t: other\n") == "A Chip 3"
    assert document.processor("processor\t: 0\nBogoMIPS\t: 50\n") == platform.machine()


def test_the_page_of_figures_has_every_part_that_a_benchmark_fills() -> None:
    """docs/performance.md has the parts startup, commands, scale and growth, each with a table, and the picture."""
    page = Path(__file__).parents[2] / "docs/performance.md"
    parts = {found[2]: found[0] for found in document.PART.finditer(page.read_text())}
    assert set(parts) == {"startup", "commands", "scale", "growth"}
    assert all("Measured on 20" in text and "|--:|" in text for text in parts.values())
    picture = (page.parent / "performance.svg").read_text()
    assert "(performance.svg)" in page.read_text()
    assert picture.startswith("<svg ")
    assert "prefers-color-scheme: dark" in picture


ENDED = """
import sys, time
from contextlib import ExitStack
from benchmarks import leavings
if sys.argv[1] == "tidy":
    leavings.leave_nothing_if_ended()
with ExitStack() as stack:
    stack.callback(lambda: (time.sleep(0.5), print("removed", flush=True)))
    print("made", flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("how", ["tidy", "not at all"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_benchmark_that_is_ended_removes_what_it_has_made(how: str, number: int) -> None:
    """A second signal does not end the removal; the control: without the handlers it ends at once."""
    words = [sys.executable, "-c", ENDED, how]
    with subprocess.Popen(words, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as it:
        assert it.stdout is not None
        assert it.stdout.readline() == b"made\n"
        it.send_signal(number)
        if how == "tidy":
            assert it.stderr is not None
            assert b": removing what was made" in it.stderr.readline()
            it.send_signal(number)
        rest = it.stdout.read()
    if how == "tidy":
        assert (rest, it.returncode) == (b"removed\n", 128 + number)
    else:
        assert it.returncode == -number
        assert rest == (b"removed\n" if number == signal.SIGINT else b"")  # Python has a handler for this one
