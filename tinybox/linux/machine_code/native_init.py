"""Native init: a machine-code program of 300 bytes that stays as PID 1 of a box, in place of tinybox's Python.

It waits for signals, which it forwards, and for the ends of processes. Python's loop of the same meaning is `supervise`
in container/process/init.py. There are two ways to it. As a rule PID 1 jumps to it and gives up all other memory:
`stay`. But /proc/1/exe is still the host's Python then. In a box that may trace its PID 1, which reaches this file
through it, PID 1 executes the program from sealed memory: `execute`.
"""

from __future__ import annotations

import os
import struct

from tinybox.linux import capability
from tinybox.linux.machine_code import memory_files, own_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

NAME = b"tinybox:init"
_HERE = os.uname().machine  # known before PID 1 has its filter
_NO_SIGNALS = (9, 19, 32, 33)  # SIGKILL and SIGSTOP cannot be blocked, libc uses 32 and 33 itself; see signal(7)
_SIGNALS = sum(1 << number - 1 for number in range(1, 65) if number not in _NO_SIGNALS)
_ALL_SIGNALS = (1 << 64) - 1
_LETTERS = str.maketrans("0123456789abcdef", "ABCDEFGHIJKLMNOP")


def make(content: bytes) -> int:
    """Return an fd of the program, whose *content* is that of `program`, in a sealed memory file; memfd_create(2)."""
    return memory_files.make(NAME.decode(), content)


def execute(file: int | str, pid: int, gate: int) -> NoReturn:
    """Execute the program, *file* is an fd or a path of it, to wait for the end of the process *pid*; execveat(2).

    At first it writes GO_ON of the trampoline to the fd *gate* and closes it, if that is not 0. All signals are
    blocked. OSError: it cannot be executed.

    Its effective set of capabilities is empty until then. So it may not read the file, which makes it not dumpable from
    its first instruction on; execve(2) computes the set from the others, see PR_SET_DUMPABLE.
    """
    _, permitted, inheritable = capability.capget()
    capability.capset(0, permitted, inheritable)
    os.execve(file, [NAME.decode()], {letters(pid): letters(gate)})


def stay(pid: int, title: int, *, forward: bool) -> None:
    """Wait for the end of the process *pid* in machine code, without all memory below *title*; see munmap(2).

    *title* is the address of this process's command line, `arg_start` in proc_pid_stat(5), near the end of the stack;
    ps(1) goes on to show it. Python, the libraries and the heap are gone then: no file of the host is mapped, but what
    the kernel itself has mapped stays (vdso(7)). Signals must be blocked. Return if the kernel refuses to have it so.
    """
    above = title // own_code.PAGE * own_code.PAGE
    try:
        own_code.put(in_place(above, forward=forward), room=own_code.PAGE)
    except OSError:
        return
    own_code.call(pid, 0, *own_code.rseq_area())


def in_place(above: int, *, forward: bool, machine: str = "") -> bytes:
    """Return the code of the program for *machine* (default: this one), to be called at PLACE of own_code.

    Its arguments are the pid, the gate, and the two values of `own_code.rseq_area`. If the kernel does not end that
    area (rseq(2)), it returns. Otherwise it takes the page behind its own as its stack, blocks all signals, also those
    of libc, and unmaps all that lies between that page and the address *above*.
    """
    machine = machine or _HERE
    entry, code = {"x86_64": (_entry_x86_64, _x86_64), "aarch64": (_entry_aarch64, _aarch64)}[machine]
    size = len(entry(0, 0, 0)) + len(code(0, forward=forward, entry=b""))
    data, top = own_code.PLACE + size, own_code.PLACE + own_code.pages(size) + own_code.PAGE
    begin = entry(data + 24, top, above)
    return code(data, forward=forward, entry=begin) + struct.pack("<Q16sQ", _SIGNALS, NAME, _ALL_SIGNALS)


def letters(number: int) -> str:
    """Return *number* as the program reads it: hexadecimal digits, from A to P, for an environment; see environ(7)."""
    return f"{number:x}".translate(_LETTERS)


