"""The log of a container, without a container: lines, pieces, bytes, rotation."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import time
from typing import TYPE_CHECKING

import pytest

from tinybox.container.monitor.log import LINE_MAX, Log, stamp
from tinybox.container.views.log_reader import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def rows(path: Path) -> list[dict[str, str]]:
    """Return the lines of a log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_written_when_it_is_complete(tmp_path: Path) -> None:
    """The beginning of a line waits for its end, each stream by itself; an unfinished line is written at the close."""
    log = Log(str(tmp_path / "log"))
    log.write("stdout", b"one\ntw")
    log.write("stderr", b"err")
    assert [row["log"] for row in rows(tmp_path / "log")] == ["one\n"]
    log.write("stdout", b"o\n")
    log.close()
    assert [(row["stream"], row["log"]) for row in rows(tmp_path / "log")] == [
        ("stdout", "one\n"), ("stdout", "two\n"), ("stderr", "err"),
    ]  # fmt: skip


def test_no_byte_is_lost(tmp_path: Path) -> None:
    """Random bytes, in random pieces, are read back unchanged; a long line is cut into pieces that add up."""
    data = os.urandom(5 * LINE_MAX).replace(b"\n", b"") + "ä".encode() * LINE_MAX + b"\n" + os.urandom(1000)
    log = Log(str(tmp_path / "log"))
    for at in range(0, len(data), 777):
        log.write("stdout", data[at : at + 777])
    log.close()
    pieces = [row["log"].encode("utf-8", "surrogateescape") for row in rows(tmp_path / "log")]
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= LINE_MAX


def test_rotation(tmp_path: Path) -> None:
    """No file exceeds its limit, however much is written at once; the oldest are removed, the newest are in order."""
    log = Log(str(tmp_path / "log"), max_size=2000, max_files=3)
    log.write("stdout", b"".join(b"%d\n" % number for number in range(500)))
    log.close()
    names = ["log.2", "log.1", "log"]
    assert sorted(os.listdir(tmp_path)) == sorted(names)
    assert all((tmp_path / name).stat().st_size <= 2000 for name in names)
    numbers = [int(row["log"]) for name in names for row in rows(tmp_path / name)]
    assert numbers == list(range(500 - len(numbers), 500))


def test_without_a_limit_nothing_is_rotated(tmp_path: Path) -> None:
    """The control: the same lines with no limit stay in one file, all of them."""
    log = Log(str(tmp_path / "log"))
    log.write("stdout", b"".join(b"%d\n" % number for number in range(500)))
    log.close()
    assert os.listdir(tmp_path) == ["log"]
    assert len(rows(tmp_path / "log")) == 500


def test_short_lines_cost_no_more_than_their_number(tmp_path: Path) -> None:
    """The data of one read(2), thirty thousand lines of one letter, is written in a moment: it once took 10 seconds."""
    log = Log(str(tmp_path / "log"))
    began = time.process_time()
    log.write("stdout", b"y\n" * 32768)
    taken = time.process_time() - began
    log.close()
    assert len((tmp_path / "log").read_bytes().splitlines()) == 32768
    assert taken < 3


def test_a_log_goes_on(tmp_path: Path) -> None:
    """A second run appends to the log of the first, and the existing size counts for the limit."""
    for word in (b"first\n", b"second\n"):
        log = Log(str(tmp_path / "log"), max_size=1000)
        log.write("stdout", word)
        log.close()
    assert [row["log"] for row in rows(tmp_path / "log")] == ["first\n", "second\n"]


def test_the_time() -> None:
    """Times are RFC 3339 in UTC, to the nanosecond."""
    assert stamp(1_000_000_007) == "1970-01-01T00:00:01.000000007Z"


@contextlib.contextmanager
def limit(kind: int, most: int) -> Iterator[None]:
    """Set a soft limit of this process; see setrlimit(2)."""
    former = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, former)


@pytest.mark.parametrize("max_files", [1, 3])
def test_a_log_that_cannot_be_rotated_goes_on(tmp_path: Path, max_files: int) -> None:
    """No descriptor is free for a new file: no error is raised, no line is lost with older files; later it rotates."""
    log = Log(str(tmp_path / "log"), max_size=2000, max_files=max_files)
    log.write("stdout", b"first\n")
    with limit(resource.RLIMIT_NOFILE, 3):
        for number in range(100):
            log.write("stdout", b"%d\n" % number)
    assert log.failure == "Too many open files"
    if max_files > 1:
        assert [row["log"] for row in rows(tmp_path / "log")] == ["first\n", *(f"{n}\n" for n in range(100))]
        assert (tmp_path / "log").stat().st_size > 2000
    log.write("stdout", b"later\n" * 50)
    assert (tmp_path / "log").stat().st_size <= 2000
    log.close()
    assert rows(tmp_path / "log")[-1]["log"] == "later\n"
    assert not (tmp_path / "log.new").exists()


def test_lines_that_cannot_be_written_are_counted(tmp_path: Path) -> None:
    """A file that cannot grow: the lines are lost, the next one says how many, and no later line is torn by it."""
    log = Log(str(tmp_path / "log"))
    log.write("stdout", b"first\n")
    with limit(resource.RLIMIT_FSIZE, (tmp_path / "log").stat().st_size + 10):  # half a line more
        log.write("stdout", b"lost\n")
        log.write("stdout", b"lost\nlost\n")
    log.write("stdout", b"later\n")
    log.write("stdout", b"last\n")
    log.close()
    found = [entry for line in (tmp_path / "log").read_bytes().splitlines() if (entry := parse(line))]
    assert [(entry.stream, entry.data) for entry in found] == [
        ("stdout", b"first\n"),
        ("stderr", b"tinybox: 3 lines are not logged: File too large\n"),
        ("stdout", b"later\n"),
        ("stdout", b"last\n"),
    ]
