"""The lines of boxes for one another: each box has the others of its networks, with their names, and itself once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.stored_boxes import connected, endpoint, home_at
from tinybox.container.network import hosts_file
from tinybox.container.network.hosts_file import HostsLock
from tinybox.container.network.neighbours import Neighbours, running

if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return the paths of an empty store."""
    tmp_path.chmod(0o700)
    return home_at(tmp_path)


def block(paths: Paths, container: str) -> list[str]:
    """Return the lines of a box's hosts file between tinybox's marks, sorted."""
    text = Path(paths.bundle(container), "hosts").read_text()
    assert text.startswith("127.0.0.1\tlocalhost\n")
    return sorted(text.partition(f"{hosts_file.BEGIN}\n")[2].partition(hosts_file.END)[0].splitlines())


def test_each_box_has_the_others_of_its_networks(paths: Paths) -> None:
    """A box in two networks has the boxes of both; its own line has its host name; a link is for one box alone."""
    web = connected(paths, "web", endpoint("front", "10.1.0.2", links=["db:sql"]), endpoint("back", "10.2.0.2"))
    db = connected(paths, "db", endpoint("front", "10.1.0.3", aliases=["data"]))
    job = connected(paths, "job", endpoint("back", "10.2.0.3", address6="fd00::3/64"), endpoint("bridge", "10.9.0.3"))
    hosts_file.refresh(paths, ["front", "back"])
    assert block(paths, web) == [
        f"10.1.0.2\thost-web web {web[:12]}",
        f"10.1.0.3\tdb data {db[:12]} sql",
        f"10.2.0.2\thost-web web {web[:12]}",
        f"10.2.0.3\tjob {job[:12]}",
        f"fd00::3\tjob {job[:12]}",
    ]
    assert block(paths, db) == [f"10.1.0.2\tweb {web[:12]}", f"10.1.0.3\thost-db db data {db[:12]}"]
    assert block(paths, job) == [
        f"10.2.0.2\tweb {web[:12]}",
        f"10.2.0.3\thost-job job {job[:12]}",
        "10.9.0.3\thost-job",
        f"fd00::3\thost-job job {job[:12]}",
    ]


def test_a_network_s_text_without_a_box_is_that_of_the_others(paths: Paths) -> None:
    """Wherever a box is in the list, exactly its own lines are left out."""
    boxes = [connected(paths, f"box{number}", endpoint("net", f"10.1.0.{number}")) for number in range(2, 9)]
    every = Neighbours(running(paths))
    for member in every.members:
        lines = every.lines(member, [])
        assert lines.count("\n") == len(boxes)
        assert lines.count(f"\t{member.name} ") == 1
        assert sorted(line.split()[1] for line in lines.splitlines()) == [f"box{number}" for number in range(2, 9)]


def test_of_many_that_wait_one_writes(paths: Paths) -> None:
    """A change that was made before the records were read last needs no other writing; a later one does."""
    connected(paths, "one", endpoint("net", "10.1.0.2"))
    other = connected(paths, "two", endpoint("net", "10.1.0.3"))
    before = time.monotonic_ns()
    with HostsLock(paths) as lock:
        assert not lock.covers(["net"], before)  # the control: nothing has been written
    hosts_file.refresh(paths, ["net"])
    with HostsLock(paths) as lock:
        assert lock.covers(["net"], before)
        assert not lock.covers(["net", "other"], before)
        assert not lock.covers(["net"], time.monotonic_ns())
    Path(paths.bundle(other), "hosts").write_text("127.0.0.1\tlocalhost\n")
    hosts_file.refresh(paths, ["net"])
    assert len(block(paths, other)) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"net": "x"}', '{"net": 99999999999999999999}', "\xff"])
def test_a_damaged_note_covers_nothing(paths: Paths, text: str) -> None:
    """Its writer may have been killed, or it is from before a reboot: then all files are written."""
    changed = time.monotonic_ns()
    hosts_file.refresh(paths, ["net"])
    Path(paths.cache, hosts_file.NOTES).write_text(text, encoding="latin-1")
    with HostsLock(paths) as lock:
        assert not lock.covers(["net"], changed)


def test_without_notes_each_process_writes(paths: Paths) -> None:
    """On a disk that is full or read-only the names are written all the same."""
    changed = time.monotonic_ns()
    box = connected(paths, "one", endpoint("net", "10.1.0.2"))
    Path(paths.cache).touch()  # no directory: ENOTDIR
    hosts_file.refresh(paths, ["net"])
    assert len(block(paths, box)) == 1
    with HostsLock(paths) as lock:
        assert not lock.covers(["net"], changed)


def test_a_file_that_cannot_be_written_is_tried_again(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is noted then: the next process that waits does not rely on this one."""
    changed = time.monotonic_ns()
    box = connected(paths, "one", endpoint("net", "10.1.0.2"))
    Path(paths.bundle(box), "hosts").unlink()
    Path(paths.bundle(box), "hosts").mkdir()  # EISDIR
    hosts_file.refresh(paths, ["net"])
    assert "container one: its /etc/hosts stays as it is: Is a directory" in capsys.readouterr().err
    with HostsLock(paths) as lock:
        assert not lock.covers(["net"], changed)
    with pytest.raises(IsADirectoryError):
        hosts_file.refresh(paths, ["net"], box)
