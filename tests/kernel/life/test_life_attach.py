"""Several clients at one container: the output of each, a slow client, and that no input is lost."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, kept, lives, new_name, one_line, until
from tests.support.detached_boxes import field, life, stdout_of
from tests.support.screens import PROMPT, screen

if TYPE_CHECKING:
    from tests.conftest import Command
    from tests.support.detached_boxes import Life

pytestmark = pytest.mark.root
TEN_MEGABYTES = 10_000_000
READY = "ready\n"  # a program prints it when its traps are set


def monitor_size(pid: int) -> int:
    """Return the resident set of a process, in bytes."""
    return int(field(pid, "VmRSS").split()[0]) * 1024


def guests(monitor: int) -> int:
    """Count the attached clients of a monitor: all its sockets except the one that listens."""
    folder, found = f"/proc/{monitor}/fd", []
    for fd in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # it was closed a moment before
            found.append(os.readlink(f"{folder}/{fd}"))
    return sum(name.startswith("socket:") for name in found) - 1


def arrives(client: subprocess.Popen[str], it: Life, count: int = 1) -> None:
    """Wait until *client* is one of *count* attached clients, and passes its signals to the container."""
    until(lambda: guests(it.monitor) == count and int(field(client.pid, "SigBlk"), 16))


def test_ten_megabytes_of_input(tinybox: Command) -> None:
    """Ten megabytes typed at once all arrive, though the program reads late; the monitor stays small all the time."""
    data = os.urandom(TEN_MEGABYTES)
    with life(tinybox, "-i", "busybox", "sh", "-c", f"sleep 0.5; head -c {TEN_MEGABYTES} | md5sum") as it:
        monitor = it.monitor
        before = monitor_size(monitor)
        client = tinybox.start("attach", it.name, stdin=subprocess.PIPE, text=False)
        assert client.stdin is not None
        client.stdin.write(data[:200_000])  # type: ignore[arg-type]
        time.sleep(0.2)
        assert monitor_size(monitor) - before < 2 << 20
        out, err = client.communicate(data[200_000:], timeout=PATIENCE)  # type: ignore[arg-type]
        assert out.split()[0].decode() == hashlib.md5(data).hexdigest()  # type: ignore[attr-defined]  # noqa: S324
        assert (client.returncode, len(err)) == (0, 0)


@pytest.mark.parametrize("verb", [("attach",), ("start", "-ai")], ids=["attach", "start"])
def test_the_end_of_a_client_is_not_that_of_the_program(tinybox: Command, verb: tuple[str, ...]) -> None:
    """The stdin of `run -d -i` stays open for the next client; each client gets the output until the program ends."""
    with life(
        tinybox, "-i", "busybox", "sh", "-c", "while read x; do echo got $x; [ $x != last ] || exit 6; done"
    ) as it:
        assert it.shown("{{.Config.OpenStdin}} {{.Config.StdinOnce}}") == "true false"
        first = tinybox.start(*verb, it.name, stdin=subprocess.PIPE)
        assert first.stdin is not None
        first.stdin.write("one\n")
        first.stdin.close()
        first.stdin = None  # for communicate()
        until(lambda: it.log() == "got one\n")
        second = tinybox(*verb, it.name, text="last\n")
        assert (second.returncode, second.stdout) == (6, "got last\n")
        assert first.communicate(timeout=PATIENCE) == ("got one\ngot last\n", "")
        assert first.returncode == 6


def test_the_end_of_a_client_after_create(tinybox: Command) -> None:
    """The stdin of `create -i` ends with the input of the first client, as the one of `run -i`."""
    with life(tinybox, "-i", "busybox", "sh", "-c", "cat; exit 6", verb="create") as it:
        assert it.shown("{{.Config.OpenStdin}} {{.Config.StdinOnce}}") == "true true"
        done = tinybox("start", "-ai", it.name, text="one\n")
        assert (done.returncode, done.stdout) == (6, "one\n")


def test_a_program_that_does_not_read_makes_the_client_wait(tinybox: Command) -> None:
    """Endless input to a program that does not read makes no process grow, and a signal still goes through."""
    script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    with life(tinybox, "-i", "busybox", "sh", "-c", script) as it:
        until(lambda: it.log() == READY)
        monitor = it.monitor
        before = monitor_size(monitor)
        with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes:
            client = tinybox.start("attach", it.name, stdin=yes.stdout)
            arrives(client, it)
            time.sleep(1)  # time for a process to grow
            assert monitor_size(monitor) - before < 2 << 20
            assert monitor_size(client.pid) < 64 << 20
            client.send_signal(signal.SIGTERM)  # forwarded: the program ends with 7
            out, err = client.communicate(timeout=PATIENCE)
            assert (client.returncode, out, err) == (7, "", "")
            yes.kill()


def test_much_input_on_a_terminal(tinybox: Command) -> None:
    """A program in raw mode gets all that is typed at once, more than a terminal's buffer holds."""
    script = "stty raw -echo; echo READY; head -c 300000 | md5sum"
    box = life(tinybox, "-it", "busybox", "sh", "-c", f"read go; {script}")
    with box as it, screen(tinybox, "attach", it.name) as here:
        until(here.is_raw)
        here.type("go\n")
        here.wait_for("READY")
        rest = b"x" * 300_000
        while rest:
            rest = rest[os.write(here.master, rest[:4096]) :]
        assert hashlib.md5(b"x" * 300_000).hexdigest() in here.wait_for("-")  # noqa: S324
        assert here.status() == 0


