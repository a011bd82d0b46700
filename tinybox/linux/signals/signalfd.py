"""signalfd(2): read blocked signals from a file descriptor instead of handling them in a signal handler.

A signal handler interrupts a program at any place. A descriptor can be one of many in a poll(2), and the program reads
the signals when it is ready for them.
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
    """Return a non-blocking, close-on-exec fd from which the blocked *signals* can be read; see signalfd(2)."""
    mask = ctypes.c_uint64(sum(1 << (number - 1) for number in signals))
    return _signalfd4(-1, ctypes.byref(mask), ctypes.sizeof(mask), SFD_NONBLOCK | SFD_CLOEXEC)


def read(fd: int) -> list[int]:
    """Return the numbers of the signals that have arrived, in order; an empty list if none has; see signalfd(2)."""
    try:
        data = os.read(fd, INFO_SIZE * 64)
    except BlockingIOError:
        return []
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), INFO_SIZE)]
