"""--volumes-from: the mounts of another box, at the same places; a volume is kept while a container uses it."""

from __future__ import annotations

import fcntl
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import facts, new_name, one_line, output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root


def volumes(tinybox: Command) -> list[str]:
    """Return the names of the volumes of the store."""
    return tinybox("volume", "ls", "-q").stdout.split()


@pytest.fixture
def data(tinybox: Command, tmp_path: Path) -> Iterator[str]:
    """Give the name of a box at rest with a named volume, a nameless one, a bind, one read-only, and a tmpfs."""
    name = new_name()
    words = ("-v", "kept:/named", "-v", "/bare", "-v", f"{tmp_path}:/bind", "-v", f"{tmp_path}:/sealed:ro")
    script = "for d in named bare bind; do echo $d > /$d/file; done"
    done = tinybox("run", "--name", name, *words, "--tmpfs", "/memory", "busybox", "sh", "-c", script)
    assert done.returncode == 0, done
    yield name
    tinybox("rm", "-f", "-v", name)
    assert tinybox("volume", "prune", "-a", "-f").returncode == 0
    assert volumes(tinybox) == []


def test_volumes_and_binds_are_at_the_same_places(tinybox: Command, data: str) -> None:
    """They can be read and written; read-only ones stay so; a tmpfs is not taken over. Control: a box without it."""
    read = "cat /named/file /bare/file /bind/file"
    seen = facts(tinybox, "--volumes-from", data, read=read, sealed="echo x > /sealed/x", memory="ls /memory")
    assert seen["read"].split() == ["named", "bare", "bind"]
    assert "Read-only" in seen["sealed"]
    assert "No such file" in seen["memory"]
    output(tinybox, "--volumes-from", data, "busybox", "sh", "-c", "echo more >> /bare/file")
    assert output(tinybox, "--volumes-from", data, "busybox", "cat", "/bare/file") == "bare\nmore\n"
    assert "No such file" in facts(tinybox, read=read)["read"]


@pytest.mark.parametrize("mode", ["", ":rw", ":ro"])
def test_ro_makes_them_read_only(tinybox: Command, data: str, mode: str) -> None:
    """:ro makes all mounts read-only; :rw, the default, does not make a read-only mount writable."""
    wrote = {place: f"echo x > /{place}/new && echo ok" for place in ("named", "bare", "bind", "sealed")}
    seen = facts(tinybox, "--volumes-from", data + mode, **wrote)
    written = {place for place, said in seen.items() if said == "ok"}
    assert written == (set() if mode == ":ro" else {"named", "bare", "bind"})
    assert all("Read-only" in said for place, said in seen.items() if place not in written)


def test_a_running_box_and_one_that_never_ran_hand_on_as_well(tinybox: Command) -> None:
    """The files of the running box are seen, also from a user namespace; `create` already makes volumes."""
    name, other = new_name(), new_name()
    script = "echo one > /bare/file; sleep 1000"
    assert (
        tinybox(
            "run", "-d", "--userns", "private", "--name", name, "-v", "/bare", "busybox", "sh", "-c", script
        ).returncode
        == 0
    )
    for users in ("host", "private"):
        words = (
            "--userns",
            users,
            "--volumes-from",
            name,
            "busybox",
            "sh",
            "-c",
            "until cat /bare/file; do :; done 2>/dev/null; stat -c %u /bare/file",
        )
        assert output(tinybox, *words) == "one\n0\n"
    assert tinybox("create", "--name", other, "--volumes-from", name, "-v", "/mine", "busybox", "true").returncode == 0
    assert "mine" in output(tinybox, "--volumes-from", other, "busybox", "ls", "/")  # and what it has of another
    assert output(tinybox, "--volumes-from", other, "busybox", "cat", "/bare/file") == "one\n"
    assert tinybox("rm", "-f", "-v", name, other).returncode == 0
    assert volumes(tinybox) == []


def test_what_is_asked_at_the_same_place_wins(tinybox: Command, data: str, tmp_path: Path) -> None:
    """-v, --mount and --tmpfs replace the mount of --volumes-from; of several --volumes-from the last one wins."""
    other, folder = new_name(), tmp_path / "other"
    folder.mkdir()
    (folder / "file").write_text("other\n")
    assert tinybox("create", "--name", other, "-v", f"{folder}:/bind", "busybox", "true").returncode == 0
    cat = ("busybox", "cat", "/bind/file")
    both = ("--volumes-from", data, "--volumes-from", other)
    assert output(tinybox, *both, *cat) == "other\n"
    assert output(tinybox, "--volumes-from", other, "--volumes-from", data, *cat) == "bind\n"
    assert output(tinybox, "--volumes-from", data, "-v", f"{folder}:/bind/", *cat) == "other\n"
    assert (
        output(tinybox, "--volumes-from", data, "--mount", f"type=bind,source={folder},target=/bind", *cat) == "other\n"
    )
    assert output(tinybox, "--volumes-from", data, "--tmpfs", "/bind", "busybox", "ls", "/bind") == ""
    assert output(tinybox, *both, "busybox", "cat", "/named/file") == "named\n"
    assert tinybox("rm", other).returncode == 0


