"""Reading logs back: the order, the last lines, times, rotation during the reading, and the end of --follow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, patience, until
from tests.support.stored_boxes import home_at, store
from tinybox.container.monitor.log import Log
from tinybox.container.records import state
from tinybox.container.views import log_reader, rotated_files
from tinybox.container.views.log_reader import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tinybox.container.records.paths import Paths
    from tinybox.container.views.log_reader import Entry


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Give a store."""
    return home_at(tmp_path)


@pytest.fixture
def box(paths: Paths) -> str:
    """Give the id of a container at rest."""
    return store(paths, "box", created=1, exitCode=0)


def log_of(paths: Paths, box: str) -> str:
    """Return the path of its log."""
    return os.path.join(paths.bundle(box), "container.log")


def row(number: int, stream: str = "stdout") -> str:
    """Return a line of the log, written in second *number*."""
    return (
        json.dumps({"log": f"{number}\n", "stream": stream, "time": f"1970-01-01T00:00:{number:02}.000000000Z"}) + "\n"
    )


def text(batches: Iterator[list[Entry]]) -> list[str]:
    """Return the lines in *batches*."""
    return [entry.data.decode().rstrip("\n") for batch in batches for entry in batch]


def three_generations(path: str) -> None:
    """Write ten lines into a log that was rotated twice."""
    for suffix, numbers in ((".2", range(3)), (".1", range(3, 6)), ("", range(6, 10))):
        with open(path + suffix, "w", encoding="utf-8") as file:
            file.writelines(map(row, numbers))


@pytest.mark.parametrize("tail", [None, 0, 1, 4, 5, 7, 9, 10, 11])
def test_the_last_lines_over_generations(paths: Paths, box: str, tail: int | None) -> None:
    """The oldest come first; --tail counts from the end, across files."""
    three_generations(log_of(paths, box))
    expected = [str(number) for number in range(10)]
    assert (
        text(log_reader.read(paths, box, Selection(tail=tail)))
        == expected[10 - min(10 if tail is None else tail, 10) :]
    )


def test_the_last_lines_of_a_large_file(paths: Paths, box: str) -> None:
    """--tail reads a file of megabytes from its end: the lines are right, and most of its bytes are not read."""
    with open(log_of(paths, box), "w", encoding="utf-8") as file:
        file.writelines(
            json.dumps({"log": f"{n}" + "x" * 100 + "\n", "stream": "stdout", "time": "2"}) + "\n"
            for n in range(50_000)
        )
    fd = os.open(log_of(paths, box), os.O_RDONLY)
    for count in (1, 2, 400, 1000):
        assert rotated_files.seek_to_last(fd, log_reader.Tail(count).takes)
        assert os.read(fd, 40).startswith(b'{"log": "%dx' % (50_000 - count))
    os.close(fd)
    before = int(_io("rchar"))
    assert len(text(log_reader.read(paths, box, Selection(tail=1000)))) == 1000
    assert int(_io("rchar")) - before < os.path.getsize(log_of(paths, box)) / 10


@pytest.mark.parametrize("tail", range(7))
def test_the_last_lines_are_whole(paths: Paths, box: str, tail: int) -> None:
    """A line of 40,000 bytes is three entries and one line, also over a rotation; so is an unfinished last line."""
    lines = ["first\n", "a" * 40_000 + "\n", "b" * 16_384 + "\n", "c\n", "d" * 40_000]
    log = Log(log_of(paths, box), max_size=30_000, max_files=9)
    for line in lines:
        log.write("stdout", line.encode())
    log.close()
    assert os.path.exists(log_of(paths, box) + ".2")
    shown = "".join(text_as_it_is(log_reader.read(paths, box, Selection(tail=tail))))
    assert shown == "".join(lines[max(0, 5 - tail) :])


def test_the_last_lines_of_two_streams(paths: Paths, box: str) -> None:
    """The pieces of a long line are one line, while the other stream has whole lines between them."""
    log = Log(log_of(paths, box))
    log.write("stderr", b"one\n")
    log.write("stdout", b"x" * 20_000)
    log.write("stderr", b"two\nthree\n")
    log.write("stdout", b"y\n")
    log.close()
    shown = "".join(text_as_it_is(log_reader.read(paths, box, Selection(tail=3))))
    assert shown == "x" * 16_384 + "two\nthree\n" + "x" * 3616 + "y\n"


def text_as_it_is(batches: Iterator[list[Entry]]) -> list[str]:
    """Return the data in *batches*."""
    return [entry.data.decode() for batch in batches for entry in batch]


def _io(name: str) -> str:
    with open("/proc/self/io", encoding="utf-8") as file:
        return dict(line.split(": ") for line in file)[name]


def test_times(paths: Paths, box: str) -> None:
    """--since and --until select by the time in the line, both ends included."""
    three_generations(log_of(paths, box))
    second = 1_000_000_000
    assert text(log_reader.read(paths, box, Selection(since=4 * second, until=7 * second))) == ["4", "5", "6", "7"]
    assert text(log_reader.read(paths, box, Selection(since=8 * second, tail=5))) == ["8", "9"]


def test_bytes_and_streams_come_back(paths: Paths, box: str) -> None:
    """The writer's data is read back, on its stream, byte for byte: invalid UTF-8, long lines, no final newline."""
    log = Log(log_of(paths, box))
    said = {"stdout": os.urandom(3000) + b"\xff\n" + b"y" * 40_000 + b"\n", "stderr": b"\xc3\xa9 no newline"}
    for stream, data in said.items():
        log.write(stream, data)
    log.close()
    entries = [entry for batch in log_reader.read(paths, box, Selection()) for entry in batch]
    for stream, data in said.items():
        assert b"".join(entry.data for entry in entries if entry.stream == stream) == data


