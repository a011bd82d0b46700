"""Copies of the states of containers at rest: used if the file is the same, and never believed if it has changed."""

from __future__ import annotations

import os
import shutil
from binascii import crc32
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.stored_boxes import SECOND, crowd, home_at, store
from tinybox.container.records import naming, resting_states, state
from tinybox.container.views import listing

if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths

COUNT = 12


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Give a store with COUNT containers that have ended, of whose states there are copies."""
    monkeypatch.setattr(resting_states, "SETTLED", 0)  # else the test would have to wait until the files are old enough
    monkeypatch.setattr(resting_states, "FEWEST", 8)
    monkeypatch.setattr(resting_states, "NEW", 4)
    paths = home_at(tmp_path / "store")
    crowd(paths, COUNT)
    assert not copies(paths).exists()
    assert len(codes(paths)) == COUNT
    return paths


def copies(paths: Paths) -> Path:
    """Return the path of the file with the copies."""
    return Path(paths.cache, resting_states.NAME)


def codes(paths: Paths) -> dict[str, int | None]:
    """Return the exit status of each container, by its name, as `ps -a` lists them."""
    return {listed.name: listed.state.get("exitCode") for listed in listing.containers(paths, at_rest=True)}


def ids(paths: Paths) -> dict[str, str]:
    """Return the id of each container, by its name, as `ps -a` lists them."""
    return {listed.name: listed.id for listed in listing.containers(paths, at_rest=True)}


def end_again(paths: Paths, name: str, code: int) -> None:
    """Take a container through another run, which ends with the status *code*."""
    record = state.lock(paths, listing.find(paths, name).id)
    for changes in ({"status": state.CREATING}, {"status": state.CREATED, "pid": 1, "startTicks": 1}):
        record.write(**changes)
    record.write(status=state.RUNNING, startedAt=2000 * SECOND)
    record.write(status=state.STOPPED, pid=0, exitCode=code, finishedAt=2001 * SECOND)
    record.close()


def rewrite(paths: Paths, former: str, new: str) -> None:
    """Replace a text in the file with the copies, and its check sum with it."""
    _, _, text = copies(paths).read_text().partition("\n")
    text = text.replace(former, new)
    copies(paths).write_text(f"{crc32(text.encode()):08x}\n{text}")


def test_copies_are_used(paths: Paths) -> None:
    """The control: what a copy says is listed, while its file is unchanged; so the other tests look at copies."""
    before = codes(paths)
    rewrite(paths, '"exitCode": 2', '"exitCode": 77')
    after = codes(paths)
    assert set(after.values()) == {0, 1, 77}
    assert {name for name, code in after.items() if code == 77} == {name for name, code in before.items() if code == 2}


def test_a_container_that_has_changed_is_read(paths: Paths) -> None:
    """Another run, another container and a removal are seen at once; a state that cannot be used is named."""
    end_again(paths, "box-7", 42)
    store(paths, "new", created=SECOND, exitCode=9)
    shutil.rmtree(paths.bundle(listing.find(paths, "box-8").id))
    broken = Path(paths.bundle(listing.find(paths, "box-9").id), "state.json")
    with open(broken, "r+") as file:  # in place: the inode and the size stay
        file.write("[")
    named: list[str] = []
    found = listing.containers(paths, at_rest=True, damaged=lambda error: named.append(error.thing))
    seen = {listed.name: listed.state.get("exitCode") for listed in found}
    assert (seen["box-7"], seen["new"], named) == (42, 9, ["container box-9"])
    assert not {"box-8", "box-9"} & seen.keys()
    assert len(seen) == COUNT - 1


def test_a_name_that_has_changed_is_read(paths: Paths) -> None:
    """Two containers that change their names are seen so at once: the states and the set of names are as before."""
    by_name = ids(paths)
    for former, name in (("box-3", "other"), ("box-4", "box-3"), ("other", "box-4")):
        naming.rename(paths, listing.find(paths, former).id, name)
    assert ids(paths) == by_name | {"box-3": by_name["box-4"], "box-4": by_name["box-3"]}


def test_an_inode_that_is_used_again_is_noticed(paths: Paths) -> None:
    """A copy that gives the name of a container, with the right inode, to another one: no container loses its name."""
    by_name = ids(paths)
    inode = os.lstat(Path(paths.names, "box-5")).st_ino
    rewrite(paths, f"box-5 {inode} {by_name['box-5']}", f"box-5 {inode} {by_name['box-6']}")
    rewrite(paths, f"box-6 {os.lstat(Path(paths.names, 'box-6')).st_ino}", "box-6 1")
    assert ids(paths) == by_name


@pytest.mark.parametrize("damage", ["empty", "cut", "another byte", "no text", "a directory", "of another user"])
def test_damaged_copies_count_for_nothing(paths: Paths, damage: str) -> None:
    """A file that is not as it was written, or that another user could have written, is passed over."""
    before, text = codes(paths), copies(paths).read_bytes()
    rewrite(paths, '"exitCode": 2', '"exitCode": 77')
    if damage == "of another user":
        copies(paths).chmod(0o666)
    elif damage == "a directory":
        copies(paths).unlink()
        copies(paths).mkdir()
    else:
        texts = {"empty": b"", "cut": text[:-9], "another byte": text[:-9] + b"x" + text[-8:], "no text": b"\xff\n\xfe"}
        copies(paths).write_bytes(texts[damage])
    assert codes(paths) == before


def test_copies_of_another_store_count_for_nothing(paths: Paths, tmp_path: Path) -> None:
    """A store that was copied has other inodes: its states are read, although the ids are the same."""
    before = codes(paths)
    shutil.copytree(paths.root, tmp_path / "copy", symlinks=True)
    copied = home_at(tmp_path / "copy")
    rewrite(copied, '"exitCode": 2', '"exitCode": 77')
    assert codes(copied) == before


def test_a_file_that_has_just_changed_has_no_copy(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could change again within a tick of the kernel's clock; and of few containers there are no copies at all."""
    copies(paths).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(resting_states, "SETTLED", 3600 * SECOND)
        codes(paths)
    assert not copies(paths).exists()
    with monkeypatch.context() as patch:
        patch.setattr(resting_states, "FEWEST", COUNT + 1)
        codes(paths)
    assert not copies(paths).exists()
    codes(paths)
    assert copies(paths).exists()  # the control
