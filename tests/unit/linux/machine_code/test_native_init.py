"""The native init, run as a program on this machine, and for aarch64 by an emulator, as the parent of real children."""

from __future__ import annotations

import os
import signal
import struct
from pathlib import Path

import pytest

from tests.support.machine_programs import EMULATOR, HERE
from tinybox.linux.machine_code import native_init

ALL = range(1, 65)


class Child:
    """A process that has a child, which runs *script*, and another one, and becomes the native init."""

    def __init__(self, folder: Path, machine: str, *, forward: bool, script: str) -> None:
        path = folder / "init"
        path.write_bytes(native_init.program(forward=forward, machine=machine))
        path.chmod(0o755)
        self.reading, gate = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            signal.pthread_sigmask(signal.SIG_BLOCK, [each for each in ALL if each not in (9, 19, 32, 33)])
            os.close(self.reading)
            program = os.fork()
            if program == 0:
                signal.pthread_sigmask(signal.SIG_SETMASK, ())
                os.close(gate)
                os.execv("/bin/sh", ["sh", "-c", script])
            orphan = os.fork()
            if orphan == 0:
                os._exit(3)
            os.set_inheritable(gate, True)
            emulator = [EMULATOR, "-0", "tinybox:init"] if machine != HERE and EMULATOR else []
            words = [*emulator, str(path)] if emulator else ["tinybox:init"]
            variables = {native_init.letters(program): native_init.letters(gate)}
            os.execve(EMULATOR if emulator and EMULATOR else path, words, variables)
        os.close(gate)

    def status(self) -> int:
        """Wait for the end, and return the exit status."""
        found = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.reading)
        return found


def test_it_exits_as_its_program_and_reaps_others(tmp_path: Path, machine: str) -> None:
    """The exit status of the program, or 128 and its signal; another child that ends before is reaped, and no more."""
    for script, status in (("sleep 0.1; exit 7", 7), ("sleep 0.1; kill -KILL $$", 137), ("exit 0", 0)):
        assert Child(tmp_path, machine, forward=False, script=script).status() == status


def test_it_opens_the_gate(tmp_path: Path, machine: str) -> None:
    """Eight bytes come from the gate, and then its end, while the program runs."""
    child = Child(tmp_path, machine, forward=False, script="sleep 0.2")
    assert os.read(child.reading, 100) == native_init.NAME[:8]
    assert os.read(child.reading, 100) == b""
    assert child.status() == 0


@pytest.mark.parametrize("forward", [True, False])
def test_it_forwards_signals(tmp_path: Path, machine: str, forward: bool) -> None:
    """Each signal goes to the program, if it forwards them; the control is the program that does not."""
    script = "trap 'exit 9' USR1; echo > ready; while :; do sleep 0.02; done"
    child = Child(tmp_path, machine, forward=forward, script=f"cd {tmp_path}; {script} & sleep 0.6; kill $!; exit 5"
                  if not forward else f"cd {tmp_path}; {script}")  # fmt: skip
    os.read(child.reading, 100)
    while not (tmp_path / "ready").exists():
        pass
    os.kill(child.pid, signal.SIGUSR1)
    assert child.status() == (9 if forward else 5)


def test_a_number_is_read_back() -> None:
    """A pid of any size, and 0, become letters that no environment refuses."""
    assert [native_init.letters(number) for number in (0, 1, 15, 16, 4194304)] == ["A", "B", "P", "BA", "EAAAAA"]


def test_the_program_has_its_data_behind_the_code() -> None:
    """The mask has all signals but four, and the name ends with a zero."""
    for machine in ("x86_64", "aarch64"):
        mask, name = struct.unpack("<Q16s", native_init.program(forward=True, machine=machine)[-24:])
        assert [number for number in ALL if not mask >> (number - 1) & 1] == [9, 19, 32, 33]
        assert name.rstrip(b"\0") == b"tinybox:init"