def test_a_damaged_line_is_skipped(paths: Paths, box: str) -> None:
    """A line that a full disk has cut does not affect the others; one without its end is not shown yet."""
    with open(log_of(paths, box), "w", encoding="utf-8") as file:
        file.write(row(1) + row(2)[:20] + "\n" + row(3) + row(4)[:-1])
    assert text(log_reader.read(paths, box, Selection())) == ["1", "3"]


def test_no_log_is_an_empty_one(paths: Paths, box: str) -> None:
    """A container that has never run has no output; following it ends at once."""
    assert text(log_reader.read(paths, box, Selection())) == []
    assert text(log_reader.follow(paths, box, Selection())) == []


WRITER = """
import sys, time
from tinybox.container.records import state
from tinybox.container.records.paths import Paths
from tinybox.container.monitor.log import Log
root, box, count, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
paths = Paths(root)
record = state.lock(paths, box)
log = Log(paths.bundle(box) + "/container.log", max_size=5000, max_files=1000)
print("ready", flush=True)
for number in range(count):
    log.write("stdout", b"%d\\n" % number)
    time.sleep(pause)
log.write("stdout", b"without an end")
log.close()
record.close()
"""


def writer(paths: Paths, box: str, count: int, pause: float) -> subprocess.Popen[str]:
    """Start a process that owns the container, and writes *count* lines into its log."""
    words = [sys.executable, "-c", WRITER, paths.root, box, str(count), str(pause)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_rotation_while_following_loses_nothing(paths: Paths, box: str) -> None:
    """5000 lines through a log that is rotated every 60: the follower sees each once, in order, and then ends."""
    with writer(paths, box, 5000, 0) as process:
        assert text(log_reader.follow(paths, box, Selection())) == [*map(str, range(5000)), "without an end"]
        assert process.wait(PATIENCE) == 0
    assert len([name for name in os.listdir(paths.bundle(box)) if name.startswith("container.log.")]) > 50


@pytest.mark.slow
def test_lines_come_when_they_are_written(paths: Paths, box: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower gets each line although it would not poll in time: inotify(7) wakes it."""
    monkeypatch.setattr(log_reader, "LOOK_AGAIN", 3600.0)
    with writer(paths, box, 10_000, 0.3) as process, patience(PATIENCE):
        lines = (entry.data for batch in log_reader.follow(paths, box, Selection()) for entry in batch)
        try:
            assert [next(lines) for _ in range(3)] == [b"0\n", b"1\n", b"2\n"]
        finally:
            process.kill()
        lines.close()


@pytest.mark.slow
def test_following_ends_with_a_killed_owner(paths: Paths, box: str) -> None:
    """A killed monitor writes no end: the follower notices that no process holds the lock."""
    with writer(paths, box, 2, 1000) as process:
        following = log_reader.follow(paths, box, Selection())
        assert [entry.data for entry in next(following)] == [b"0\n"]
        assert log_reader.is_watched(paths, box)  # the control
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert text(following) == []
    assert state.inherit(paths, box) is not None  # and the lock is left to the command that cleans up


@pytest.mark.slow
def test_following_ends_with_until(paths: Paths, box: str) -> None:
    """--until in the future: lines until then, and no later ones, though there are more."""
    with writer(paths, box, 1000, 0.2) as process:
        until(lambda: text(log_reader.read(paths, box, Selection())))
        end = time.time_ns() + 500_000_000
        with patience(PATIENCE):
            followed = text(log_reader.follow(paths, box, Selection(until=end)))
        assert time.time_ns() > end
        assert process.poll() is None
        expected = text(log_reader.read(paths, box, Selection(until=end)))
        until(lambda: len(text(log_reader.read(paths, box, Selection()))) > len(expected))
        process.kill()
    assert followed
    assert followed in (expected, expected[:-1])  # the last may have been written after the end, with a time before it


def test_a_reader_keeps_no_files_open(paths: Paths, box: str) -> None:
    """After reading and after leaving a follower half-way, no descriptor is open."""
    three_generations(log_of(paths, box))
    before = os.listdir("/proc/self/fd")
    for tail in (None, 0, 5):
        text(log_reader.read(paths, box, Selection(tail=tail)))
    with writer(paths, box, 1000, 0.1) as process:
        during = len(os.listdir("/proc/self/fd"))
        following = log_reader.follow(paths, box, Selection())
        next(following)
        assert len(os.listdir("/proc/self/fd")) > during  # the control
        following.close()  # type: ignore[attr-defined]
        assert len(os.listdir("/proc/self/fd")) == during
        process.kill()
    assert os.listdir("/proc/self/fd") == before


def test_an_unfinished_rotation_hides_nothing(tmp_path: Path) -> None:
    """Between two renames a number, or the name itself, is missing: each file is found nevertheless, once."""
    for name in ("log.1", "log.3"):
        (tmp_path / name).write_text(f"{name}\n")
    os.link(tmp_path / "log.3", tmp_path / "log.4")  # seen twice, as a file that moves during the reading
    with rotated_files.Lines(str(tmp_path / "log")) as lines:
        assert [line for batch in lines.batches() for line in batch] == [b"log.3", b"log.1"]
