"""A store in which the kernel refuses an overlay: fuse-overlayfs serves the root of each box, and all commands work.

The store of the user is on an overlay, which the kernel does not take as the upper directory of another one. The same
user with a store on a plain file system is the control.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, one_line
from tests.support.disks import on_overlay
from tests.support.student import Student, made, student
from tinybox.linux.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]

# The changes of one box: a new file, a changed and a deleted one, a directory of the image that is renamed, and one
# that is replaced. /var/spool/cron has /var/spool/cron/crontabs.
LOWER = "mkdir -p /d/sub /e/old; echo 1 > /d/sub/file; echo 1 > /e/old/file; echo 1 > /gone; echo 1 > /kept"
CHANGES = "rm /gone; echo 2 >> /kept; echo 3 > /new; mv /d /moved; rm -r /e; mkdir /e; echo 4 > /e/new; ln /new /link"
LOOK = "cd /; ls -d gone d link new; cat kept new; find moved e | sort; stat -c %h link"
SEEN = ["link", "new", "1", "2", "3", "e", "e/new", "moved", "moved/sub", "moved/sub/file", "2"]
DIFF = {"C /e", "D /e/old", "A /e/new", "D /gone", "C /kept", "A /new", "A /link", "D /d"}
DIFF |= {"A /moved", "A /moved/sub", "A /moved/sub/file"}


@pytest.fixture(scope="module")
def refused() -> Iterator[Student]:
    """Give a user whose store is on an overlay, and who may use /dev/fuse."""
    if shutil.which("fuse-overlayfs") is None:
        pytest.fail("fuse-overlayfs is missing: make test-packages installs it")
    with made(on_overlay, has_fuse=True) as user:
        yield user


@pytest.fixture(scope="module")
def copied() -> Iterator[Student]:
    """Give a user whose store is on an overlay, and who may not use /dev/fuse: the layers are copied."""
    with made(on_overlay) as user:
        yield user


def store(user: Student) -> Path:
    """Return the directory of the user's store."""
    return user.home / ".local/share/tinybox"


