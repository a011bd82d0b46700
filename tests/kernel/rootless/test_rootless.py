"""A user without root runs boxes in one user namespace, the home, which lasts as long as a process of tinybox in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, one_line
from tests.support.student import COUNT, FIRST, ID, Student, student
from tinybox.linux.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]


@pytest.fixture
def box(student: Student) -> Iterator[str]:
    """Give the name of a running box, which is removed at the end."""
    student.says("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    yield "box"
    student("rm", "-f", "box")


def is_quiet(student: Student) -> bool:
    """Wait until no process of the user is left."""
    return bool(until(lambda: not student.processes(), time.monotonic() + PATIENCE, 0.01))


def test_root_of_a_box_is_the_user_outside(student: Student, tmp_path: Path) -> None:
    """Id 0 of the box is the user, id 1 the first id of /etc/subuid: the kernel's map, and the owners of files."""
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents[:3]:
        folder.chmod(folder.stat().st_mode | 0o011)
    seen = student.says(
        "run", "--rm", "-v", f"{tmp_path}:/out", "busybox", "sh", "-c",
        "cat /proc/self/uid_map; touch /out/mine; touch /out/other; chown 7:9 /out/other",
    ).split()  # fmt: skip
    assert seen == ["0", str(ID), "1", "1", str(FIRST), str(COUNT)]
    assert [(tmp_path / "mine").stat().st_uid, (tmp_path / "mine").stat().st_gid] == [ID, ID]
    assert [(tmp_path / "other").stat().st_uid, (tmp_path / "other").stat().st_gid] == [FIRST + 6, FIRST + 8]


def test_without_ranges_there_is_one_id(student: Student) -> None:
    """A user without a line in /etc/subuid has id 0 alone, and is told the cure; another owner is refused."""
    words = ("run", "--rm", "busybox", "sh", "-c", "cat /proc/self/uid_map; touch /x && chown 7 /x")
    done = student(*words, tables={"subuid": ""})
    assert done.stdout.split() == ["0", str(ID), "1"]
    assert done.returncode != 0
    first, *others = done.stderr.splitlines()
    assert first.startswith("tinybox: boxes have no other user id than 0: /etc/subuid has no line")
    assert "usermod --add-subuids" in first
    assert others == ["chown: /x: Invalid argument"]
    assert student.says(*words)  # the control: with ranges it is not


def test_a_walk_through_the_verbs(student: Student, tmp_path: Path) -> None:
    """Run in the background, exec, logs, top, cp, diff, commit, inspect, stats, volumes, stop, start and rm."""
    make = "echo said; echo one > /file; chown 5:5 /file; rm /bin/false; sleep 1000"
    student.says("run", "-d", "--name", "walk", "-v", "kept:/kept", "-t", "busybox", "sh", "-c", make)
    until(lambda: "said" in student("logs", "walk").stdout, time.monotonic() + PATIENCE, 0.01)
    assert student.says("ps", "--format", "{{.Names}} {{.State}}") == "walk running"
    assert student.says("exec", "-u", "5", "walk", "id", "-u") == "5"
    assert (
        student.says("exec", "walk", "sh", "-c", "readlink /proc/1/fd/0 || echo closed") == "closed"
    )  # PID 1 is hidden
    assert "sleep 1000" in student.says("top", "walk")
    assert [line.split()[-1] for line in student.says("stats", "--no-stream").splitlines()[1:]] == ["2"]
    assert set(student.says("diff", "walk").splitlines()) >= {"D /bin/false", "A /file"}
    target = student.home / "copied"
    student("cp", "walk:/file", str(target))
    assert (target.read_text(), target.stat().st_uid) == ("one\n", ID)
    assert student("cp", str(target), "walk:/kept/copied").returncode == 0
    done = student("commit", "walk", "walked:1")
    assert (done.returncode, done.stderr.count("goes on during the commit")) == (0, 1)
    look = "stat -c %u /file; ls /bin/false; cat /kept/copied"
    again = student("run", "--rm", "-v", "kept:/kept", "walked:1", "sh", "-c", look)
    assert again.stdout.split() == ["5", "one"]
    assert "No such file" in again.stderr
    assert json.loads(student.says("inspect", "walk"))[0]["State"]["Status"] == "running"
    assert student.says("stop", "-t", "1", "walk") == "walk"
    student.says("start", "walk")
    assert student.says("rm", "-f", "walk") == "walk"
    student.says("volume", "rm", "kept")
    assert student("rmi", "walked:1").returncode == 0
    target.unlink()
    assert is_quiet(student)


