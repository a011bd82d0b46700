"""The user of a program may open its own stdin, stdout and stderr by name, however the program is started."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, output, until
from tests.support.detached_boxes import life
from tests.support.screens import screen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

OPEN = "echo out > /dev/stdout && echo err > /dev/stderr"
PRIVATE = ("--userns", "private")
USERS = [("-u", "1000"), PRIVATE, (*PRIVATE, "-u", "1000"), ("--cap-drop", "ALL", "-u", "7:8")]
STAY = f"{OPEN}; trap 'exit 0' TERM; while :; do sleep 0.05; done"


@pytest.mark.parametrize("options", USERS)
def test_run_gives_its_pipes_to_the_user(tinybox: Command, options: tuple[str, ...]) -> None:
    """Through pipes, a user other than the host's root reads /dev/stdin and writes /dev/stdout and /dev/stderr."""
    done = tinybox("run", "--rm", "-i", *options, "busybox", "sh", "-c", f"cat /dev/stdin; {OPEN}", text="in\n")
    assert (done.stdout, done.stderr) == ("in\nout\n", "err\n")


@pytest.mark.parametrize("options", [("--cap-drop", "ALL"), ("-u", "1000"), PRIVATE])
def test_a_pipe_of_the_host_stays_its_owner_s(tinybox: Command, options: tuple[str, ...]) -> None:
    """In `sudo tinybox run | ...` the pipe of the caller can be written by name; the caller keeps it."""
    reading, writing = os.pipe()
    try:
        os.fchown(writing, 1234, 1234)
        with tinybox.start("run", "--rm", *options, "busybox", "sh", "-c", OPEN, stdout=writing) as process:
            assert process.wait(PATIENCE) == 0
        assert os.read(reading, 100) == b"out\n"
        assert os.fstat(reading).st_uid == 1234
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("options", USERS[:2])
def test_a_file_of_the_host_stays_its_owner_s(tinybox: Command, tmp_path: Path, options: tuple[str, ...]) -> None:
    """`run -u 1000 ... > file` writes by name, too, and the file keeps its owner: tinybox copies the bytes."""
    given = tmp_path / "in"
    given.write_text("in\n")
    given.chmod(0o600)
    script = f"cat /dev/stdin; {OPEN}; echo fd; stat -L -c %F /dev/stdout; exit 3"
    with given.open() as stdin, (tmp_path / "out").open("w") as out:
        words = [tinybox.path, "run", "--rm", "-i", *options, "busybox", "sh", "-c", script]
        done = subprocess.run(words, env=tinybox.environment, check=False, stdin=stdin, stdout=out, stderr=out)
    assert done.returncode == 3
    assert (tmp_path / "out").read_text() == "in\nout\nerr\nfd\nfifo\n"
    assert {path.stat().st_uid for path in tmp_path.iterdir()} == {0}


def test_a_file_that_the_user_may_open_is_handed_over(tinybox: Command, tmp_path: Path) -> None:
    """A file of the program's user, or one that all may write, is passed on itself, and not through a pipe."""
    for owner, mode, kind in ((1000, 0o600, "regular"), (0, 0o666, "regular"), (0, 0o644, "fifo")):
        path = tmp_path / "out"
        path.touch()
        path.chmod(mode)
        os.chown(path, owner, owner)
        with path.open("w") as out:
            words = ("run", "--rm", "-u", "1000", "busybox", "sh", "-c", "exec 3>&1; stat -L -c %F /proc/$$/fd/3 >&2")
            with tinybox.start(*words, stdout=out) as process:
                assert process.communicate(timeout=PATIENCE)[1].split()[0] == kind


def test_on_a_terminal_without_t_the_user_opens_its_pipes(tinybox: Command) -> None:
    """The pipes that tinybox makes in place of its terminal are the user's, too."""
    with screen(tinybox, "run", "--rm", "--tty=false", "-u", "1000", "busybox", "sh", "-c", OPEN) as it:
        assert it.status() == 0
        assert it.shown == "out\r\nerr\r\n"


def test_a_closed_pipe_ends_a_user_s_program(tinybox: Command) -> None:
    """`tinybox run -u 1000 busybox yes | head -1` ends by SIGPIPE, though tinybox copies the bytes."""
    with tinybox.start("run", "--rm", "-u", "1000", "busybox", "yes") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "y\n"
        process.stdout.close()
        assert process.wait(PATIENCE) == 128 + 13


def test_a_new_terminal_is_the_user_s(tinybox: Command) -> None:
    """With -t, the terminal has the user as its owner and can be opened by name, by `run` and by `exec`."""
    look = "echo out > /dev/stdout && stat -L -c %u /dev/stdout"
    for options, uid in zip(USERS, "1000 0 1000 7".split(), strict=True):
        assert output(tinybox, "-t", *options, "busybox", "sh", "-c", look).split() == ["out", uid]
    with life(tinybox, *PRIVATE, "busybox", "sh", "-c", STAY) as box:
        assert box.inside(look, "-t", "-u", "1000").split() == ["out", "1000"]


@pytest.mark.parametrize("options", USERS[:3])
def test_a_detached_box_and_its_execs_own_their_pipes(tinybox: Command, options: tuple[str, ...]) -> None:
    """The same for `run -d`, `restart`, `exec` as the box's user and as another one, and health checks."""
    check = ("--health-cmd", f"{OPEN} && echo checked", "--health-interval", "200ms")
    with life(tinybox, *options, *check, "busybox", "sh", "-c", STAY) as box:
        until(lambda: box.log() == "out\n")
        for more in ((), ("-u", "5"), ("-u", "0")):
            done = tinybox("exec", "-i", *more, box.name, "sh", "-c", f"cat /dev/stdin; {OPEN}", text="in\n")
            assert (done.stdout, done.stderr) == ("in\nout\n", "err\n"), more
        until(lambda: box.state["health"]["Log"])
        assert box.state["health"]["Log"][0]["Output"] == "out\nerr\nchecked\n"
        assert tinybox("restart", box.name).returncode == 0
        until(lambda: box.log() == "out\nout\n")
