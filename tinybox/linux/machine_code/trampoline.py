"""Trampoline: a machine-code program of 200 bytes that executes the container's program, so that Python never does.

While a process calls execve(2), /proc/self/exe is the file that this process runs. So a script of the container that
begins with ``#!/proc/self/exe`` would run the host's Python again, with the container's dynamic loader; and the
container could then open the host's Python for writing (CVE-2019-5736). So tinybox's Python never executes a file of a
container. It executes this program, which is in sealed memory, and this program executes the file.
"""

from __future__ import annotations

import os
import struct

from tinybox.linux.machine_code import memory_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

GO_ON = b"x" * 8  # what a trampoline that waits has to read
FAILED = 127  # the exit status of a trampoline whose execve(2) was refused
UNCONFINED = 0x80  # added to the errno in the report if not execve(2) was refused, but the filter before it

_CAPABILITY_VERSION = 0x20080522


class Lock:
    """What the trampoline gives up before it executes the program: it installs the seccomp *filter*; see seccomp(2).

    First it waits for a byte from the fd *gate*, if that is open; at the end of file it exits. At last it sets its
    capabilities to *sets*, the permitted (and effective) and the inheritable set, if that is not None; see capset(2).
    """

    def __init__(self, gate: int, filter: bytes, flags: int, sets: tuple[int, int] | None) -> None:  # noqa: A002
        self.gate, self.filter, self.flags, self.sets = gate, filter, flags, sets

    def data(self, address: int) -> bytes:
        """Return what the calls read at *address*: sock_fprog, the two structures of capset(2), and the filter."""
        low, high = 0xFFFFFFFF, 32
        permitted, inheritable = self.sets or (0, 0)
        sets = (permitted, permitted, inheritable)
        return (
            struct.pack("<HxxxxxxQ", len(self.filter) // 8, address + 48)
            + struct.pack("<Ii", _CAPABILITY_VERSION, 0)
            + struct.pack("<6I", *(mask & low for mask in sets), *(mask >> high for mask in sets))
            + self.filter
        )

    def calls(self, address: int) -> list[tuple[str, int, int]]:
        """Return the calls: a name and two arguments, of which the latter is an address in `data`."""
        calls = [("seccomp", self.flags, address)] if self.filter else []
        if self.sets is not None:
            calls.append(("capset", address + 16, address + 24))
        return calls


def make(report: int, lock: Lock | None = None) -> int:
    """Return an fd of a new trampoline in sealed memory, which writes an error to the fd *report*; memfd_create(2).

    HostError: the host forbids to execute memory files (sysctl vm.memfd_noexec).
    """
    return memory_files.make("tinybox", program(report, lock=lock))


def execute(trampoline: int | str, path: str, args: list[str], env: dict[str, str]) -> NoReturn:
    """Execute the *trampoline*, an fd or a path of it, which executes *path*; see execveat(2), AT_EMPTY_PATH.

    OSError: the trampoline itself cannot be executed. If *path* cannot be, the trampoline writes to its report fd, see
    `program`.
    """
    os.execve(trampoline, [path, *args], env)


def program(report: int, machine: str = "", lock: Lock | None = None) -> bytes:
    """Return the trampoline for *machine* (default: this one) as an ELF file; see elf(5).

    Its arguments are the path and then the arguments of the program to execute; its environment is the program's.
    It marks the fd *report* as close-on-exec, locks itself up with *lock*, and calls execve(2). If that is refused, it
    writes the errno as one byte and a newline to *report*, and exits with FAILED. If *report* is closed already, it
    exits with FAILED at once: then a script with the interpreter /proc/self/exe has executed the trampoline again.
    """
    machine = machine or os.uname().machine
    code = {"x86_64": _x86_64, "aarch64": _aarch64}[machine]
    text, data = code(report, lock, 0), b""
    if lock is not None:  # the code has the same length for each address
        address = memory_files.BASE + memory_files.HEADERS + len(text)
        text, data = code(report, lock, address), lock.data(address)
    return memory_files.elf(machine, text + data)


_EXECUTE_X86_64 = (
    "48 8b 7c 24 08    ",  # mov rdi, [rsp + 8]             the path
    "48 8d 74 24 10    ",  # lea rsi, [rsp + 16]            the arguments
    "48 8b 0c 24       ",  # mov rcx, [rsp]                 their number, with the path
    "48 8d 54 cc 10    ",  # lea rdx, [rsp + rcx * 8 + 16]  the environment, behind them and a zero
    "b8 3b 00 00 00    ",  # mov eax, SYS_execve
    "0f 05             ",  # syscall
    "f7 d8             ",  # neg eax                        execve returns only -errno
)
_END_X86_64 = (
    "bf 7f 00 00 00    ",  # mov edi, FAILED
    "b8 e7 00 00 00    ",  # mov eax, SYS_exit_group
    "0f 05             ",  # syscall
)


def _x86_64(report: int, lock: Lock | None, address: int) -> bytes:
    """Return the code for x86-64; see syscall(2) for the registers. The stack starts with argc and the arguments.

    The environment is behind the arguments and a zero: rcx is the number of the arguments, with the path.
    """
    fd = _word(report)
    head = (
        f"bf {fd}          ",  # mov edi, report
        "be 02 00 00 00    ",  # mov esi, F_SETFD
        "ba 01 00 00 00    ",  # mov edx, FD_CLOEXEC
        "b8 48 00 00 00    ",  # mov eax, SYS_fcntl
        "0f 05             ",  # syscall
        "85 c0             ",  # test eax, eax
        "74 10             ",  # jz the lock
        "83 f8 f7          ",  # cmp eax, -EBADF
        "0f 84             ",  # je end (its distance follows)  it was executed by a #!/proc/self/exe script
    )
    close = (
        "b8 03 00 00 00    ",  # mov eax, SYS_close             a seccomp filter refused fcntl: do without a report
        "0f 05             ",  # syscall
    )
    failed = (
        "0d 00 0a 00 00    ",  # or eax, '\n' << 8
        "50                ",  # push rax
        f"bf {fd}          ",  # mov edi, report
        "48 89 e6          ",  # mov rsi, rsp
        "ba 02 00 00 00    ",  # mov edx, 2
        "b8 01 00 00 00    ",  # mov eax, SYS_write
        "0f 05             ",  # syscall
    )
    closing, running, failing = (bytes.fromhex("".join(part)) for part in (close, _EXECUTE_X86_64, failed))
    locking = _lock_x86_64(lock, address, len(running), len(failing)) if lock is not None else b""
    distance = struct.pack("<i", len(closing) + len(locking) + len(running) + len(failing))
    end = bytes.fromhex("".join(_END_X86_64))
    return bytes.fromhex("".join(head)) + distance + closing + locking + running + failing + end


def _lock_x86_64(lock: Lock, address: int, behind: int, failing: int) -> bytes:
    """Return the code of *lock*; *behind* it by so many bytes is the code for a failure, with the errno in eax.

    That code has *failing* bytes, and behind it is the end.
    """
    calls = lock.calls(address)
    lines = [
        f"bf {_word(lock.gate)}  ",  # mov edi, gate
        "48 8d 74 24 f8          ",  # lea rsi, [rsp - 8]
        "ba 08 00 00 00          ",  # mov edx, 8
        "31 c0                   ",  # xor eax, eax: SYS_read
        "0f 05                   ",  # syscall
        "85 c0                   ",  # test eax, eax
        "0f 84                   ",  # je end                 PID 1 has ended
        _word(7 + 35 * len(calls) + behind + failing),
        "b8 03 00 00 00          ",  # mov eax, SYS_close
        "0f 05                   ",  # syscall
    ]
    code = bytes.fromhex("".join(lines))
    for left, (name, first, second) in zip(range(len(calls) - 1, -1, -1), calls, strict=True):
        registers = {
            # mov edi, SECCOMP_SET_MODE_FILTER; mov esi, flags; mov edx, address; mov eax, SYS_seccomp
            "seccomp": f"bf 01 00 00 00 be {_word(first)} ba {_word(second)} b8 3d 01 00 00",
            # mov edi, address of the header; mov esi, address of the sets; xor edx, edx; mov eax, SYS_capset
            "capset": f"bf {_word(first)} be {_word(second)} ba 00 00 00 00 b8 7e 00 00 00",
        }[name]
        # syscall; test eax, eax; jz to the next call; neg eax; or al, UNCONFINED; jmp to the code for a failure
        rest = 35 * left + behind
        code += bytes.fromhex(f"{registers} 0f 05 85 c0 74 09 f7 d8 0c 80 e9 {_word(rest)}")
    return code


def _word(number: int) -> str:
    return struct.pack("<I", number & 0xFFFFFFFF).hex()


def _aarch64(report: int, lock: Lock | None, address: int) -> bytes:
    """Return the code for aarch64, the same steps, 32 bits for each instruction; see syscall(2) for the registers."""
    call = 0xD4000001  # svc #0
    running = (
        0xF94003E3,  # execute: ldr x3, [sp]      the number of arguments, with the path
        0xF94007E0,  # ldr x0, [sp, #8]           the path
        0x910043E1,  # add x1, sp, #16            the arguments
        0x8B030C22,  # add x2, x1, x3, lsl #3     the environment
        _put(8, 221), call,  # execve
        0x4B0003E0,  # neg w0, w0
    )  # fmt: skip
    failing = (
        0x52814001,  # mov w1, '\n' << 8
        0x2A010000,  # orr w0, w0, w1
        0xF81F0FE0,  # str x0, [sp, #-16]!
        _put(0, report), 0x910003E1, _put(2, 2), _put(8, 64), call,  # write(report, sp, 2)
    )  # fmt: skip
    locking = _lock_aarch64(lock, address, len(running), len(failing)) if lock is not None else ()
    distance = 1 + 3 + len(locking) + len(running) + len(failing)
    instructions = (
        _put(0, report), _put(1, 2), _put(2, 1), _put(8, 25), call,  # fcntl(report, F_SETFD, FD_CLOEXEC)
        0x340000C0,  # cbz w0, the lock
        0x3100241F, 0x54000000 | distance << 5,  # cmn w0, #EBADF; b.eq end
        _put(0, report), _put(8, 57), call,  # close(report)
        *locking, *running, *failing,
        _put(0, FAILED), _put(8, 94), call,  # end: exit_group(FAILED)
    )  # fmt: skip
    return struct.pack(f"<{len(instructions)}I", *instructions)


def _lock_aarch64(lock: Lock, address: int, behind: int, failing: int) -> tuple[int, ...]:
    """Return the code of *lock*; *behind* and *failing* count instructions, see `_lock_x86_64`; the errno is in w0."""
    call = 0xD4000001
    code = [_put(0, lock.gate & 0xFFFF), 0xD10023E1, _put(2, 8), _put(8, 63), call]  # read(gate, sp - 8, 8)
    calls = lock.calls(address)
    code.append(0x34000000 | (4 + 11 * len(calls) + behind + failing) << 5)  # cbz w0, end: PID 1 has ended
    code += [_put(0, lock.gate & 0xFFFF), _put(8, 57), call]  # close(gate)
    for left, (name, first, second) in zip(range(len(calls) - 1, -1, -1), calls, strict=True):
        if name == "seccomp":  # seccomp(SECCOMP_SET_MODE_FILTER, flags, address)
            code += [_put(0, 1), *_put_address(1, first), *_put_address(2, second), _put(8, 277), call]
        else:  # capset(address of the header, address of the sets)
            code += [*_put_address(0, first), *_put_address(1, second), _put(2, 0), _put(8, 91), call]
        rest = 11 * left + behind + 1
        code += [
            0x34000080,
            0x4B0003E0,
            0x32190000,
            0x14000000 | rest,
        ]  # cbz w0, next; neg; orr w0, w0, #0x80; b failed
    return tuple(code)


def _put(register: int, value: int) -> int:
    return 0x52800000 | value << 5 | register  # movz wREGISTER, #value, of 16 bits


def _put_address(register: int, value: int) -> tuple[int, int]:
    return _put(register, value & 0xFFFF), 0x72A00000 | (value >> 16) << 5 | register  # movk wREGISTER, #value, lsl 16