def test_three_at_once(tinybox: Command, tmp_path: Path) -> None:
    """Of four attached clients one never reads: the others get every byte, and the container waits 2 s for it."""
    script = "read go; head -c 20000000 /dev/zero; echo; echo the end"
    with life(tinybox, "-i", "busybox", "sh", "-c", script) as it, contextlib.ExitStack() as stack:
        reading, writing = os.pipe()
        silent = tinybox.start("attach", "--no-stdin", it.name, stdout=writing)
        os.close(writing)
        files = [stack.enter_context((tmp_path / f"{number}").open("wb")) for number in range(2)]
        readers = [tinybox.start("attach", "--no-stdin", it.name, stdout=file) for file in files]
        until(lambda: guests(it.monitor) == 3)
        assert len(stdout_of(tinybox, "attach", it.name, text="go\n")) == 20_000_009
        for reader, file in zip(readers, files, strict=True):
            assert reader.wait(PATIENCE) == 0
            assert Path(file.name).stat().st_size == 20_000_009
            assert Path(file.name).read_bytes().endswith(b"\nthe end\n")
            reader.communicate()
        assert it.ended()["exitCode"] == 0
        os.close(reading)
        silent.communicate(timeout=PATIENCE)


def test_a_stopped_reader_delays_nothing(tinybox: Command) -> None:
    """An attached client that is stopped (Ctrl-Z) delays neither the container nor its removal."""
    with life(tinybox, "busybox", "sh", "-c", "while :; do head -c 100000 /dev/zero; echo x >> /beat; done") as it:
        client = tinybox.start("attach", "--no-stdin", it.name, stdout=subprocess.DEVNULL)
        arrives(client, it)
        client.send_signal(signal.SIGSTOP)
        beat = it.root / "containers" / it.id / "upper" / "beat"
        until(beat.exists)
        size = beat.stat().st_size
        until(lambda: beat.stat().st_size > size + 100)
        begin = time.monotonic()
        stdout_of(tinybox, "rm", "-f", it.name)
        assert time.monotonic() - begin < PATIENCE
        client.kill()
        client.communicate()


def test_the_last_output_reaches_all_clients(tinybox: Command) -> None:
    """All output before the end comes before the status, also while the client types without end."""
    with life(tinybox, "-i", "busybox", "sh", "-c", "read go; seq 50000; exit 9") as it:
        with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes:
            client = tinybox.start("attach", it.name, stdin=yes.stdout)
            out, err = client.communicate(timeout=PATIENCE)
            yes.kill()
        assert (client.returncode, err) == (9, "")
        assert out.endswith("49999\n50000\n")


def test_a_client_that_is_killed(tinybox: Command) -> None:
    """A kill -9 of an attached client has no effect on the container, and the next one is served."""
    with life(tinybox, "-it", "-e", f"PS1={PROMPT}", "busybox", "sh") as it:
        with screen(tinybox, "attach", it.name) as first:
            until(first.is_raw)
            first.process.kill()
            first.process.wait(PATIENCE)
        assert lives(it.pid)
        with screen(tinybox, "attach", it.name) as second:
            until(second.is_raw)
            second.type("echo al''ive\n")
            second.wait_for("alive")
            second.type("\x10\x11")
            assert second.status() == 0


def test_signals_go_through_or_not(tinybox: Command) -> None:
    """A signal to the client reaches the program, unless --sig-proxy is off: then it ends the client alone."""
    script = "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done"
    with life(tinybox, "busybox", "sh", "-c", script) as it:
        until(lambda: it.log() == READY)
        client = tinybox.start("attach", "--no-stdin", it.name)
        assert client.stdout is not None
        arrives(client, it)
        client.send_signal(signal.SIGUSR1)
        assert client.stdout.readline() == "usr1\n"
        deaf = tinybox.start("attach", "--no-stdin", "--sig-proxy=false", it.name)
        arrives(deaf, it, 2)
        deaf.send_signal(signal.SIGTERM)
        assert deaf.communicate(timeout=PATIENCE) == ("", "")
        assert deaf.returncode == 128 + signal.SIGTERM
        assert lives(it.pid)
        stdout_of(tinybox, "kill", it.name)
        assert client.wait(PATIENCE) == 137
        client.communicate()


def test_a_passing_container_cannot_be_attached_to(tinybox: Command) -> None:
    """A container of `run --rm` without a terminal has no attach socket; the error line says so."""
    name = new_name()
    with kept(tinybox, "--rm", "--name", name, "busybox", "sh", "-c", "echo READY; sleep 50"):
        one_line(tinybox("attach", name), 1, "foreground")