def test_a_directory_that_was_replaced_stays_empty(student: Student) -> None:
    """The marks of overlayfs are user.overlay.*: a layer that replaces a directory hides the one below, also saved."""
    student.says("run", "--name", "one", "busybox", "sh", "-c", "mkdir /d; touch /d/old")
    student("commit", "one", "lower")
    student.says("run", "--name", "two", "lower", "sh", "-c", "rm -r /d; mkdir /d; touch /d/new")
    student("commit", "two", "upper")
    assert student.says("run", "--rm", "upper", "ls", "/d") == "new"
    archive = str(student.home / "saved.tar")
    student("save", "-o", archive, "upper")
    student("rmi", "upper")
    student("load", "-i", archive)
    assert student.says("run", "--rm", "upper", "ls", "/d") == "new"
    for words in (("rm", "one", "two"), ("rmi", "upper", "lower")):
        assert student(*words).returncode == 0
    Path(archive).unlink()


REFUSED = [
    ("run -m 32m busybox true", 125, "no limit would hold"),
    ("run --cpus 0.5 busybox true", 125, "no limit would hold"),
    ("run --pids-limit 9 busybox true", 125, "no limit would hold"),
    ("run --pid host busybox true", 125, "--pid host: without a control group"),
    ("run --pid container:box busybox true", 125, "--pid container:box: without a control group"),
    ("run --device-cgroup-rule c*1:3*r busybox true", 125, "only root may load the device filter"),
    ("run --userns private busybox true", 125, "--userns private"),
    ("run --device /dev/null:/dev/other:r busybox true", 125, "--device /dev/other: r: only root may load"),
    ("pause box", 1, "no control group"),
    ("update -m 32m box", 1, "no limit would hold"),
]


def test_what_cannot_hold_is_refused(student: Student, box: str, host: object) -> None:
    """A limit without a control group is an error that says why, and no box is made; the box at hand is as before."""
    for words, status, cause in REFUSED:
        one_line(student(*(word.replace("*", " ") for word in words.split())), status, cause)
    assert student.says("ps", "-a", "--format", "{{.Names}} {{.State}}") == f"{box} running"
    assert json.loads(student.says("inspect", box))[0]["HostConfig"]["Memory"] == 0


