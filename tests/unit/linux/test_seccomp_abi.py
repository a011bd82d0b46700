"""The structures of seccomp(2) have the kernel's sizes and offsets."""

from __future__ import annotations

import ctypes

from tinybox.linux.seccomp import SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS, SockFprog, action_available, sock_filter


def test_an_instruction_has_eight_bytes() -> None:
    """``struct sock_filter``: two bytes of code, one for each jump, four of number."""
    assert sock_filter(0x15, 0x01020304, jt=5, jf=6) == bytes([0x15, 0, 5, 6, 4, 3, 2, 1])


def test_a_program_is_a_length_and_a_pointer() -> None:
    """``struct sock_fprog``: the pointer is aligned to eight."""
    assert ctypes.sizeof(SockFprog) == 16
    assert SockFprog.filter.offset == 8


def test_the_kernel_knows_its_own_actions() -> None:
    """The query needs no root; an action that no kernel has is not available."""
    assert action_available(SECCOMP_RET_ALLOW)
    assert action_available(SECCOMP_RET_KILL_PROCESS)
    assert not action_available(0x12340000)
