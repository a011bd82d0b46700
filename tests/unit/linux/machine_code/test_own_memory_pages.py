"""Machine code in this process: the native init without other memory, and memory that is moved out to a file."""

from __future__ import annotations

import gc
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.machine_programs import command, elf
from tinybox.linux import proc
from tinybox.linux.filesystem.files import file_system
from tinybox.linux.machine_code import native_init, own_code, own_swap

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[4]
ALL = set(range(1, 65)) - {9, 19, 32, 33}


@pytest.fixture
def disk() -> Iterator[Path]:
    """Give an empty directory on a disk; pytest's own may be memory."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        fd = os.open(name, os.O_RDONLY)
        kind = file_system(fd)
        os.close(fd)
        if kind in own_swap.IN_MEMORY:
            pytest.skip("/var/tmp is memory, too")
        yield Path(name)


def calling(machine: str, start: int, target: int, arguments: list[int], status: str) -> bytes:
    """Return code at *start* that calls *target* with *arguments*, and exits: with the result, or *status*."""
    if machine == "x86_64":
        loads = (b"\x48\xbf", b"\x48\xbe", b"\x48\xba", b"\x48\xb9")  # rdi, rsi, rdx, rcx
        code = b"".join(load + struct.pack("<Q", n) for load, n in zip(loads, arguments, strict=False))
        code += b"\xe8" + struct.pack("<i", target - start - len(code) - 5)
        return code + (b"\x48\x89\xc7" if status == "result" else b"\xbf\x63\0\0\0") + bytes.fromhex("b8e70000000f05")
    words = [
        0xD2800000 | half << 21 | (n >> 16 * half & 0xFFFF) << 5 | register | (half > 0) << 29
        for register, n in enumerate(arguments)
        for half in range(4)
    ]
    words += [0x94000000 | (target - start - 4 * len(words)) // 4 & 0x3FFFFFF]
    words += [*([] if status == "result" else [0xD2800C60]), 0xD2800BC8, 0xD4000001]  # mov x0, 99; exit_group
    return struct.pack(f"<{len(words)}I", *words)


def ended(path: Path, machine: str) -> int:
    """Execute the file *path*, and return its exit status."""
    words = command(machine, path)
    pid = os.spawnv(os.P_NOWAIT, words[0], words)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class InPlace:
    """A process whose child runs *script*; it has the code of the native init at its place, and jumps to it."""

    def __init__(self, path: Path, machine: str, script: str, area: int = 0) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            signal.pthread_sigmask(signal.SIG_BLOCK, ALL)
            program = os.fork()
            if program == 0:
                signal.pthread_sigmask(signal.SIG_SETMASK, ())
                os.execv("/bin/sh", ["sh", "-c", script])
            code = native_init.in_place(0, forward=True, machine=machine)
            code += b"\0" * (-len(code) % 8)
            begin = own_code.PLACE + len(code)
            code += calling(machine, begin, own_code.PLACE, [program, 0, 0, area], "ninety-nine")
            path.write_bytes(elf(machine, code, place=own_code.PLACE, entry=begin, room=0x20000))
            path.chmod(0o755)
            words = command(machine, path)
            os.execv(words[0], words)

    def status(self) -> int:
        """Wait for the end, and return the exit status."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_the_native_init_needs_no_environment(tmp_path: Path, machine: str) -> None:
    """Called with the pid, it exits as that program does; if rseq(2) refuses the area, it returns to its caller."""
    assert InPlace(tmp_path / "a", machine, "exit 7").status() == 7
    assert InPlace(tmp_path / "b", machine, "kill -KILL $$").status() == 137
    if machine != "x86_64":  # there, a thread pointer is read by a system call, or through itself: see the next test
        assert InPlace(tmp_path / "c", machine, "exit 7", area=33).status() == 99


def _refused(_: Path) -> str:
    """Jump to the native init with a size of which rseq(2) knows nothing."""
    own_code.put(native_init.in_place(0, forward=True), room=own_code.PAGE)
    offset, size = own_code.rseq_area()
    return f"{size} {own_code.call(1, 0, offset, size + 8) != 0}"


def test_python_stays_if_an_area_of_the_kernel_s_cannot_be_ended(tmp_path: Path) -> None:
    """With a wrong size rseq(2) fails, and the code returns before it has changed anything; the control is `stay`."""
    size, refused = in_child("_refused", tmp_path).split()
    assert refused == "True"
    assert int(size) == 0 or int(size) >= 32


def test_memory_moves_to_a_file(tmp_path: Path, machine: str) -> None:
    """The code writes two areas to a file and maps it there: later writes to the memory do not reach the file.

    It returns the address of the row at which it stops. The control is a file that may only be read: the first one.
    """
    code = own_swap.program(machine)
    table = own_code.PLACE + len(code)
    area = own_code.PLACE + 0x10000
    rows = b"".join(struct.pack("<QQQQ", area + n * 0x10000, 0x10000, n * 0x10000, 3) for n in range(2))
    rows += struct.pack("<6Q", 0, 0, 0, table + 96, 0, 0)  # wait for nothing, and for no time
    begin = table + len(rows)
    for flags, row in ((os.O_RDWR | os.O_CREAT, 2), (os.O_RDONLY, 0)):
        fd = os.open(tmp_path / "file", flags)
        os.set_inheritable(fd, True)
        parts = code + rows + calling(machine, begin, own_code.PLACE, [table, fd], "result")
        parts = parts.ljust(0x10000, b"\0") + b"one".ljust(0x10000, b".") + b"two".ljust(0x10000, b".")
        (tmp_path / "program").write_bytes(elf(machine, parts, place=own_code.PLACE, entry=begin))
        (tmp_path / "program").chmod(0o755)
        assert ended(tmp_path / "program", machine) == (table + 32 * row) & 0xFF
        os.close(fd)
    assert (tmp_path / "file").read_bytes() == parts[0x10000:]