def test_a_volume_of_the_image_gives_way(tinybox: Command, data: str) -> None:
    """A place that is taken over gets no volume of its own, and an empty volume is not filled; other places are."""
    name, empty = new_name(), new_name()
    script = "mkdir /bare /extra /empty; touch /extra/of-image /empty/of-image"
    assert tinybox("run", "--name", name, "busybox", "sh", "-c", script).returncode == 0
    assert tinybox("create", "--name", empty, "-v", "/empty", "busybox", "true").returncode == 0
    assert tinybox("commit", "-c", "VOLUME /bare /extra", name, "with-volumes").returncode == 0
    before = volumes(tinybox)
    user = new_name()
    done = tinybox("run", "--name", user, "--volumes-from", data, "with-volumes", "cat", "/bare/file")
    assert done.stdout == "bare\n"
    assert len(volumes(tinybox)) == len(before) + 1  # that for /extra
    words = ("--volumes-from", empty, "-v", "/extra", "with-volumes", "sh", "-c", "ls /empty; ls /extra")
    assert output(tinybox, *words) == "of-image\n"
    assert tinybox("rm", "-v", user, name).returncode == 0
    assert volumes(tinybox) == before
    assert tinybox("rm", "-v", empty).returncode == 0
    assert tinybox("rmi", "with-volumes").returncode == 0


def test_inspect_shows_where_they_are_from(tinybox: Command, data: str) -> None:
    """HostConfig.VolumesFrom has the option's text, and Mounts equals that of the other box except for RW."""
    name = new_name()
    assert tinybox("create", "--name", name, "--volumes-from", f"{data}:ro", "busybox", "true").returncode == 0
    mine, other = (json.loads(tinybox("inspect", box).stdout)[0] for box in (name, data))
    assert (mine["HostConfig"]["VolumesFrom"], other["HostConfig"]["VolumesFrom"]) == ([f"{data}:ro"], None)

    def told(known: dict[str, list[dict[str, str]]]) -> set[tuple[str, ...]]:
        keys = ("Type", "Name", "Source", "Destination")
        return {tuple(mount.get(key, "") for key in keys) for mount in known["Mounts"] if mount["Type"] != "tmpfs"}

    assert told(mine) == told(other)
    assert len(told(mine)) == 4
    assert {mount["RW"] for mount in mine["Mounts"]} == {False}
    assert tinybox("rm", name).returncode == 0


def test_a_volume_stays_as_long_as_one_has_it(tinybox: Command, data: str) -> None:
    """`volume rm` is refused; `rm -v` and --rm keep a volume that another box uses, and remove it with the last box."""
    name = new_name()
    nameless = next(volume for volume in volumes(tinybox) if volume != "kept")
    output(tinybox, "--volumes-from", data, "busybox", "true")  # --rm
    assert nameless in volumes(tinybox)
    assert tinybox("run", "-d", "--name", name, "--volumes-from", data, "busybox", "sleep", "1000").returncode == 0
    assert tinybox("rm", "-v", data).returncode == 0
    assert sorted(volumes(tinybox)) == sorted(["kept", nameless])
    assert tinybox("exec", name, "cat", "/bare/file").stdout == "bare\n"
    one_line(tinybox("volume", "rm", "kept"), 1, "is in use by")
    one_line(tinybox("volume", "rm", nameless), 1, "is in use by")
    assert tinybox("volume", "prune", "-a", "-f").returncode == 0
    assert sorted(volumes(tinybox)) == sorted(["kept", nameless])
    assert tinybox("rm", "-f", "-v", name).returncode == 0
    assert volumes(tinybox) == ["kept"]


def test_a_volume_is_not_removed_while_a_box_is_being_made(tinybox: Command, data: str) -> None:
    """A command that makes a box holds the store's lock, shared. `rm -v` waits for it before it looks for users."""
    nameless = next(volume for volume in volumes(tinybox) if volume != "kept")
    with Path(tinybox.root, "locks/store").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        with tinybox.start("rm", "-v", data) as removal:
            time.sleep(1)
            assert removal.poll() is None
            assert nameless in volumes(tinybox)
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert removal.wait(60) == 0
    assert nameless not in volumes(tinybox)


def test_a_box_that_cannot_be_made_does_not_wait_for_itself(tinybox: Command, data: str) -> None:
    """The failed command removes its own anonymous volume while it holds that lock, and keeps the other box's."""
    before = volumes(tinybox)
    for words in ((), ("--volumes-from", data)):
        done = tinybox("run", "--rm", "-v", "/fresh", *words, "--name", data, "busybox", "true", timeout=60)
        one_line(done, 125, "is already in use")
    assert volumes(tinybox) == before


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("nosuch-box", "container nosuch-box: no such container"),
        ("{}:rx", "invalid mode: rx"),
        (":ro", "names no container"),
    ],
)
def test_what_names_nothing_is_one_line(tinybox: Command, data: str, word: str, says: str) -> None:
    """The status is 125, and no box is made."""
    before = tinybox("ps", "-a", "-q").stdout
    one_line(tinybox("run", "--volumes-from", word.format(data), "busybox", "true"), 125, says)
    assert tinybox("ps", "-a", "-q").stdout == before