def program(*, forward: bool, machine: str = "") -> bytes:
    """Return the program for *machine* (default: this one) as an ELF file; see elf(5).

    Its environment is one variable: the pid to wait for, and the gate; see `letters`. It takes NAME for its name, is
    not dumpable, and then repeats rt_sigtimedwait(2): SIGCHLD makes it wait for every child that has ended, and it
    exits when *pid* has, with its status, or 128 and the number of the signal that ended it. Another signal goes to
    *pid*, if it is to *forward* signals. See prctl(2), wait4(2), kill(2).
    """
    machine = machine or _HERE
    code = {"x86_64": _x86_64, "aarch64": _aarch64}[machine]
    place = memory_files.BASE + memory_files.HEADERS + len(code(0, forward=forward))  # of the data, behind the code
    data = struct.pack("<Q16s", _SIGNALS, NAME)
    return memory_files.elf(machine, code(place, forward=forward) + data)


_VARIABLE_X86_64 = (
    "48 8b 74 24 18    ",  # mov rsi, [rsp + 24]            the variable
    "e8 b1 00 00 00    ",  # call number
    "41 89 dc          ",  # mov r12d, ebx                  the pid
    "e8 a9 00 00 00    ",  # call number                    ebx: the gate
)
_ENTRY_X86_64 = (
    "85 c9             ",  # test ecx, ecx                  the size of the area of rseq
    "74 31             ",  # jz alone
    "41 89 f8          ",  # mov r8d, edi
    "41 89 f1          ",  # mov r9d, esi
    "64 48 8b 3c 25    ",  # mov rdi, fs:[0]                the thread
    "00 00 00 00       ",
    "48 01 d7          ",  # add rdi, rdx                   its area
    "89 ce             ",  # mov esi, ecx
    "ba 01 00 00 00    ",  # mov edx, RSEQ_FLAG_UNREGISTER
    "41 ba 53 30 05 53 ",  # mov r10d, RSEQ_SIG
    "b8 4e 01 00 00    ",  # mov eax, SYS_rseq
    "0f 05             ",  # syscall
    "85 c0             ",  # test eax, eax
    "74 01             ",  # jz done
    "c3                ",  # ret
    "44 89 c7          ",  # done: mov edi, r8d
    "44 89 ce          ",  # mov esi, r9d
    "41 89 fc          ",  # alone: mov r12d, edi           the pid
    "89 f3             ",  # mov ebx, esi                   the gate
    "bc TOP            ",  # mov esp, top
    "bf 02 00 00 00    ",  # mov edi, SIG_SETMASK
    "be ALL            ",  # mov esi, all
    "31 d2             ",  # xor edx, edx
    "41 ba 08 00 00 00 ",  # mov r10d, 8                    bytes of the mask
    "b8 0e 00 00 00    ",  # mov eax, SYS_rt_sigprocmask
    "0f 05             ",  # syscall
    "bf TOP            ",  # mov edi, top
    "48 be SIZE        ",  # mov rsi, size
    "b8 0b 00 00 00    ",  # mov eax, SYS_munmap
    "0f 05             ",  # syscall
)
_HEAD_X86_64 = (
    "bf 0f 00 00 00    ",  # mov edi, PR_SET_NAME
    "be NAME           ",  # mov esi, name
    "b8 9d 00 00 00    ",  # mov eax, SYS_prctl
    "0f 05             ",  # syscall
    "bf 04 00 00 00    ",  # mov edi, PR_SET_DUMPABLE
    "31 f6             ",  # xor esi, esi
    "b8 9d 00 00 00    ",  # mov eax, SYS_prctl
    "0f 05             ",  # syscall
    "85 db             ",  # test ebx, ebx
    "74 1c             ",  # jz wait                        there is no gate
    "89 df             ",  # mov edi, ebx
    "be NAME           ",  # mov esi, name                  any bytes will do
    "ba 08 00 00 00    ",  # mov edx, 8
    "b8 01 00 00 00    ",  # mov eax, SYS_write
    "0f 05             ",  # syscall
    "89 df             ",  # mov edi, ebx
    "b8 03 00 00 00    ",  # mov eax, SYS_close
    "0f 05             ",  # syscall
    "bf MASK           ",  # wait: mov edi, mask
    "31 f6             ",  # xor esi, esi                   no siginfo
    "31 d2             ",  # xor edx, edx                   no limit of time
    "41 ba 08 00 00 00 ",  # mov r10d, 8                    bytes of the mask
    "b8 80 00 00 00    ",  # mov eax, SYS_rt_sigtimedwait
    "0f 05             ",  # syscall
    "83 f8 11          ",  # cmp eax, SIGCHLD
    "74 12             ",  # je reap
    "85 c0             ",  # test eax, eax
    "78 e1             ",  # js wait                        -EINTR
)
_FORWARD_X86_64 = (
    "89 c6             ",  # mov esi, eax                   the signal
    "44 89 e7          ",  # mov edi, r12d                  the pid
    "b8 3e 00 00 00    ",  # mov eax, SYS_kill
    "0f 05             ",  # syscall
)
_TAIL_X86_64 = (
    "eb d3             ",  # jmp wait
    "bf ff ff ff ff    ",  # reap: mov edi, -1
    "48 8d 74 24 f0    ",  # lea rsi, [rsp - 16]            the status
    "ba 01 00 00 00    ",  # mov edx, WNOHANG
    "45 31 d2          ",  # xor r10d, r10d                 no rusage
    "b8 3d 00 00 00    ",  # mov eax, SYS_wait4
    "0f 05             ",  # syscall
    "85 c0             ",  # test eax, eax
    "7e b6             ",  # jle wait                       no child, or none that has ended
    "44 39 e0          ",  # cmp eax, r12d
    "75 de             ",  # jne reap                       an orphan
    "8b 44 24 f0       ",  # mov eax, [rsp - 16]
    "89 c7             ",  # mov edi, eax
    "c1 ef 08          ",  # shr edi, 8                     the exit status
    "83 e0 7f          ",  # and eax, 127                   the signal
    "74 06             ",  # jz exit
    "8d b8 80 00 00 00 ",  # lea edi, [rax + 128]
    "b8 e7 00 00 00    ",  # exit: mov eax, SYS_exit_group
    "0f 05             ",  # syscall
    "31 db             ",  # number: xor ebx, ebx
    "ac                ",  # digit: lodsb
    "2c 41             ",  # sub al, 'A'
    "72 0a             ",  # jb done                        = or the end
    "c1 e3 04          ",  # shl ebx, 4
    "0f b6 c0          ",  # movzx eax, al
    "09 c3             ",  # or ebx, eax
    "eb f1             ",  # jmp digit
    "c3                ",  # done: ret
)