def servers() -> list[int]:
    """Return the pids of all living processes of fuse-overlayfs."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "comm").read_text() == "fuse-overlayfs\n" and "\nState:\tZ" not in (path / "status").read_text():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def is_quiet(user: Student) -> bool:
    """Wait until no process of the user is left."""
    return bool(until(lambda: not user.processes() and not servers(), time.monotonic() + PATIENCE, 0.01))


def test_the_first_command_says_it_once(refused: Student, student: Student) -> None:
    """One line says what is refused, and by which error; no later command does; on a plain disk none does."""
    assert refused.said.count("refuses an overlay (EINVAL): fuse-overlayfs is used") == 1
    assert refused.says("run", "--rm", "busybox", "echo", "in") == "in"
    assert "overlay" not in student.said
    look = ("run", "--rm", "busybox", "grep", " / / ", "/proc/self/mountinfo")
    assert " - overlay overlay " in student.says(*look)  # the control
    assert " - fuse fuse-overlayfs " in refused.says(*look)
    assert not (store(student) / "storage-driver").exists()
    assert json.loads((store(refused) / "storage-driver").read_text())["refused"] == "EINVAL"
    assert refused.says("info", "--format", "{{.Driver}}") == "fuse-overlayfs"
    assert student.says("info", "--format", "{{.Driver}}") == "overlay"


def changed(user: Student) -> tuple[set[str], list[str], list[str]]:
    """Change files of an image in a box; return what diff says, what is seen after a restart, and in a new image."""
    user.says("run", "--name", "one", "busybox", "sh", "-c", LOWER)
    user("commit", "one", "lower")
    user("run", "--name", "two", "lower", "sh", "-c", f"[ -e /new ] || {{ {CHANGES}; }}; {LOOK}")
    diff = set(user.says("diff", "two").splitlines())
    again = user("start", "-a", "two").stdout.split()
    done = user("commit", "two", "upper")
    assert done.returncode == 0, done
    image = user("run", "--rm", "upper", "sh", "-c", LOOK).stdout.split()
    for words in (("rm", "one", "two"), ("rmi", "upper", "lower")):
        done = user(*words)
        assert (done.returncode, done.stderr) == (0, ""), done
    return diff, again, image


def test_changes_are_those_of_the_kernels_overlay(refused: Student, copied: Student, student: Student) -> None:
    """diff, a restart and commit give the same with all: deletions, a renamed directory, an opaque one, hard links."""
    assert changed(student) == (DIFF, SEEN, SEEN)
    assert changed(refused) == (DIFF, SEEN, SEEN)
    assert changed(copied) == (DIFF, SEEN, SEEN)
    assert is_quiet(refused)


def test_copied_layers_are_said_once(copied: Student) -> None:
    """One line says that layers are copied, why, and the cure; the root of a box is a directory of its bundle."""
    assert copied.said.count("(EINVAL): layers are copied, because /dev/fuse: Permission denied (chmod 666") == 1
    seen = copied.says("run", "--rm", "busybox", "grep", "/rootfs / ", "/proc/self/mountinfo")
    assert " - overlay overlay " in seen  # that of the store itself, of which a directory is the root
    assert copied.says("info", "--format", "{{.Driver}}") == "vfs"


def walk(user: Student) -> None:
    """Exec, cp both ways, export, ps -s and rm, with a box that runs and that has ended."""
    user.says("run", "-d", "--name", "box", "busybox", "sh", "-c", "echo in > /in; chown 7:9 /in; exec sleep 1000")
    until(lambda: user("exec", "box", "test", "-O", "/in").returncode != 2, time.monotonic() + PATIENCE, 0.01)
    source, target = user.home / "source", user.home / "target"
    source.write_text("from outside")
    for state in ("running", "ended"):
        done = user("cp", str(source), f"box:/{state}")
        assert done.returncode == 0, done
        assert user("cp", f"box:/{state}", str(target)).returncode == 0
        assert target.read_text() == "from outside"
        names = user("export", "box", "-o", str(user.home / "box.tar"))
        assert names.returncode == 0, names
        with tarfile.open(user.home / "box.tar") as archive:
            found = archive.getmember("in")
            assert (found.uid, found.gid, archive.extractfile(state) is not None) == (7, 9, True)
        if state == "running":
            assert user.says("exec", "-u", "7", "box", "cat", "/in", "/running").split() == ["in", "from", "outside"]
            user.says("stop", "-t", "0", "box")
    assert {"A /in", "A /running", "A /ended"} <= set(user.says("diff", "box").splitlines())
    assert user.says("ps", "-a", "-s", "--format", "{{.Size}}").split()[0] != "0B"
    user.says("rm", "box")
    for path in (source, target, user.home / "box.tar"):
        path.unlink()


def test_commands_that_look_inside(refused: Student, copied: Student) -> None:
    """cp, export, exec, diff, ps -s and rm work with both; rm leaves no file."""
    for user in (refused, copied):
        walk(user)
        assert list((store(user) / "containers").iterdir()) == []
        assert is_quiet(user)


def test_nothing_is_left_of_a_killed_owner(refused: Student, copied: Student) -> None:
    """After SIGKILL of its monitor, box, fuse-overlayfs and mount are gone; the files stay, and a start goes on."""
    survives(refused, 1)
    survives(copied, 0)


def survives(user: Student, count: int) -> None:
    """Kill the monitor of a box, of which *count* processes of fuse-overlayfs serve the root."""

    def shows(lines: str) -> bool:
        return bool(
            until(lambda: user("exec", "box", "cat", "/file").stdout == lines, time.monotonic() + PATIENCE, 0.1)
        )

    user.says("run", "-d", "--name", "box", "busybox", "sh", "-c", "echo more >> /file; exec sleep 1000")
    assert shows("more\n")
    assert len(servers()) == count
    killed = [pid for pid in user.processes() if comm(pid).startswith("tinybox:monit")]
    assert len(killed) == 1
    os.kill(killed[0], signal.SIGKILL)
    assert is_quiet(user)
    assert user.says("ps", "-a", "--format", "{{.Names}} {{.State}}") == "box exited"
    user.says("start", "box")
    assert shows("more\nmore\n")
    user.says("rm", "-f", "box")
    assert is_quiet(user)


def comm(pid: int) -> str:
    """Return the name of a process; see proc_pid_comm(5)."""
    return Path(f"/proc/{pid}/comm").read_text()


def test_a_killed_server_is_no_broken_store(refused: Student) -> None:
    """After SIGKILL of fuse-overlayfs the box has no files, and can be removed; a new start works."""
    refused.says("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    for pid in servers():
        os.kill(pid, signal.SIGKILL)
    assert refused("exec", "box", "true").returncode != 0
    refused.says("restart", "-t", "0", "box")
    assert refused.says("exec", "box", "echo", "again") == "again"
    refused.says("rm", "-f", "box")
    assert is_quiet(refused)


BUILD = """
FROM busybox
COPY file /copied
RUN rm /bin/false; mkdir /made; echo 1 > /made/one
RUN mv /made /moved; ls /bin/false || echo gone > /seen
"""


def test_a_build_and_a_volume(refused: Student, copied: Student) -> None:
    """RUN and COPY make layers that hide files of those below; a new volume gets the files of the image."""
    for user in (refused, copied):
        folder = user.home / "context"
        folder.mkdir()
        (folder / "file").write_text("file")
        (folder / "Containerfile").write_text(BUILD)
        done = user("build", "-q", "-t", "built", str(folder))
        assert done.returncode == 0, done
        look = "cat /copied /seen; ls /bin/false /made; ls /moved; ls /bin/ls"
        done = user("run", "--rm", "built", "sh", "-c", look)
        assert done.stdout.split() == ["filegone", "one", "/bin/ls"]
        assert done.stderr.count("No such file") == 2
        assert user.says("run", "--rm", "-v", "new:/moved", "built", "cat", "/moved/one") == "1"
        assert user.says("run", "--rm", "-v", "new:/volume", "busybox", "cat", "/volume/one") == "1"
        shutil.rmtree(folder)
        for words in (("volume", "rm", "new"), ("rmi", "built"), ("builder", "prune", "-a", "-f")):
            assert user(*words).returncode == 0
        assert is_quiet(user)


SET = "import os, sys; [os.setxattr(sys.argv[1], name, b'y') for name in sys.argv[2:]]"
MARKS = ("user.overlay.opaque", "user.fuseoverlayfs.opaque", "user.overlay.whiteout")


def test_a_box_hides_no_change_by_marks(refused: Student, copied: Student) -> None:
    """Names and attributes as those of the marks, set by a program of the box, hide nothing from diff and commit."""
    for user in (refused, copied):
        words = (
            "echo 1 > /bin/.wh.ls; mkdir /added; echo 1 > /added/file; echo 1 > /etc/new; echo hidden; exec sleep 1000"
        )
        user.says("run", "-d", "--name", "box", "busybox", "sh", "-c", words)
        until(lambda: "hidden" in user("logs", "box").stdout, time.monotonic() + PATIENCE, 0.1)  # noqa: B023  called at once
        pid = user.says("inspect", "--format", "{{.State.Pid}}", "box")
        for place in ("etc", "added"):
            user("unshare", sys.executable, "-c", SET, f"/proc/{pid}/root/{place}", *MARKS)
        assert user.says("exec", "box", "ls", "/bin/ls", "/etc/passwd").split() == ["/bin/ls", "/etc/passwd"]
        diff = user("diff", "box").stdout.splitlines()
        assert diff == ["A /added", "A /added/file", "C /etc", "A /etc/new"], user.has_fuse
        user("commit", "box", "marked")
        user.says("rm", "-f", "box")
        done = user("run", "--rm", "marked", "ls", "/bin/ls", "/etc/passwd", "/etc/new", "/added/file")
        assert (done.returncode, done.stderr) == (0, "")
        user.says("rmi", "marked")


def test_a_refused_user_namespace_and_doctor(refused: Student, copied: Student) -> None:
    """Doctor says what is used; --dry-run shows the step; --mount type=image of several layers is an error."""
    assert "fuse-overlayfs is used" in refused("doctor").stdout
    assert "layers are copied, because" in copied("doctor").stdout
    assert "serve-root" in refused.says("run", "--dry-run", "busybox", "true")
    assert "serve-root" not in copied.says("run", "--dry-run", "busybox", "true")
    refused.says("run", "--name", "one", "busybox", "touch", "/one")
    refused("commit", "one", "two:1")
    done = refused("run", "--rm", "--mount", "type=image,source=two:1,target=/m", "busybox", "true")
    one_line(done, 125, "it has several layers, and the file system of the store refuses overlays")
    for words in (("rm", "one"), ("rmi", "two:1")):
        refused.says(*words)
