"""Signals as something to read: what is blocked, and so kept pending, arrives at a file descriptor instead.

A signal handler interrupts a program anywhere. A descriptor waits among all the others in one poll(2), until there is
time for it.
"""

from __future__ import annotations

import ctypes
import os

from tinybox.linux.abi import Syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SFD_NONBLOCK, SFD_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
INFO_SIZE = 128  # bytes of struct signalfd_siginfo, which begins with the signal's number

_signalfd4 = Syscall("signalfd4", ctypes.c_int, ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t, ctypes.c_int)


def signalfd(signals: Iterable[int]) -> int:
    """Return a non-blocking fd at which the blocked *signals* can be read; see signalfd(2)."""
    mask = ctypes.c_uint64(sum(1 << (number - 1) for number in signals))
    return _signalfd4(-1, ctypes.byref(mask), ctypes.sizeof(mask), SFD_NONBLOCK | SFD_CLOEXEC)


def read(fd: int) -> list[int]:
    """Return the numbers of the signals that have come, in order; none if there are none; see signalfd(2)."""
    try:
        data = os.read(fd, INFO_SIZE * 64)
    except BlockingIOError:
        return []
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), INFO_SIZE)]