def _x86_64(data: int, *, forward: bool, entry: bytes | None = None) -> bytes:
    """Return the code for x86-64; see syscall(2) for the registers. The stack: argc 1, argv[0], 0, envp[0].

    With an *entry* there is no such stack: that code has put the pid into r12d, and the gate into ebx.
    """
    forwarding = _FORWARD_X86_64 if forward else ("90 " * 12,)  # nop
    text = "".join((*(_VARIABLE_X86_64 if entry is None else ()), *_HEAD_X86_64, *forwarding, *_TAIL_X86_64))
    return (entry or b"") + bytes.fromhex(text.replace("MASK", _word(data)).replace("NAME", _word(data + 8)))


def _entry_x86_64(signals: int, top: int, above: int) -> bytes:
    text = "".join(_ENTRY_X86_64).replace("ALL", _word(signals)).replace("TOP", _word(top))
    return bytes.fromhex(text.replace("SIZE", struct.pack("<Q", max(0, above - top)).hex()))


def _word(number: int) -> str:
    return struct.pack("<I", number).hex()


def _aarch64(data: int, *, forward: bool, entry: bytes | None = None) -> bytes:
    """Return the code for aarch64, the same steps, 32 bits for each instruction; see syscall(2) for the registers.

    With an *entry* there is no stack with a variable: that code has put the pid into w19, and the gate into w20.
    """
    call, nop = 0xD4000001, 0xD503201F  # svc #0
    forwarding = (0x2A0003E1, 0x2A1303E0, _put(8, 129), call)  # mov w1, w0; mov w0, w19; kill
    variable = (
        0xF9400FE4,  # ldr x4, [sp, #24]     the variable
        0x94000035, 0x2A1403F3, 0x94000033,  # bl number; mov w19, w20: the pid; bl number, w20: the gate
    )  # fmt: skip
    instructions = (
        *(variable if entry is None else ()),
        _put(0, 15), *_address(1, data + 8), _put(8, 167), call,  # prctl(PR_SET_NAME, name)
        _put(0, 4), _put(1, 0), call,  # prctl(PR_SET_DUMPABLE, 0)
        0x34000154,  # cbz w20, wait         there is no gate
        0x2A1403E0, *_address(1, data + 8), _put(2, 8), _put(8, 64), call,  # write(w20, name, 8)
        0x2A1403E0, _put(8, 57), call,  # close(w20)
        *_address(0, data), _put(1, 0), _put(2, 0), _put(3, 8), _put(8, 137), call,  # wait: rt_sigtimedwait(mask ...)
        0x7100441F, 0x540000E0,  # cmp w0, #SIGCHLD; b.eq reap
        0x37FFFEE0,  # tbnz w0, #31, wait    -EINTR
        *(forwarding if forward else (nop,) * 4),
        0x17FFFFF2,  # b wait
        0x12800000, 0xD10043E1, _put(2, 1), _put(3, 0), _put(8, 260), call,  # reap: wait4(-1, sp - 16, WNOHANG, 0)
        0x7100001F, 0x54FFFD4D,  # cmp w0, #0; b.le wait
        0x6B13001F, 0x54FFFEE1,  # cmp w0, w19; b.ne reap
        0xB85F03E1, 0x53087C20,  # ldur w1, [sp, #-16]; lsr w0, w1, #8
        0x72001821, 0x54000040,  # ands w1, w1, #127; b.eq exit
        0x11020020,  # add w0, w1, #128
        _put(8, 94), call,  # exit: exit_group
        _put(20, 0),  # number: mov w20, #0
        0x38401480, 0x71010400, 0x54000063,  # digit: ldrb w0, [x4], #1; subs w0, w0, #'A'; b.lo done
        0x2A141014, 0x17FFFFFC,  # orr w20, w0, w20, lsl #4; b digit
        0xD65F03C0,  # done: ret
    )  # fmt: skip
    return (entry or b"") + struct.pack(f"<{len(instructions)}I", *instructions)


