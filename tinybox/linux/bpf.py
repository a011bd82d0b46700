"""BPF: small programs that the kernel verifies, compiles and runs at the hook to which they are attached; bpf(2).

An instruction is eight bytes: the operation, two of the eleven registers, a jump distance, and one number. The kernel's
verifier refuses a program unless it can prove that the program ends and reads only the memory that it may read.
"""

from __future__ import annotations

import ctypes
import struct

from tinybox.linux.abi import Syscall

BPF_PROG_LOAD = 5
BPF_PROG_ATTACH = 8
BPF_PROG_TYPE_CGROUP_DEVICE = 15
BPF_CGROUP_DEVICE = 6
BPF_F_ALLOW_MULTI = 2

# Operation codes of linux/bpf.h, each combined from its parts: class | size or operation | source.
BPF_LDX_W = 0x61  # dst = *(u32 *)(src + offset)
BPF_AND32 = 0x54  # dst &= immediate, as 32 bits
BPF_RSH32 = 0x74  # dst >>= immediate
BPF_MOV64 = 0xB7  # dst = immediate
BPF_JEQ32 = 0x16  # jump by offset if dst == immediate, as 32 bits (Linux 5.1)
BPF_JNE32 = 0x56  # jump by offset if dst != immediate
BPF_JSET32 = 0x46  # jump by offset if dst & immediate
BPF_EXIT = 0x95  # return r0


class LoadAttr(ctypes.Structure):
    """``union bpf_attr`` for BPF_PROG_LOAD, with only the fields that a program without maps needs; see bpf(2)."""

    _fields_ = (
        ("prog_type", ctypes.c_uint32),
        ("insn_cnt", ctypes.c_uint32),
        ("insns", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_uint64),
    )


class AttachAttr(ctypes.Structure):
    """``union bpf_attr`` for BPF_PROG_ATTACH; see bpf(2)."""

    _fields_ = (
        ("target_fd", ctypes.c_uint32),
        ("attach_bpf_fd", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
    )


_bpf = Syscall("bpf", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint)


def instruction(code: int, dst: int = 0, src: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    """Return one ``struct bpf_insn``: *dst* and *src* share a byte, *offset* is 16 bits and *immediate* 32; bpf(2)."""
    return struct.pack("=BBhi", code, src << 4 | dst, offset, immediate)


class Assembler:
    """A BPF program under construction, with forward jumps to labels; bpf(2) itself has only jump distances."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, int, int, int, int, str]] = []
        self._labels: dict[str, int] = {}

    def add(self, code: int, dst: int = 0, src: int = 0, offset: int = 0, immediate: int = 0, to: str = "") -> None:
        """Append one instruction; a jump has the label *to* in place of an *offset*; see bpf(2)."""
        self._lines.append((code, dst, src, offset, immediate, to))

    def label(self, name: str) -> None:
        """Put the label *name* before the next instruction; earlier instructions may jump to it; see bpf(2)."""
        self._labels[name] = len(self._lines)

    def wants(self, name: str) -> bool:
        """Return whether a jump goes to the label *name*: the verifier refuses unreachable code; see bpf(2)."""
        return any(line[-1] == name for line in self._lines)

    def assemble(self) -> bytes:
        """Return the program's bytes for prog_load(); a jump distance counts from the next instruction; see bpf(2)."""
        program = []
        for place, (code, dst, src, offset, immediate, to) in enumerate(self._lines):
            distance = self._labels[to] - place - 1 if to else offset
            program.append(instruction(code, dst, src, distance, immediate))
        return b"".join(program)


def prog_load(prog_type: int, instructions: bytes, license_name: bytes = b"GPL") -> int:
    """Load *instructions* into the kernel and return the program's close-on-exec fd; see BPF_PROG_LOAD in bpf(2).

    EINVAL or EACCES: the verifier refused the program; EPERM: CAP_BPF is missing (CAP_SYS_ADMIN before Linux 5.8), or
    RLIMIT_MEMLOCK is used up (before 5.11).
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    name = ctypes.create_string_buffer(license_name)
    count = len(instructions) // len(instruction(BPF_EXIT))
    attr = LoadAttr(prog_type, count, ctypes.addressof(code), ctypes.addressof(name))
    return _bpf(BPF_PROG_LOAD, ctypes.byref(attr), ctypes.sizeof(attr))


def prog_attach(target_fd: int, prog_fd: int, attach_type: int, flags: int) -> None:
    """Attach the program *prog_fd* to the hook *attach_type* of *target_fd*, a cgroup2 directory; see bpf(2).

    The attachment lasts as long as the group, and the program as long as the attachment: both fds may be closed.
    """
    attr = AttachAttr(target_fd, prog_fd, attach_type, flags)
    _bpf(BPF_PROG_ATTACH, ctypes.byref(attr), ctypes.sizeof(attr))
