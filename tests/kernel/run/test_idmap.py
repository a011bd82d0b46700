"""User namespaces: root inside is an unused id outside; files of the image belong to root inside nevertheless."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import facts, kept, new_name, output, pid_of
from tinybox.isolation import allotment

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

PRIVATE = ("--userns", "private")


def first_id(pid: int) -> int:
    """Return the host's uid of root of process *pid*; test_id_ranges.py tests that no other box has it."""
    return int(Path(f"/proc/{pid}/uid_map").read_text().split()[1])


def test_root_inside_is_an_unused_id_outside(tinybox: Command) -> None:
    """Inside the process is uid 0 with docker's rights; on the host the same process has an id that no user has."""
    name = new_name()
    with kept(tinybox, "--rm", *PRIVATE, "--name", name, "busybox", "sh", "-c", "id -u >&2; echo READY; sleep 100"):
        pid = pid_of(tinybox, name)
        rows = Path(f"/proc/{pid}/uid_map").read_text().split(), Path(f"/proc/{pid}/gid_map").read_text().split()
        status = Path(f"/proc/{pid}/status").read_text()
        first = first_id(pid)
    assert first >= allotment.FIRST
    assert rows == (["0", str(first), str(allotment.RANGE)],) * 2
    assert f"Uid:\t{first}\t{first}\t{first}\t{first}\n" in status
    assert f"Gid:\t{first}\t{first}\t{first}\t{first}\n" in status
    shown = facts(tinybox, *PRIVATE, id="id", map="cat /proc/self/uid_map", cap="grep CapEff /proc/self/status")
    assert (shown["id"], shown["cap"].split()[1]) == ("uid=0(root) gid=0(root) groups=0(root)", "00000000a80425fb")
    assert facts(tinybox, map="cat /proc/self/uid_map")["map"].split() == ["0", "0", "4294967295"]


def test_files_of_the_image_and_new_ones_are_root_s_inside_and_on_disk(tinybox: Command) -> None:
    """The layers are shown with mapped owners, and new files are stored as root's, as without a user namespace."""
    name = new_name()
    script = "echo x > /new; mkdir /dir; chown 7:8 /dir; stat -c %u:%g /bin/busybox /etc /etc/passwd /new /dir"
    done = tinybox("run", *PRIVATE, "--name", name, "busybox", "sh", "-c", script)
    assert done.stdout.split() == ["0:0", "0:0", "0:0", "0:0", "7:8"]
    upper = Path(tinybox.root, "containers", Path(tinybox.root, "container-names", name).readlink(), "upper")
    owners = [(path.stat().st_uid, path.stat().st_gid) for path in (upper / "new", upper / "dir")]
    assert tinybox("rm", name).returncode == 0
    assert owners == [(0, 0), (7, 8)]


def test_there_are_no_rights_over_the_host(tinybox: Command) -> None:
    """Even with every capability, root inside can neither read nor change what is the host's; the control can."""
    tries = {
        "device": "mknod /disk b 7 0; echo $?",
        "host file": "cat /host/secret; echo x > /host/secret; echo $?",
        "mode": "chmod 777 /host/secret; echo $?",
        "sysctl": "echo 0 > /proc/sys/kernel/panic; echo $?",
        "mount": "mount -o remount,ro /host; echo $?",
    }
    folder = Path(tinybox.root, new_name())
    folder.mkdir(mode=0o755)
    (folder / "secret").write_text("of the host\n")
    (folder / "secret").chmod(0o600)
    script = "".join(f"( {command} ) 2>&1 | tail -1\n" for command in tries.values())
    try:
        options = ("--cap-add", "ALL", "--security-opt", "seccomp=unconfined", "-v", f"{folder}:/host")
        inside = output(tinybox, *PRIVATE, *options, "busybox", "sh", "-c", script).split()
        assert dict(zip(tries, inside, strict=True)) == dict.fromkeys(tries, "1")
        plain = facts(tinybox, "-v", f"{folder}:/host", file="cat /host/secret", device="mknod /disk b 7 0; echo $?")
        assert plain == {"file": "of the host", "device": "0"}
    finally:
        (folder / "secret").unlink()
        folder.rmdir()


