"""Containers as Python objects: each method does what the command of its name does, and ``with`` removes the box."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from typing import TYPE_CHECKING

import pytest

import tinybox
from tests.support.boxes import new_name, until
from tests.support.detached_boxes import open_files_of
from tinybox.errors import ConflictError, NoSuchError, NoSuchImageError, NotFoundError, StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.slow]

TALKS = "echo one; echo two >&2; exec sleep 1000"


@pytest.fixture(scope="module")
def box() -> Iterator[tinybox.Container]:
    """Give a running box that has written a line to each stream."""
    with tinybox.Container.run("busybox", "sh", "-c", TALKS, memory="64m", label={"shop": "1"}) as made:
        yield made


@pytest.mark.parametrize("rm", [True, False])
def test_run_returns_the_status_and_what_was_written(*, rm: bool) -> None:
    """With and without a log: the input arrives, the outputs are kept apart. Control: another status and input."""
    text = "read word; echo $word; echo oh >&2; exit $word"
    name = new_name()
    for word in (b"3\n", b"0\n"):
        ending = tinybox.run("busybox", "sh", "-c", text, rm=rm, name=name, input=word, capture_output=True)
        assert (ending.status, ending.stdout, ending.stderr) == (int(word), word, b"oh\n")
        found = tinybox.Container.list(all=True, filters=[f"name=^{name}$"])
        assert [each.exit_code for each in found] == ([] if rm else [int(word)])
        for each in found:
            each.remove()


def test_run_keeps_more_output_than_a_pipe_holds() -> None:
    """Nobody has to read meanwhile: 8 MB on each stream arrive whole."""
    text = "head -c 8000000 /dev/zero; head -c 8000000 /dev/zero >&2"
    ending = tinybox.run("busybox", "sh", "-c", text, rm=True, capture_output=True)
    assert (len(ending.stdout), len(ending.stderr)) == (8_000_000, 8_000_000)


def test_properties_are_read_when_they_are_asked(box: tinybox.Container) -> None:
    """The object is an id: another object for the same box renames and pauses it, and this one sees that."""
    other, former = tinybox.Container.get(box.id[:12]), box.name
    assert (box.status, box.health, box.exit_code, box.ports) == ("running", "none", None, {})
    assert box.labels["shop"] == "1"
    other.rename(new_name())
    assert box.name == other.name != former
    other.rename(former)
    other.pause()
    assert box.status == "paused"
    with pytest.raises(StateError, match="is paused"):
        box.exec("true")
    other.unpause()
    assert box.status == "running"
    assert box.inspect()["State"]["Status"] == "running"


def test_exec_returns_what_was_written(box: tinybox.Container) -> None:
    """Options have the names of docker-exec(1), a dict is a list of variables; the input may be long."""
    words = ("sh", "-c", 'id -u; pwd; echo "$A"; wc -c >&2; exit 5')
    done = box.exec(*words, user="1000", workdir="/tmp", env={"A": "b c"}, input=b"x" * 300_000)
    assert (done.status, done.stdout, done.stderr) == (5, b"1000\n/tmp\nb c\n", b"300000\n")
    assert box.exec("true").status == 0
    with pytest.raises(NotFoundError) as caught:
        box.exec("no-such-program")
    assert caught.value.status == 127
    with pytest.raises(UsageError, match="option memory: is no option of exec"):
        box.exec("true", memory="1m")
    box.exec_detached("touch", "/tmp/later")
    until(lambda: box.exec("test", "-e", "/tmp/later").status == 0)


def test_logs_are_an_iterator_of_entries(box: tinybox.Container) -> None:
    """Each entry has its stream, its bytes and its time; *tail* and *until* choose. Following ends with the box."""
    until(lambda: len([*box.logs()]) == 2)
    assert [(entry.stream, entry.data) for entry in box.logs()] == [("stdout", b"one\n"), ("stderr", b"two\n")]
    assert [entry.data for entry in box.logs(tail=1)] == [b"two\n"]
    assert [*box.logs(until=1)] == []
    with tinybox.Container.run("busybox", "sh", "-c", "echo a; sleep 0.3; echo b") as short:
        assert b"".join(entry.data for entry in short.logs(follow=True)) == b"a\nb\n"
    with (
        tinybox.Container.run("busybox", "true", log_driver="none") as silent,
        pytest.raises(StateError, match="no log"),
    ):
        next(silent.logs())


def test_files_go_in_and_out(box: tinybox.Container, tmp_path: Path) -> None:
    """copy_to, copy_from, diff, export and commit see the same file; the image of a `with` block is gone after it."""
    (tmp_path / "here").write_text("a page\n")
    assert box.copy_to(str(tmp_path / "here"), "/srv") > 0
    assert box.exec("cat", "/srv").stdout == b"a page\n"
    box.copy_from("/srv", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "a page\n"
    assert ("A", "/srv") in box.diff()
    with (tmp_path / "all.tar").open("wb") as file:
        box.export(file)
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "all.tar").read_bytes())) as archive:
        assert archive.getmember("srv").size == len("a page\n")
    name = f"{new_name()}:1"
    with box.commit(name, message="with a page", changes=["CMD cat /srv"]) as image:
        assert (str(image), image.names) == (name, [name])
        assert tinybox.run(image, rm=True, capture_output=True).stdout == b"a page\n"
    with pytest.raises(NoSuchImageError):
        tinybox.Image.get(name)


def test_what_a_box_uses_and_its_limits(box: tinybox.Container) -> None:
    """Numbers in bytes, with the limit that `update` has set; a key that update does not have is refused."""
    use = next(box.stats(0.05))
    assert (use.memory_limit, use.network) == (64 << 20, (0, 0))
    assert 0 < (use.memory or 0) < 64 << 20
    assert (use.cpus or 0) < 1
    assert any("sleep" in process.command for process in box.top())
    box.update(memory="32m", memory_swap="-1")
    assert next(box.stats(0.05)).memory_limit == 32 << 20
    with pytest.raises(UsageError, match="option hostname: cannot be changed"):
        box.update(hostname="x")


def test_a_life_from_create_to_remove() -> None:
    """create, start, stop, start, kill, restart, wait: the status follows each; an unknown name is NoSuchError."""
    box = tinybox.Container.create("busybox", "sh", "-c", "trap 'exit 4' TERM; while :; do sleep 0.01; done")
    assert (box.status, box.exit_code) == ("created", None)
    box.start()
    box.start()  # as docker: no error
    assert box.status == "running"
    box.stop(5)
    assert (box.status, box.exit_code, box.wait()) == ("exited", 4, 4)
    box.start()
    box.kill()
    assert (box.status, box.exit_code) == ("exited", 137)
    box.restart(0)
    with pytest.raises(StateError, match="stop it first"):
        box.remove()
    box.remove(force=True)
    for act in (lambda: box.status, box.start, box.stop, box.remove, lambda: tinybox.Container.get(box.id)):
        with pytest.raises(NoSuchError):
            act()


def test_with_removes_what_was_made_and_nothing_else() -> None:
    """Also when the block raises, and when the block has removed it; a box from `get` stays after its block."""
    with tinybox.Container.create("busybox", volume="/data") as box:
        volumes = {mount["Name"] for mount in box.inspect()["Mounts"]}
        with tinybox.Container.get(box.name) as same:
            pass
        assert same.status == "created"
        assert volumes <= {volume.name for volume in tinybox.Volume.list()}
    assert not volumes & {volume.name for volume in tinybox.Volume.list()}
    with pytest.raises(RuntimeError, match="in the block"), tinybox.Container.run("busybox", "sleep", "60") as box:
        raise RuntimeError("in the block")
    with tinybox.Container.run("busybox", "sleep", "60") as gone:
        gone.remove(force=True)
    found = {each.id for each in tinybox.Container.list(all=True)}
    assert not found & {box.id, gone.id}


def test_what_cannot_be_removed_is_named() -> None:
    """An image that a box uses: its error, or a note on the error that is on its way already."""
    with tinybox.Container.run("busybox", "sleep", "60") as box:
        image = box.commit(f"{new_name()}:1")
        with tinybox.Container.create(image) as user:
            with pytest.raises(tinybox.errors.ImageError, match="used by"), image:
                pass
            with pytest.raises(RuntimeError, match="first") as caught, image:
                raise RuntimeError("the first error")
            (note,) = caught.value.__notes__
            assert note.startswith(f"tinybox: image {image} was not removed: image {image}: used by {user.id[:12]} (")
        image.remove()


def test_a_box_that_cannot_start_leaves_nothing() -> None:
    """The error is that of `run -d`, and the box is gone; names that are taken are a ConflictError."""
    name = new_name()
    with pytest.raises(NotFoundError):
        tinybox.Container.run("busybox", "no-such-program", name=name)
    with tinybox.Container.create("busybox", name=name), pytest.raises(ConflictError, match=name):
        tinybox.Container.create("busybox", name=name)
    with pytest.raises(NoSuchImageError, match="No such image: no-such-image:latest"):
        tinybox.Container.create("no-such-image", pull="never")
    assert tinybox.Container.list(all=True, filters=[f"name={name}"]) == []


def test_the_monitor_keeps_no_descriptor_of_the_caller() -> None:
    """A server socket of this process is closed for good by closing it, while a box that was started after it runs."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        inode = f"socket:[{os.fstat(server.fileno()).st_ino}]"
        with tinybox.Container.run("busybox", "sleep", "60") as box:
            for again in (False, True):
                if again:
                    box.restart(0)
                pid = box.inspect()["State"]["Pid"]
                with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                    monitor = file.read().rpartition(") ")[2].split()[1]
                held = open_files_of(int(monitor))
                assert any("/lock" in path for path in held)  # the control: these are the monitor's
                assert inode not in held


def test_the_caller_s_umask_does_not_reach_the_box() -> None:
    """With umask 077 a user of the box can read what the image has, and this process keeps its umask."""
    former = os.umask(0o077)
    try:
        with tinybox.Container.run("busybox", "sleep", "60", user="1000") as box:
            assert box.exec("ls", "/bin/sh").status == 0
        assert tinybox.run("busybox", "ls", "/bin/sh", user="1000", rm=True, capture_output=True).status == 0
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(former)
