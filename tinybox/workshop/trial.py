"""A trial: the student's program runs a shell, and the check reads in /proc what became of the shell.

The shell reads its commands from a pipe of the check. So it waits while the check looks, and can also be asked what it
sees from inside.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tinybox.linux import proc
from tinybox.linux.waiting import readable, until
from tinybox.workshop.spare_host import PLACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Self

PATIENCE = 20.0  # seconds that a fact may take; an emulated machine is twenty times slower than a real one
PAUSE = 0.01  # seconds between two looks whether a process has ended
LAST_WORDS = 5.0  # seconds in which a shell has to answer when the student's process has ended before it
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": f"{PLACE}/tmp"}
ROOTFS = f"{PLACE}/rootfs"
ERRORS = f"{PLACE}/tmp/errors"  # the stderr of the student's program in its last run
UNWRITTEN = re.compile(r"^NotImplementedError: part (\d+)$", re.MULTILINE)
ERROR = re.compile(r"[\w.]*(Error|Exception|Interrupt)\b")  # how the last line of a traceback begins
LINE = re.compile(rf'File "{PLACE}/program\.py", line (\d+)')  # a line above it
LONGEST = 300  # characters of the last line on stderr that a verdict repeats


class MissingError(Exception):
    """The student's program lacks something: one sentence, with the file of the kernel in which it was seen."""


class UnwrittenError(MissingError):
    """The student has not written a part of the program yet; the text of the exception is the number of the part."""