def test_the_standard_devices_work(tinybox: Command) -> None:
    """Devices cannot be made in a user namespace: the host's are bind-mounted, and they work."""
    works = facts(
        tinybox, *PRIVATE, null="echo x > /dev/null; wc -c < /dev/null", zero="head -c 3 /dev/zero | wc -c",
        random="head -c 4 /dev/urandom | wc -c", pts="ls /dev/pts", shm="touch /dev/shm/x && echo ok",
    )  # fmt: skip
    assert works == {"null": "0", "zero": "3", "random": "4", "pts": "ptmx", "shm": "ok"}


def test_another_user_of_the_namespace(tinybox: Command) -> None:
    """--user in a private namespace is that user inside, and the first id plus that number outside."""
    name, words = new_name(), (*PRIVATE, "-u", "1000:50")
    with kept(tinybox, "--rm", *words, "--name", name, "busybox", "sh", "-c", "echo READY; exec sleep 100"):
        pid = pid_of(tinybox, name)
        status, first = Path(f"/proc/{pid}/status").read_text(), first_id(pid)
    uid, gid = first + 1000, first + 50
    assert f"Uid:\t{uid}\t{uid}" in status
    assert f"Gid:\t{gid}\t{gid}" in status
    shown = facts(tinybox, *words, id="id -u; id -g; touch /tmp/x; stat -c %u:%g /tmp/x")["id"]
    assert shown.split() == ["1000", "50", "1000:50"]


def test_volumes_and_limits_work_with_it(tinybox: Command, tmp_path: Path) -> None:
    """A bind mount shows the host's owners as nobody; memory limit, sysctl and a read-only root work as usual."""
    (tmp_path / "x").touch()
    tmp_path.chmod(0o755)
    words = (*PRIVATE, "-m", "64m", "--read-only", "--tmpfs", "/t", "--sysctl", "net.ipv4.ip_default_ttl=9")
    shown = facts(
        tinybox, *words, "-v", f"{tmp_path}:/v", owner="stat -c %u /v/x", ttl="cat /proc/sys/net/ipv4/ip_default_ttl",
        root="touch /x; echo $?", tmp="touch /t/x; stat -c %u /t/x",
    )  # fmt: skip
    assert (shown["owner"], shown["ttl"], shown["root"].split()[-1], shown["tmp"]) == ("65534", "9", "1", "0")


def test_namespaces_of_other_boxes_are_shared(tinybox: Command) -> None:
    """A box with a user namespace joins those of a box without one, and a box in its user namespace joins all of its.

    The control is uid_map: the user namespace of the joining box is its own, or the other's.
    """
    plain, private = new_name(), new_name()
    script = ("sh", "-c", "readlink /proc/self/ns/net; cat /proc/self/uid_map; cat /etc/hostname")
    sleep = ("busybox", "sh", "-c", "echo READY; exec sleep 100")
    with (
        kept(tinybox, "--rm", "--name", plain, *sleep),
        kept(tinybox, "--rm", *PRIVATE, "--name", private, *sleep),
    ):
        pids = pid_of(tinybox, plain), pid_of(tinybox, private)
        networks = [Path(f"/proc/{pid}/ns/net").readlink() for pid in pids]
        for kind in ("network", "ipc", "uts", "pid", "cgroupns"):
            found = output(tinybox, *PRIVATE, f"--{kind}", f"container:{plain}", "busybox", *script).split()
            assert (found[0] == str(networks[0])) == (kind == "network"), kind
            assert int(found[2]) >= allotment.FIRST, kind
        for other, network in ((plain, networks[0]), (private, networks[1])):
            modes = ("--userns", f"container:{private}", "--network", f"container:{other}")
            found = output(tinybox, *modes, "busybox", *script).split()
            assert (found[0], int(found[2])) == (str(network), first_id(pids[1])), other
