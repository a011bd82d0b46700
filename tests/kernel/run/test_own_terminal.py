"""The host's terminal stays the host's: without -t no process of a box holds it, and pipes carry the data."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, children, new_name, one_line, pid_of, until
from tests.support.detached_boxes import FOREVER, Life, life, open_files_of
from tests.support.oci_bundles import Bundle, bundle
from tests.support.screens import Screen, screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

__all__ = ["bundle"]

pytestmark = pytest.mark.root

RUN = ("run", "--rm", "--tty=false")
STAY = "echo READY; exec sleep 100"


@pytest.fixture
def box(tinybox: Command) -> Iterator[Life]:
    """Give a box that runs in the background."""
    with life(tinybox, "busybox", *FOREVER) as it:
        yield it


def shell(tinybox: Command, script: str) -> contextlib.AbstractContextManager[Screen]:
    """Run *script* by a shell on a terminal, as a person would type it; $T is tinybox."""
    return screen(tinybox, "-c", f"T={tinybox.path}; {script}", program="/bin/sh")


def with_children(pid: int) -> list[int]:
    """Return *pid* and all its descendants."""
    return [pid, *(each for child in children(pid) for each in with_children(child))]


def holds(pid: int, it: Screen) -> bool:
    """Tell whether a process has the terminal of *it* open, or has it as its controlling one; see proc_pid_stat(5)."""
    tty_nr = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[4])
    return tty_nr != 0 or os.ttyname(it.slave) in open_files_of(pid)


def test_later_keys_do_not_reach_the_box(tinybox: Command, box: Life) -> None:
    """A background process that `exec` has left in the box tries to read from 0, 1 and 2: it gets nothing."""
    thief = "for fd in 0 1 2; do (timeout 9 head -n 1 <&$fd >> /stolen 2> /dev/null &) ; done"
    for options in ("", "-i"):
        with shell(tinybox, f"$T exec {options} {box.id} sh -c '{thief}'; echo REA''DY; read w; echo G''OT $w") as it:
            it.wait_for("READY")
            it.type("secret\n")
            it.wait_for("GOT secret")
    assert "secret" not in box.inside("cat /stolen")


@pytest.mark.parametrize("options", [("--init=forward",), ("--init=none",), ("--privileged",), ("-i",), ("-u", "5")])
def test_run_hands_over_no_terminal(tinybox: Command, options: tuple[str, ...]) -> None:
    """Neither the program nor PID 1 has the host's terminal open or as controlling terminal (/dev/tty)."""
    name = new_name()
    with screen(tinybox, *RUN, "--name", name, *options, "busybox", "sh", "-c", STAY) as it:
        it.wait_for("READY")
        assert [pid for pid in with_children(pid_of(tinybox, name)) if holds(pid, it)] == []
        assert holds(it.process.pid, it)  # the control


@pytest.mark.parametrize("words", [("exec",), ("exec", "-i"), ("exec", "--privileged")])
def test_exec_hands_over_no_terminal(tinybox: Command, box: Life, words: tuple[str, ...]) -> None:
    """The same for `exec`."""
    with screen(tinybox, *words, box.id, "sh", "-c", STAY) as it:
        it.wait_for("READY")
        joined = [pid for pid in children(it.process.pid) if not holds(pid, it)]
        assert len(joined) == len(children(it.process.pid)) == 1
        it.type("\x03")  # if it were killed, it would leave an orphan that only the host's PID 1 reaps
        assert it.status() == 130


def test_python_and_compose_hand_over_no_terminal(tinybox: Command, tmp_path: Path) -> None:
    """The same for `tinybox.run()`, also if its stdin is a terminal, and for `compose exec -T`."""
    look = "tty; test -t 1 || test -t 2 || echo none"
    code = f"import tinybox; tinybox.run('busybox', 'sh', '-c', '{look}', rm=True, stdin=0)"
    with screen(tinybox, "-c", code, program=sys.executable) as it:
        assert it.status() == 0
        assert it.shown == "not a tty\r\nnone\r\n"
    (tmp_path / "compose.yaml").write_text("services: {one: {image: busybox, command: sleep 100, stop_signal: KILL}}")
    file = ("compose", "-f", str(tmp_path / "compose.yaml"), "-p", new_name())
    try:
        assert tinybox(*file, "up", "-d").returncode == 0
        with screen(tinybox, *file, "exec", "-T", "one", "sh", "-c", look) as it:
            assert it.status() == 0
            assert it.shown == "not a tty\r\nnone\r\n"
    finally:
        tinybox(*file, "down")


