"""A segmentation fault: address, reason, status 139, and the core file.

The processor reports each access to an address that the process has not mapped, or has mapped without this right. The
kernel turns it into signal 11, SIGSEGV, with the reason and the address. A shell shows 128 + 11. Whether a core file is
written depends on the limit of the process and on core_pattern, which all containers of a host share.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import struct
from typing import TYPE_CHECKING, Any

from tinybox.lab import look, tracing
from tinybox.lab.course import Lab
from tinybox.linux import process

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

GETSIGINFO = 0x4202  # of ptrace(2)
HEAD = struct.Struct("=iii4xQ")  # struct siginfo_t of a fault: signo, errno, code, and the address; see sigaction(2)
CODES = {0: "SI_USER", 1: "SEGV_MAPERR", 2: "SEGV_ACCERR"}
SEGV = int(signal.SIGSEGV)
PATTERN = "/proc/sys/kernel/core_pattern"
CORE_SIZE, NO_CORE = 4096, 0  # bytes of RLIMIT_CORE
NO_PIPE = 1  # RLIMIT_CORE 1 keeps a core from the program that core_pattern may name: see core(5)


def read_address_zero() -> None:
    """Read at address 0, as a program does that uses a null pointer."""
    _ = ctypes.c_int.from_address(0).value


def write_read_only() -> None:
    """Write to a page that may only be read."""
    ctypes.memset(_address_of(mmap.PROT_READ), 1, 1)


def write_allowed() -> None:
    """Write to a page that may be written: no fault."""
    ctypes.memset(_address_of(mmap.PROT_READ | mmap.PROT_WRITE), 1, 1)


def be_sent() -> None:
    """Get the signal from kill(2), without any fault."""
    os.kill(os.getpid(), SEGV)


def _address_of(rights: int) -> int:
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    return int(libc.mmap(None, mmap.PAGESIZE, rights, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0))


def autopsy(act: Any, core_size: int) -> dict[str, Any]:
    """Do *act* in a traced child; return the signal's code and address, if one came, and the wait status; ptrace(2)."""
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (core_size, core_size))
        process.set_dumpable(True)
        tracing.ptrace(tracing.TRACEME)
        act()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    found: dict[str, Any] = {"code": "no signal", "address": None}
    if os.WIFSTOPPED(status):
        buffer = ctypes.create_string_buffer(128)
        tracing.ptrace(GETSIGINFO, pid, 0, ctypes.addressof(buffer))
        _, _, code, address = HEAD.unpack_from(buffer.raw)
        found = {"code": CODES.get(code, str(code)), "address": address if code > 0 else None}
        tracing.ptrace(tracing.CONT, pid, 0, os.WSTOPSIG(status))
        _, status = os.waitpid(pid, 0)
    return {**found, "status": status, "core file": sorted(os.listdir("."))}


def crash(faults: bool, core_size: int, no_core: int) -> dict[str, Any]:
    """In the box: do the faulty acts and the harmless one, and look for core files; see core(5)."""
    os.chdir("/tmp")
    null = read_address_zero if faults else write_allowed
    acts = {"read at 0": (null, core_size), "write to a read-only page": (write_read_only, no_core)}
    acts |= {"kill(2)": (be_sent, no_core), "write to a page of one's own": (write_allowed, no_core)}
    found = {name: autopsy(act, size) for name, (act, size) in acts.items()}
    return {**found, "pattern": look.text(PATTERN), "writable": os.access(PATTERN, os.W_OK)}


def die(faults: bool, no_core: int) -> None:
    """In the box: be a program that uses a null pointer."""
    resource.setrlimit(resource.RLIMIT_CORE, (no_core, no_core))
    (read_address_zero if faults else write_allowed)()


def check(bench: Bench, *, feature: bool) -> None:
    """Make faults in a box, and read the reason, the address, the status and the core file of each."""
    bench.need(tracing.allowed(), "this host allows no ptrace(2)")
    pattern = bench.on_host("core_pattern", look.text(PATTERN), f"cat {PATTERN}")
    files = (
        not pattern.startswith(("|", "@")) and "/" not in pattern
    )  # the core file belongs into the working directory: core(5)
    sizes = (CORE_SIZE, NO_CORE) if files else (NO_PIPE, NO_PIPE)
    with bench.box(crash, feature, *sizes, tmpfs=["/tmp"]) as box:
        found = box.receive()
    bench.in_box("core_pattern", found.pop("pattern"), f"cat {PATTERN}")
    writable = bench.in_box("core_pattern is writable", found.pop("writable"), "access(2); nothing was written")
    with bench.box(die, feature, sizes[1]) as box:
        status = bench.on_host("status of a box whose program reads at 0", box.wait(), "tinybox run ...; echo $?")
    for name, one in found.items():
        where = "" if one["address"] is None else f" at {one['address']:#x}"
        bench.in_box(name, f"{one['code']}{where}", "PTRACE_GETSIGINFO of ptrace(2): si_code, si_addr")
        bench.in_box(f"{name}: wait status", f"{one['status']:#06x}", "waitpid(2): bits 0-6 signal, bit 7 core")
    null, read_only, sent, own = found.values()
    cores = bench.in_box("core files after the first", " ".join(null["core file"]) or "none", "ls /tmp")
    bench.claim("a null pointer is address 0, which is not mapped", (null["code"], null["address"]) == (CODES[1], 0))
    bench.claim("a page that may only be read is mapped: another reason", read_only["code"] == CODES[2])
    bench.claim("kill(2) sends the same signal without any fault", sent["code"] == CODES[0])
    bench.claim("all three end by signal 11", {one["status"] & 0x7F for one in (null, read_only, sent)} == {SEGV})
    bench.claim("a write to a page with that right is no fault", own["status"] == 0)
    bench.claim("the shell shows 139", status == 128 + SEGV)
    limited = not read_only["status"] & 0x80
    if files:
        wrote = cores != "none" and bool(null["status"] & 0x80)
        bench.claim("the limit lets the first leave a core file, and the second none", wrote and limited)
    else:
        bench.claim("RLIMIT_CORE 1 prevents every core", cores == "none" and limited)
    bench.claim("the box cannot change core_pattern, which is the host's", not writable)


LAB = Lab(
    question="A program reads through a null pointer. Which signal ends it, for which reason, and which status does a"
    " shell show? Which file decides where the core file goes: one of the box, or one of the host?",
    answer="SIGSEGV with the reason SEGV_MAPERR and the address 0; 128 + 11 = 139. A write to a read-only page has the"
    " reason SEGV_ACCERR. core_pattern is the host's, for all boxes; a plain name means the program's directory.",
    control="the program uses a page of its own in place of the null pointer: no fault, status 0",
    check=check,
)
