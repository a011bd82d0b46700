"""Each box with `--userns private` has a range of host ids of its own: no other box can use files of its root."""

from __future__ import annotations

import itertools
import json
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.boxes import kept, lives, new_name, output, pid_of, until
from tests.support.detached_boxes import FOREVER, Life, life, stdout_of
from tests.support.tar_contents import stream, told
from tinybox.container.records import id_ranges
from tinybox.isolation import allotment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

PRIVATE = ("--userns", "private")
REGISTER = Path(id_ranges.FOLDER)


def first_id(pid: int) -> int:
    """Return the host's uid of root of process *pid*."""
    inside, outside, length = map(int, Path(f"/proc/{pid}/uid_map").read_text().split())
    assert (inside, length) == (0, allotment.RANGE)
    assert Path(f"/proc/{pid}/gid_map").read_text().split()[1] == str(outside)
    return outside


def links_to(container: str) -> list[str]:
    """Return the range in the register for a container."""
    return [path.name for path in REGISTER.iterdir() if path.is_symlink() and path.readlink().name == container]


@pytest.fixture
def second_store() -> Iterator[Command]:
    """Give the command with another store on the same host."""
    with tempfile.TemporaryDirectory(prefix="tinybox-test-", dir="/var/tmp") as folder:
        command = Command(folder)
        assert command("pull", "busybox").returncode == 0
        yield command


def test_root_of_one_box_is_nobody_for_another(tinybox: Command, tmp_path: Path) -> None:
    """A file on the host that only root of one box may read cannot be read, owned or removed by root of another box."""
    tmp_path.chmod(0o1777)
    shared = ("-v", f"{tmp_path}:/s")
    with life(tinybox, *PRIVATE, *shared, "busybox", *FOREVER) as one:
        assert one.inside("umask 077; echo secret > /s/file; stat -c %u /s/file; cat /s/file").split() == [
            "0",
            "secret",
        ]
        attack = "stat -c %u /s/file; cat /s/file; chmod 777 /s/file; chown 0 /s/file; rm -f /s/file; echo x > /s/file"
        done = tinybox("run", "--rm", *PRIVATE, *shared, "busybox", "sh", "-c", attack)
        assert done.stdout == "65534\n"
        assert done.stderr.count("denied") + done.stderr.count("not permitted") == 5, done.stderr
        assert (tmp_path / "file").read_text() == "secret\n"
        assert (tmp_path / "file").stat().st_uid == first_id(one.pid)
        with life(tinybox, *PRIVATE, "busybox", *FOREVER) as other:
            assert first_id(other.pid) != first_id(one.pid)


def test_a_range_stays_and_is_released(tinybox: Command) -> None:
    """Stopped, started, killed with its monitor and started again, a box keeps its ids; removed, it has none."""
    with life(tinybox, *PRIVATE, "busybox", *FOREVER) as it:
        first, container = first_id(it.pid), it.id
        assert links_to(container) == [str(first)]
        assert tinybox("stop", "-t", "0", it.name).returncode == 0
        with life(tinybox, *PRIVATE, "busybox", *FOREVER) as other:
            assert first_id(other.pid) != first
        assert tinybox("start", it.name).returncode == 0
        assert first_id(it.pid) == first
        pid = it.pid
        os.kill(it.monitor, signal.SIGKILL)
        until(lambda: not lives(pid))
        assert tinybox("start", it.name).returncode == 0
        assert first_id(it.pid) == first
    assert links_to(container) == []
    with life(tinybox, *PRIVATE, "busybox", *FOREVER) as later:
        assert first_id(later.pid) != first  # the former box's files on the host get no new owner


def test_many_at_once_in_two_stores(tinybox: Command, second_store: Command) -> None:
    """Boxes that several commands make at the same moment, in stores without knowledge of each other, share no id."""
    places = [tinybox, second_store] * 4
    names = [new_name() for _ in places]
    begun = [place.start("run", "-d", "--name", name, *PRIVATE, "busybox", "sleep", "900")
             for place, name in zip(places, names, strict=True)]  # fmt: skip
    try:
        assert [process.communicate()[1] for process in begun] == [""] * len(begun)
        firsts = sorted(first_id(pid_of(place, name)) for place, name in zip(places, names, strict=True))
        assert all(later - sooner >= allotment.RANGE for sooner, later in itertools.pairwise(firsts)), firsts
    finally:
        for place, name in zip(places, names, strict=True):
            place("rm", "-f", name)
    assert not [path for path in REGISTER.iterdir() if path.readlink().is_relative_to(second_store.root)]


def test_a_killed_command_s_range_is_released(tinybox: Command) -> None:
    """After kill -9 of `run --rm` the next command frees the ids; if the whole store is gone, doctor --fix does."""
    name = new_name()
    with kept(tinybox, "--rm", *PRIVATE, "--name", name, "busybox", "sh", "-c", "echo READY; sleep 900") as process:
        container = os.readlink(Path(tinybox.root, "container-names", name))
        assert len(links_to(container)) == 1
        process.kill()
    assert links_to(container) == []
    dead = REGISTER / str(allotment.END)  # no range is left
    dead.symlink_to("/nowhere/containers/nobody")
    assert str(allotment.END) in tinybox("doctor").stdout
    assert tinybox("doctor", "--fix").returncode == 0
    assert not dead.is_symlink()


