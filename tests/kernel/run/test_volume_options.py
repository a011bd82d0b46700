"""volume create -o: a file system is mounted with the first box that uses the volume, and unmounted with the last."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import facts, new_name, one_line, output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root
TMPFS = ("-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=7")


def mounted(tinybox: Command) -> list[str]:
    """Return the mount points below the store's volumes in this mount namespace."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if f"{tinybox.root}/volumes/" in line]


@pytest.fixture
def volume(tinybox: Command) -> Iterator[str]:
    """Give a new name of a volume, and remove the volume of that name afterwards: nothing is mounted then."""
    name = new_name()
    yield name
    assert mounted(tinybox) == []
    tinybox("volume", "rm", "-f", name)


def test_boxes_share_a_file_system_in_memory(tinybox: Command, volume: str) -> None:
    """It has the size and the owner that -o says, and its files, until the last box ends. Control: a plain volume."""
    names = [new_name(), new_name()]
    assert tinybox("volume", "create", *TMPFS, volume).returncode == 0
    seen = facts(tinybox, "-v", f"{volume}:/v", size="df -k /v | tail -n 1", owner="stat -c %u /v", wrote="echo > /v/x")
    assert (seen["size"].split()[:2], seen["owner"], seen["wrote"]) == (["tmpfs", "1024"], "7", "")
    for name in names:
        done = tinybox("run", "-d", "--name", name, "-v", f"{volume}:/v", "busybox", "sleep", "60")
        assert done.returncode == 0, done
    assert len(mounted(tinybox)) == 1
    tinybox("exec", names[0], "touch", "/v/shared")
    assert tinybox("exec", names[1], "ls", "/v").stdout == "shared\n"  # and not the file of the first box, which ended
    assert tinybox("rm", "-f", names[0]).returncode == 0
    assert tinybox("exec", names[1], "ls", "/v").stdout == "shared\n"
    assert tinybox("rm", "-f", names[1]).returncode == 0
    assert mounted(tinybox) == []
    [known] = json.loads(tinybox("volume", "inspect", volume).stdout)
    assert known["Options"] == {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=7"}
    assert "tmpfs" not in output(tinybox, "-v", "/v", "busybox", "df", "/v")


def test_a_directory_of_the_host(tinybox: Command, volume: str, tmp_path: Path) -> None:
    """type=none with o=bind: the empty directory gets the image's files, boxes write there, and `rm` leaves it.

    `cp` reaches it in a box that does not run.
    """
    options = ("-o", "type=none", "-o", "o=bind", "-o", f"device={tmp_path}")
    assert tinybox("volume", "create", *options, volume).returncode == 0
    name = new_name()
    made = tinybox("create", "--name", name, "-v", f"{volume}:/etc", "busybox", "touch", "/etc/new")
    assert made.returncode == 0, made
    assert (tmp_path / "passwd").exists()
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".tinybox")]
    (tmp_path / "mine").write_text("of the host\n")
    assert tinybox("cp", f"{name}:/etc/mine", str(tmp_path / "copied")).returncode == 0
    assert (tmp_path / "copied").read_text() == "of the host\n"
    assert tinybox("start", "-a", name).returncode == 0
    assert mounted(tinybox) == []
    tinybox("rm", name)
    assert tinybox("volume", "rm", volume).returncode == 0
    assert {"new", "mine", "passwd"} <= {path.name for path in tmp_path.iterdir()}


def test_the_owner_of_the_last_box_is_killed(tinybox: Command, volume: str) -> None:
    """The next command unmounts. Control: before it, the file system is mounted."""
    name = new_name()
    words = ["--mount", f"type=volume,src={volume},dst=/v,volume-opt=type=tmpfs,volume-opt=device=tmpfs"]
    assert tinybox("run", "-d", "--name", name, *words, "busybox", "sleep", "60").returncode == 0
    pid = int(tinybox("inspect", "--format", "{{.State.Pid}}", name).stdout)
    monitor = int(Path(f"/proc/{pid}/stat").read_text().split()[3])
    os.kill(monitor, signal.SIGKILL)
    assert len(mounted(tinybox)) == 1
    assert name in tinybox("ps", "-a").stdout
    assert mounted(tinybox) == []
    tinybox("rm", "-f", name)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("foo=1", 'invalid option: "foo"'),
        ("device=/x", 'missing required option: "type"'),
        ("type=tmpfs", 'missing required option: "device"'),
        ("o=bind", 'missing required option: "device"'),
        ("size=1g", "quota size requested but no quota support"),
    ],
)
def test_wrong_options(tinybox: Command, volume: str, words: str, cause: str) -> None:
    """Docker's sentences; no volume is made."""
    one_line(tinybox("volume", "create", "-o", words, volume), 1, cause)
    assert volume not in tinybox("volume", "ls", "-q").stdout


def test_a_device_that_does_not_exist(tinybox: Command, volume: str) -> None:
    """The start fails with the kernel's reason, and the volume stays as it was."""
    device = "/no/such/directory"
    tinybox("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={device}", volume)
    done = tinybox("run", "--rm", "-v", f"{volume}:/new", "busybox", "true")
    one_line(done, 125, f"volume {volume}: failed to mount local volume: none {device}: no such file or directory")
