"""An interpreter of classic BPF, as far as seccomp(2) allows it: written from the manual, not from the compiler."""

from __future__ import annotations

import struct

TESTS = {0x15: int.__eq__, 0x25: int.__gt__, 0x35: int.__ge__}
ALLOW, KILL_PROCESS, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028


def answer(program: bytes, number: int, *arguments: int, arch: int = X86_64) -> int:
    """Run *program* on one system call and return its result; fail on an instruction that the kernel would refuse."""
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    instructions = list(struct.iter_unpack("<HBBI", program))
    assert 0 < len(instructions) <= 4096
    accumulator = position = 0
    while True:
        code, jt, jf, k = instructions[position]
        position += 1
        match code:
            case 0x20:
                assert k % 4 == 0
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x00:
                accumulator = k
            case 0x54:
                accumulator &= k
            case 0x05:
                position += k
            case 0x06:
                return int(k)
            case _:
                position += jt if TESTS[code](accumulator, k) else jf