def test_commands_that_start_at_once_share_one_home(student: Student) -> None:
    """Six first commands make one user namespace; it ends with the last of their boxes, and the next one is new."""
    started = [student.start("run", "-d", "--name", f"box{number}", "busybox", "sleep", "1000") for number in range(6)]
    for process in started:
        process.communicate()
    assert [process.returncode for process in started] == [0] * 6
    homes = set(student.processes().values())
    assert len(homes) == 1
    assert len(student.processes()) == 18  # a monitor, PID 1 and the program of each: no process keeps the home alone
    assert student.says("unshare", "readlink", "/proc/self/ns/user") in homes  # the monitors alone hold it now
    student.says("exec", "box0", "true")
    student.says("rm", "-f", *(f"box{number}" for number in range(6)))
    assert is_quiet(student)
    student.says("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    assert not homes & set(student.processes().values())
    student.says("rm", "-f", "box")


def test_a_killed_monitor_is_cleaned_up_after(student: Student, box: str) -> None:
    """The kernel ends its box; the next command records that, and the boxes of other monitors go on."""
    student.says("run", "-d", "--name", "other", "busybox", "sleep", "1000")
    pid = json.loads(student.says("inspect", box))[0]["State"]["Pid"]
    owner = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    os.kill(owner, signal.SIGKILL)
    assert until(lambda: pid not in student.processes(), time.monotonic() + PATIENCE, 0.01)
    rows = student.says("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines()
    assert sorted(rows) == [f"{box} exited", "other running"]
    student.says("rm", "-f", "other")


def test_a_command_that_is_killed_at_any_moment_leaves_nothing(student: Student) -> None:
    """Killed while it makes or enters the home, or makes its box: the next command works, and no process is left."""
    for number in range(12):
        process = student.start("run", "--rm", "busybox", "sleep", "1000")
        time.sleep(0.01 * number)
        process.kill()
        process.communicate()
    assert student.says("run", "--rm", "busybox", "echo", "hello") == "hello"
    assert is_quiet(student)
    assert student.says("ps", "-aq") == ""
    assert sorted(os.listdir(student.live / "tinybox")) == [".home", ".home.lock"]


def test_the_plan_shows_what_differs(student: Student, tinybox: Command) -> None:
    """--dry-run and --explain have the step `home`, and none about control groups or mknod; root's plan has these."""
    words = ("run", "--dry-run", "busybox", "true")
    mine, roots = student.says(*words), tinybox(*words).stdout
    assert mine.split()[2] == "home"
    for name in (" cgroup ", " join-cgroup ", "mknod(2)"):
        assert name not in mine
        assert name in roots
    assert " home " not in roots
    shown = student("run", "--rm", "--explain", "busybox", "true")
    assert "home: Be root of the user's home" in shown.stderr + shown.stdout
    assert shown.returncode == 0


def test_unshare_removes_what_the_user_may_not(student: Student) -> None:
    """A file that belongs to another id of the user's range can be removed in the home, and not outside."""
    make = "mkdir -m 700 /v/d; touch /v/d/f; chown -R 9 /v/d"
    student.says("run", "--rm", "-v", "left:/v", "busybox", "sh", "-c", make)
    place = str(student.home / ".local/share/tinybox/volumes/left/_data/d")
    control = subprocess.run(student.words("rm", "-r", place), capture_output=True, text=True, check=False)
    assert "Permission denied" in control.stderr
    assert student.says("unshare", "stat", "-c", "%u", place) == "9"
    student.says("unshare", "rm", "-r", place)
    assert student.says("unshare", student.path, "volume", "ls", "-q") == "left"  # a tinybox in the home stays there
    student.says("volume", "rm", "left")
    one_line(student("unshare", "no-such-program"), 127, "not found")
    ignored = student.says("unshare", "grep", "SigIgn", "/proc/self/status")
    as_usual = subprocess.run(
        student.words("grep", "SigIgn", "/proc/self/status"), capture_output=True, text=True, check=True
    )
    assert ignored == as_usual.stdout.strip()  # as a shell starts programs; Python itself ignores two signals more


def test_a_runtime_directory_is_needed(student: Student) -> None:
    """Without XDG_RUNTIME_DIR the cure is said in one line; help needs none."""
    one_line(student("ps", env={"XDG_RUNTIME_DIR": ""}), 1, "XDG_RUNTIME_DIR is not set")
    assert "Usage" in student.says("ps", "--help", env={"XDG_RUNTIME_DIR": ""})


def test_another_users_store_is_not_used(student: Student, tinybox: Command) -> None:
    """A store of root's is not written: making a box there still needs root."""
    one_line(student("run", "busybox", "true", env={"TINYBOX_ROOT": tinybox.root}), 125, "needs root")
    assert not student.processes()


def test_doctor_has_the_facts_of_this_user(student: Student) -> None:
    """It counts the ids and says what is refused; without a range it names the cure."""
    found = {row["fact"]: row for row in json.loads(student.says("doctor", "--json"))}
    assert found["home"]["verdict"] == "ok"
    assert str(COUNT + 1) in found["home"]["found"]
    assert (found["limits"]["verdict"], found["way out"]["verdict"], found["leftovers"]["found"]) == (
        "note",
        "ok",
        "none",
    )
    poor = {row["fact"]: row for row in json.loads(student("doctor", "--json", tables={"subuid": ""}).stdout)}
    assert (poor["home"]["verdict"], "--add-subuids" in poor["home"]["cure"]) == ("note", True)