def test_an_engine_s_run_and_exec_hand_over_no_terminal(bundle: Bundle, tinybox: Command) -> None:
    """tinybox-oci in the foreground makes pipes, as runc does; detached, the streams are the engine's own."""
    oci = [os.path.join(os.path.dirname(sys.executable), "tinybox-oci"), "--root", str(bundle.path / "state")]
    bundle.process["args"] = ["sh", "-c", "test -t 0 || test -t 1 || echo none; cat"]
    bundle.save()
    with screen(tinybox, *oci[1:], "run", "--bundle", str(bundle.path), bundle.name, program=oci[0]) as it:
        it.wait_for("none")
        it.type("word\n\x04")
        assert it.status() == 0
        assert it.shown.split() == ["word", "word"]  # its echo, and cat's
    bundle.create("sleep 100")
    assert bundle.oci("start", bundle.name).returncode == 0
    with screen(
        tinybox, *oci[1:], "exec", bundle.name, "sh", "-c", "test -t 0 || test -t 1 || echo none", program=oci[0]
    ) as it:
        assert it.status() == 0
        assert it.shown == "none\r\n"


def test_an_engine_s_terminal_in_the_foreground_takes_input(bundle: Bundle, tinybox: Command) -> None:
    """With process.terminal, input on the host's terminal reaches the program's terminal, as under runc."""
    oci = [os.path.join(os.path.dirname(sys.executable), "tinybox-oci"), "--root", str(bundle.path / "state")]
    bundle.process.update({"terminal": True, "args": ["sh", "-c", "echo READY; read word; echo got $word; exit 5"]})
    bundle.save()
    with screen(tinybox, *oci[1:], "run", "--bundle", str(bundle.path), bundle.name, program=oci[0]) as it:
        it.wait_for("READY")
        it.type("word\r")
        it.wait_for("got word")
        assert it.status() == 5


def test_nothing_is_lost_and_the_order_is_kept(tinybox: Command) -> None:
    """Half a megabyte arrives to the last line, and output on stderr in between comes out in between."""
    script = "seq 50000; echo middle >&2; seq 50001 80000; exit 3"
    with screen(tinybox, *RUN, "busybox", "sh", "-c", script) as it:
        assert it.status() == 3
        lines = it.shown.split("\r\n")
        assert lines == [*map(str, range(1, 50001)), "middle", *map(str, range(50001, 80001)), ""]


def test_all_typed_input_arrives(tinybox: Command) -> None:
    """A program that begins to read late gets every line that was typed before, 200 kB of them, up to Ctrl-D."""
    script = "echo READY; sleep 0.5; wc -l; read x || echo ended; exit 7"
    with screen(tinybox, *RUN, "-i", "busybox", "sh", "-c", script) as it:
        it.wait_for("READY")
        os.set_blocking(it.master, False)
        left = b"0123456789012345678\n" * 10000 + b"\x04"
        deadline = time.monotonic() + PATIENCE
        while "ended" not in it.shown[-100:]:
            assert time.monotonic() < deadline, it.shown[-200:]
            select.select([it.master], [it.master] * bool(left), [], 1)
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(it.master, left[:1000]) :]
            with contextlib.suppress(BlockingIOError):
                it.shown += os.read(it.master, 65536).decode()
        os.set_blocking(it.master, True)
        assert "\n10000\r\nended" in it.shown
        assert it.status() == 7


def test_a_program_need_not_read_its_input(tinybox: Command) -> None:
    """A program that has closed its stdin goes on, and ends with its own status."""
    with screen(tinybox, *RUN, "-i", "busybox", "sh", "-c", "exec <&-; echo READY; sleep 0.5; echo end; exit 4") as it:
        it.wait_for("READY")
        for _ in range(3):
            it.type("word\n")
            time.sleep(0.1)
        it.wait_for("end")
        assert it.status() == 4


@pytest.mark.parametrize("mode", ["forward", "none"])
def test_ctrl_c_comes_once(tinybox: Command, mode: str) -> None:
    """Ctrl-C sends the program one SIGINT; a program that does not catch it ends, and tinybox too, with status 130."""
    script = "trap 'echo caught; n=x$n' INT; echo READY; while test -z $n; do sleep 0.1; done; sleep 0.5; echo end $n"
    with screen(tinybox, *RUN, f"--init={mode}", "busybox", "sh", "-c", script) as it:
        it.wait_for("READY")
        it.type("\x03")
        it.wait_for("end x\r\n")
        assert it.status() == 0
    with screen(tinybox, *RUN, "busybox", "sh", "-c", STAY) as it:
        it.wait_for("READY")
        it.type("\x03")
        assert it.status() == 130


def test_a_terminal_that_goes_away_ends_the_box(tinybox: Command) -> None:
    """The window is closed: SIGHUP ends a program that keeps printing; if it ignores SIGHUP, SIGPIPE ends it."""
    for trap, signal_number in (("", signal.SIGHUP), ("trap '' HUP; ", signal.SIGPIPE)):
        script = f"{trap}echo READY; while sleep 0.05; do echo more; done"
        with screen(tinybox, *RUN, "busybox", "sh", "-c", script) as it:
            it.wait_for("READY")
            os.close(it.slave)
            os.close(it.master)
            until(lambda: it.process.poll() is not None)
            assert it.process.returncode == 128 + signal_number