def _entry_aarch64(signals: int, top: int, above: int) -> bytes:
    """Return the code for aarch64; its arguments are in w0, w1, x2 and w3, its return address in x30."""
    call, size = 0xD4000001, max(0, above - top)
    instructions = (
        0x340001E3,  # cbz w3, alone         there is no area of rseq
        0x2A0003E9, 0x2A0103EA,  # mov w9, w0; mov w10, w1
        0xD53BD040, 0x8B020000, 0x2A0303E1,  # mrs x0, tpidr_el0; add x0, x0, x2: its area; mov w1, w3
        _put(2, 1), *_address(3, 0xD428BC00), _put(8, 293), call,  # rseq(x0, w1, RSEQ_FLAG_UNREGISTER, RSEQ_SIG)
        0x34000040, 0xD65F03C0,  # cbz w0, done; ret
        0x2A0903E0, 0x2A0A03E1,  # done: mov w0, w9; mov w1, w10
        0x2A0003F3, 0x2A0103F4,  # alone: mov w19, w0: the pid; mov w20, w1: the gate
        *_address(9, top), 0x9100013F,  # mov sp, x9
        _put(0, 2), *_address(1, signals), _put(2, 0), _put(3, 8), _put(8, 135), call,  # rt_sigprocmask
        *_address(0, top),
        *(0xD2800001 | half << 21 | (size >> 16 * half & 0xFFFF) << 5 | (half > 0) << 29 for half in range(4)),  # x1
        _put(8, 215), call,  # munmap(top, size)
    )  # fmt: skip
    return struct.pack(f"<{len(instructions)}I", *instructions)


def _put(register: int, value: int) -> int:
    return 0x52800000 | value << 5 | register  # movz wREGISTER, #value, of 16 bits


def _address(register: int, value: int) -> tuple[int, int]:
    return _put(register, value & 0xFFFF), 0x72A00000 | (value >> 16) << 5 | register  # movk wREGISTER, #value, lsl 16