class Trial:
    """The check's notes: *seen* has one sentence for each fact that holds.

    *options* are subprocess.Popen's for the student's process, such as the user who runs it.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.options: dict[str, Any] = {}

    def fact(self, holds: object, seen: str, missing: str) -> None:
        """Note the sentence *seen*, unless *holds* is false: then raise MissingError with the sentence *missing*."""
        if not holds:
            raise MissingError(missing)
        self.seen.append(seen)

    def status(self, words: Sequence[str], lines: str = "") -> int:
        """Run the student's program with *words* and these *lines* on its stdin; return its exit status, see wait(2).

        The status is the shell's: 128+N if the program was killed by signal N.
        """
        with Attempt(words, self.options) as attempt:
            attempt.send(lines)
            return attempt.end()


class Attempt:
    """One run of the student's program, with a shell as the program that it has to run; *options* as in Trial."""

    def __init__(self, words: Sequence[str], options: Mapping[str, Any] | None = None) -> None:
        self._root = os.stat("/")
        self._errors = open(ERRORS, "w+b")  # noqa: SIM115  closed by __exit__
        command = [sys.executable, "-B", f"{PLACE}/program.py", *words]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self._errors, env=ENVIRONMENT, cwd=PLACE, **(options or {})
        )
        self.pid, self._buffer, self._asked = self._process.pid, b"", 0
        assert self._process.stdin  # noqa: S101  for mypy: it is a pipe
        assert self._process.stdout  # noqa: S101
        self._input, self._output = self._process.stdin, self._process.stdout
        self._pipe = os.readlink(f"/proc/self/fd/{self._input.fileno()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with contextlib.suppress(OSError):
            self._input.close()
        self._process.wait()
        self._output.close()
        self._errors.close()

    def send(self, lines: str) -> None:
        """Write *lines* to the shell; if its end of the pipe is closed already, do nothing."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._input.fileno(), lines.encode())

    def ask(self, command: str) -> str:
        """Return the first line that the shell prints for *command*; MissingError if there is no answer."""
        self._asked += 1
        mark = f"answer-{self._asked}:"
        self.send(f'echo "{mark}$({command})"\n')
        deadline = time.monotonic() + PATIENCE
        while (found := self._buffer.find(mark.encode())) < 0 or b"\n" not in self._buffer[found:]:
            self._buffer += self._more(deadline)
        line, _, self._buffer = self._buffer[found:].partition(b"\n")
        return line.decode(errors="replace").removeprefix(mark)

    def _more(self, deadline: float) -> bytes:
        """Return what the shell prints next; MissingError: it does not answer until *deadline*, or it has ended."""
        while time.monotonic() > deadline or not readable(
            self._output.fileno(), min(LAST_WORDS, deadline - time.monotonic())
        ):
            if self._process.poll() is not None:  # a child of it holds the pipe open, and prints nothing
                raise self._no_shell(self._process.returncode)
            if time.monotonic() > deadline:
                raise self._trouble(f"the shell that your program had to run does not answer after {PATIENCE:.0f} s")
        more = os.read(self._output.fileno(), 65536)
        if not more:
            raise self._no_shell(self._wait())
        return more

    def _no_shell(self, status: int | None) -> MissingError:
        """Return the error that no shell answers, after the student's program has ended with *status*, if it has."""
        how = "still runs" if status is None else f"has ended with status {status}"
        how = f"was killed by signal {-status}" if status is not None and status < 0 else how
        return self._trouble(f"your program {how}, and the shell that it had to run does not answer")

    def end(self) -> int:
        """Close the shell's stdin, so that it ends, and return the exit status of the student's program."""
        with contextlib.suppress(OSError):
            self._input.close()
        status = self._wait()
        if status is None:
            raise self._trouble(f"your program still runs {PATIENCE:.0f} s after the shell in it could end")
        self._unwritten()
        return status if status >= 0 else 128 - status

    def waits(self) -> bool:
        """Wait until the student's process sleeps or has ended; return whether it sleeps; see proc_pid_stat(5)."""

        def letter() -> str:
            found = proc.stat_of(self.pid)
            return "Z" if found is None else found.state if found.state in "SZX" else ""

        return until(letter, time.monotonic() + PATIENCE, 0.001) == "S"

    def program(self) -> int:
        """Return the pid of the shell: the one process that reads our pipe and is not Python; see proc_pid_fd(5)."""
        if not os.path.samestat(os.stat("/"), self._root):
            raise MissingError("the host has another root directory now: the box has no mount namespace of its own")
        readers = [pid for pid in pids() if _link(pid, "fd/0") == self._pipe]
        own = os.path.realpath(sys.executable)
        others = [pid for pid in readers if _link(pid, "exe") not in {own, ""}]  # "": the process is just ending
        if len(others) != 1:
            raise MissingError(f"{len(others)} programs read the standard input, expected one: see /proc/PID/fd/0")
        return others[0]

    def _wait(self) -> int | None:
        """Wait for the end of the student's process, and read what it prints: a full pipe would hold it up."""
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            if readable(self._output.fileno(), PAUSE) and not os.read(self._output.fileno(), 65536):
                break  # end of file
        try:
            return self._process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            return None

    def _last_words(self) -> str:
        """Return the last line of the program's stderr, and the line of the program if it is an error of Python."""
        self._errors.seek(max(os.fstat(self._errors.fileno()).st_size - 65536, 0))
        text = self._errors.read().decode(errors="replace")
        last = (text.strip().splitlines() or ["it has printed no error"])[-1][:LONGEST]
        lines = LINE.findall(text) if ERROR.match(last) else []
        return f"{last} (line {lines[-1]})" if lines else last

    def _unwritten(self) -> None:
        if part := unwritten_part():
            raise UnwrittenError(part)

    def _trouble(self, sentence: str) -> MissingError:
        """Return an error of the *sentence* and the last line on stderr; UnwrittenError: a part is not written."""
        self._unwritten()
        return MissingError(f"{sentence}: {self._last_words()}")


def unwritten_part() -> str:
    """Return the number of the first part that the last run has missed, or ""; parent and child may miss one each."""
    try:
        with open(ERRORS, encoding="utf-8", errors="replace") as file:
            return min(UNWRITTEN.findall(file.read(65536)), key=int, default="")
    except FileNotFoundError:
        return ""


def pids() -> Iterator[int]:
    """Yield the pids of all processes of the spare host; see proc(5)."""
    yield from (int(name) for name in os.listdir("/proc") if name.isdigit())


def _link(pid: int, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def read(pid: int, name: str) -> str:
    """Return the text of the file /proc/PID/NAME; see proc(5)."""
    return proc.text(f"/proc/{pid}/{name}")


def parent(pid: int) -> int:
    """Return the pid of the parent of process *pid*, from proc_pid_status(5)."""
    return int(proc.status(read(pid, "status"))["PPid"])


def namespace(pid: int, kind: str) -> str:
    """Return the namespace of this kind that process *pid* is in, as ``mnt:[4026531840]``; see namespaces(7)."""
    return proc.link(f"/proc/{pid}/ns/{kind}")


def mounts(pid: int) -> list[proc.Mount]:
    """Return the mounts that process *pid* sees; see proc_pid_mountinfo(5)."""
    return proc.mountinfo(read(pid, "mountinfo"))


def same_file(one: str, other: str) -> bool:
    """Return whether two paths lead to one file: the same device and inode; see stat(2)."""
    first, second = os.stat(one), os.stat(other)
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def nothing_runs(trial: Trial) -> None:
    """Require that no process of the student's program is left; zombies are reaped here, by PID 1; see wait(2)."""

    def alone() -> bool:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        return set(pids()) == {os.getpid()}

    trial.fact(
        until(alone, time.monotonic() + 2, 0.01),
        "after the end no process is left (/proc)",
        "a process still runs after your program has ended: see ps(1); a child that cannot exec has to call os._exit",
    )