def test_output_of_a_process_left_behind_is_shown_for_a_while(tinybox: Command, box: Life) -> None:
    """As in docker: output of a process that `exec` has left is shown for two seconds; then its pipe has no reader."""
    script = "(trap '' PIPE; sleep 0.3; echo late; sleep 3; echo later; echo $? > /status) & echo now"
    begun = time.monotonic()
    with shell(tinybox, f"$T exec {box.id} sh -c {shlex.quote(script)} 2>/dev/null; echo EX''IT $?; read x") as it:
        assert it.wait_for("EXIT 0") == "now\r\nlate\r\n"
        assert time.monotonic() - begun > 1.9
        until(lambda: box.inside("cat /status 2>/dev/null; true"))
        assert box.inside("cat /status") == "1"
        assert "later" not in it.shown


def test_in_the_background_the_keys_are_the_shell_s(tinybox: Command, box: Life) -> None:
    """`exec -i ... &` reads no input meant for the shell; brought to the foreground, it reads."""
    script = (
        f"set -m; $T exec -i {box.id} cat & echo REA''DY; read w; echo G''OT $w; sleep 0.6; fg >/dev/null; echo EN''D"
    )
    with shell(tinybox, script) as it:
        it.wait_for("READY")
        time.sleep(0.5)
        it.type("for-the-shell\n")
        it.wait_for("GOT for-the-shell")
        time.sleep(0.5)
        it.type("for-the-box\n")
        it.wait_for("for-the-box\r\nfor-the-box\r\n")
        it.type("\x04")
        it.wait_for("END")


def test_pipes_and_files_are_handed_over(tinybox: Command, tmp_path: Path) -> None:
    """If only some streams are a terminal, the program gets the others unchanged: the file, not a pipe to it."""
    look = "readlink /proc/self/fd/1; test -t 2 || echo none >&2"
    with shell(tinybox, f"$T run --rm busybox sh -c '{look}' > {tmp_path}/out") as it:
        assert it.status() == 0
        assert it.shown == "none\r\n"
    assert (tmp_path / "out").read_text() == f"{tmp_path}/out\n"


def null_of_the_host() -> tuple[str, int]:
    """Return device and inode of the host's /dev/null, and the time of its last change."""
    info = os.stat("/dev/null")
    return f"{info.st_dev}:{info.st_ino}", info.st_ctime_ns


def test_the_host_s_null_device_is_not_the_box_s(tinybox: Command) -> None:
    """A stream that is /dev/null is the box's own: through the host's, root inside could change its owner and mode."""
    before = null_of_the_host()
    look = "for fd in {}; do chmod 666 /proc/$$/fd/$fd; stat -L -c '%t:%T %d:%i' /proc/$$/fd/$fd; done"
    run = ("run", "--rm", "busybox", "sh", "-c", look.format(0))
    with open(os.devnull) as null, tinybox.start(run[0], "-i", *run[1:], stdin=null) as process:
        seen = process.communicate(timeout=PATIENCE)[0].splitlines()
    seen += tinybox(*run).stdout.splitlines()
    first, detached = (f"({look.format(fds)}) > /{fds[-1]}; true" for fds in ("0", "0 1 2"))
    whole = f"({look.format(0)}) > /check.new; mv /check.new /check; true"
    check = ("--health-cmd", whole, "--health-interval", "200ms")
    with life(tinybox, *check, "busybox", "sh", "-c", f"{first}; {FOREVER[-1]}") as box:
        seen += box.inside(look.format(0)).splitlines()
        assert tinybox("exec", "-d", box.id, "sh", "-c", detached).returncode == 0
        until(lambda: box.inside("cat /0 /2 /check 2>/dev/null | wc -l") == "5")
        seen += box.inside("cat /0 /2 /check").splitlines()
    assert len(seen) == 8
    assert {line.split()[0] for line in seen} == {"1:3"}
    assert before[0] not in {line.split()[1] for line in seen}
    assert null_of_the_host() == before


def test_a_replaced_null_device_is_not_opened(tinybox: Command, box: Life) -> None:
    """If the box replaced /dev/null, also by a pipe, an empty stdin stays empty; `exec -d` fails with one line."""
    for put in ("true", "mkfifo /dev/null", "ln -s /etc/passwd /dev/null", "mkdir /dev/null"):
        box.inside(f"rm -rf /dev/null; {put}", "-i")
        assert box.inside("cat; echo $?") == "0"
        one_line(tinybox("exec", "-d", box.id, "true"), 1, "/dev/null")