def test_a_box_with_the_range_of_another_gets_its_own(tinybox: Command) -> None:
    """A box of an older tinybox, or of a copied store, starts with other ids, which are written to its config.json."""
    with life(tinybox, *PRIVATE, "busybox", *FOREVER) as one, life(tinybox, *PRIVATE, "busybox", *FOREVER) as other:
        assert tinybox("stop", "-t", "0", other.name).returncode == 0
        path = Path(tinybox.root, "containers", other.id, "config.json")
        config = json.loads(path.read_text())
        for field in ("uidMappings", "gidMappings"):
            config["linux"][field][0]["hostID"] = first_id(one.pid)
        path.write_text(json.dumps(config))
        assert tinybox("start", other.name).returncode == 0
        found = first_id(other.pid)
        assert found != first_id(one.pid)
        assert json.loads(path.read_text())["linux"]["uidMappings"][0]["hostID"] == found


def test_a_box_that_shares_the_users_of_another_shares_its_ids(tinybox: Command) -> None:
    """--userns container:NAME: volumes and /etc are root's in both boxes; the range is kept until both are removed."""
    volume = new_name()
    try:
        with life(tinybox, *PRIVATE, "-v", f"{volume}:/v", "busybox", *FOREVER) as one:
            first = first_id(one.pid)
            one.inside("touch /v/one; chmod 600 /v/one")
            words = ("--userns", f"container:{one.name}", "-v", f"{volume}:/v", "busybox")
            with life(tinybox, *words, *FOREVER) as other:
                assert first_id(other.pid) == first
                assert other.inside("cat /v/one; touch /v/other; stat -c %u /v/* /etc/hosts").split() == ["0"] * 3
                assert one.inside("stat -c %u /v/other") == "0"
                assert tinybox("rm", "-f", one.name).returncode == 0
                assert [name for name in os.listdir(REGISTER) if name.startswith(str(first))] == links_to(other.id)
                assert len(links_to(other.id)) == 1
                container = other.id
        assert links_to(container) == []
        assert output(tinybox, *PRIVATE, "-v", f"{volume}:/v", "busybox", "stat", "-c", "%u", "/v/one") == "0\n"
        assert output(tinybox, "-v", f"{volume}:/v", "busybox", "stat", "-c", "%u", "/v/other") == "0\n"
    finally:
        tinybox("volume", "rm", volume)


def test_copies_out_of_a_box_have_the_owners_seen_inside(tinybox: Command) -> None:
    """Diff, export, cp and commit of a box with its own or a joined user namespace, running or not, show 0 and 7."""
    script = "echo x > /new; chown 7:8 /new; rm -r /media; mkdir /media; touch /media/x"
    with life(tinybox, *PRIVATE, "busybox", *FOREVER) as one:
        for users in ("private", f"container:{one.name}"):
            with life(tinybox, "--userns", users, "alpine", *FOREVER) as it:
                it.inside(script)
                _check_owners(tinybox, it)
                assert tinybox("stop", "-t", "0", it.name).returncode == 0
                _check_owners(tinybox, it)


def _check_owners(tinybox: Command, it: Life) -> None:
    assert {"C /media", "A /media/x", "D /media/usb", "A /new"} <= set(stdout_of(tinybox, "diff", it.name).split("\n"))
    assert told(stream(tinybox, "cp", f"{it.name}:/new", "-"))["new"][2] == (7, 8)
    exported = told(stream(tinybox, "export", it.name))
    assert (exported["new"][2], exported["media/x"][2]) == ((7, 8), (0, 0))
    image = stdout_of(tinybox, "commit", it.name).strip()
    try:
        shown = output(tinybox, *PRIVATE, image, "sh", "-c", "stat -c %u:%g /new /media/x; ls /media")
        assert shown.split() == ["7:8", "0:0", "x"]
    finally:
        assert tinybox("rmi", image).returncode == 0


def test_joining_a_box_that_has_the_host_s_users(tinybox: Command) -> None:
    """--userns container:NAME of a box without a user namespace means the host's users, as in that box."""
    with life(tinybox, "busybox", *FOREVER) as it:
        assert output(tinybox, "--userns", f"container:{it.name}", "busybox", "cat", "/proc/self/uid_map").split() == [
            "0", "0", "4294967295",
        ]  # fmt: skip


def test_a_box_in_another_one_s_user_and_pid_namespaces_keeps_its_own_pid(tinybox: Command) -> None:
    """With --userns and --pid container:NAME the pid that is written down, signalled and limited is the box's own.

    If that pid were read as a number of the host's pid namespace, an unrelated process would be signalled and limited.
    """
    with life(tinybox, *PRIVATE, "busybox", *FOREVER) as one:
        shared = ("--userns", f"container:{one.name}", "--pid", f"container:{one.name}")
        assert tinybox("run", "--rm", *shared, "-m", "64m", "busybox", "sh", "-c", "exit 7").returncode == 7
        with life(tinybox, *shared, "busybox", *FOREVER) as it:
            assert Path(f"/proc/{it.pid}/ns/pid").readlink() == Path(f"/proc/{one.pid}/ns/pid").readlink()
            assert it.id in Path(f"/proc/{it.pid}/cgroup").read_text()
            assert tinybox("stop", it.name).returncode == 0
            assert it.state["exitCode"] == 7