def in_child(act: str, folder: Path) -> str:
    """Call the function *act* of this file in a new Python, and return what it says: that of the tests is large."""
    text = f"from pathlib import Path; from {__name__} import {act}; print({act}(Path({str(folder)!r})))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def _moved(folder: Path) -> str:
    """Move the memory of this process out, go on with work of all kinds, and move it out once more."""
    own_swap.MOST = 1 << 30  # with pytest, it is not small
    before = anonymous()
    moved = own_swap.wait(str(folder), [], 0)
    after = anonymous()
    words = [str(number) for number in range(100_000)]
    gc.collect()
    again = own_swap.wait(str(folder), [], 10)
    named = sum("(deleted)" in line and "rw-p" in line for line in Path("/proc/self/maps").read_text().splitlines())
    left = len(os.listdir(folder))
    return f"{moved} {before > 3 * after} {words[77_777]} {again} {named > 3} {left} {before} {after}"


def anonymous(pid: int | str = "self") -> int:
    """Return how many kB of a process's memory are of no file; see proc_pid_smaps(5)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def test_python_goes_on_after_its_memory_has_moved(disk: Path) -> None:
    """A Python whose memory is in a file has little of its own; it works on, and its file has no name."""
    assert in_child("_moved", disk).split()[:6] == ["True", "True", "77777", "True", "True", "0"]


def _waits(folder: Path) -> str:
    """Wait without memory for a pipe, while another process looks, and then for time to pass."""
    own_swap.MOST = 1 << 30
    reading, writing = os.pipe()
    parent = os.getpid()
    if os.fork() == 0:
        while not Path(f"/proc/{parent}/syscall").read_text().startswith(("271 ", "73 ")):  # ppoll
            os.sched_yield()
        os.write(writing, str(anonymous(parent)).encode())
        os._exit(0)
    woken = own_swap.wait(str(folder), [(reading, select.POLLIN)], None)
    seen = int(os.read(reading, 100))
    os.wait()
    begun = time.monotonic()
    own_swap.wait(str(folder), [(reading, select.POLLIN)], 50)
    return f"{woken} {seen < 1000} {0.04 < time.monotonic() - begun < 20} {seen}"


@pytest.mark.root
def test_a_process_waits_without_its_memory(disk: Path) -> None:
    """While it waits for a pipe it has less than 1 MB in use; then it reads it, and another wait ends by its limit."""
    assert in_child("_waits", disk).split()[:3] == ["True", "True", "True"]


def test_a_large_memory_stays(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more memory than MOST, a full disk, or in a directory of memory, nothing is moved, and there is no wait."""
    assert not own_swap.wait("/dev/shm", [], None)
    monkeypatch.setattr(own_swap, "MOST", 4096)
    assert not own_swap.wait(str(disk), [], None)
    assert not own_swap.wait(str(disk / "no such"), [], None)
    monkeypatch.setattr(own_swap, "MOST", 1 << 30)
    monkeypatch.setattr(own_swap, "LEFT", 1 << 60)
    assert not own_swap.wait(str(disk), [], None)


def test_areas_are_read_from_maps() -> None:
    """Private areas that can be written, but the stack; no code, no shared memory, no guard."""
    maps = (
        "00400000-00420000 r-xp 00000000 08:01 12  /usr/bin/python3\n00a00000-00b00000 rw-p 00600000 08:01 12 /p y\n"
        "01000000-01200000 rw-p 00000000 00:00 0          [heap]\n7f00-7f01 rw-s 00000000 00:01 5 /dev/zero\n"
        "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0  [stack]\n7fff0000-7fff1000 ---p 00000000 00:00 0 \n"
    )
    assert own_swap.areas(maps) == [(0xA00000, 0xB00000), (0x1000000, 0x1200000)]


def _alone(folder: Path) -> str:
    """Be a process that lets go of its memory, and tell its pid and its maps by its child, which outlives nobody."""
    pid = os.fork()
    if pid == 0:
        signal.pthread_sigmask(signal.SIG_BLOCK, ALL)
        child = os.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execv("/bin/sh", ["sh", "-c", f"while [ ! -e {folder}/go ]; do sleep 0.02; done; exit 7"])
        stat = proc.stat(Path("/proc/self/stat").read_text())
        native_init.stay(child, stat.arg_start, forward=True)
        os._exit(99)
    while Path(f"/proc/{pid}/comm").read_text() != "tinybox:init\n":
        os.sched_yield()
    maps = Path(f"/proc/{pid}/maps").read_text()
    dirty = [int(line.split()[1]) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
             if line.startswith("Private_Dirty:")]  # fmt: skip
    title = Path(f"/proc/{pid}/cmdline").read_bytes()
    (folder / "go").touch()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    files = [line for line in maps.splitlines() if "/" in line]
    return f"{len(files)}|{dirty[0] < 64}|{title == Path('/proc/self/cmdline').read_bytes()}|{status}"


@pytest.mark.root
def test_the_native_init_has_no_other_memory(tmp_path: Path) -> None:
    """A Python process that stays as native init maps no file, has less than 64 KiB, and keeps its command line."""
    assert in_child("_alone", tmp_path) == "0|True|True|7"
