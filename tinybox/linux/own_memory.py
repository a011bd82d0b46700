"""What a process keeps in memory of how it was started: its command line and its environment.

The kernel writes both at the top of the stack at execve(2), and shows them to others in /proc; Python has copies. A
child by clone3(2) has all of its parent's memory, so they would be in every container.
"""

from __future__ import annotations

import ctypes
import posix

from tinybox.linux import process

_BYTES_HEADER = bytes.__basicsize__ - 1  # where the characters of a bytes object begin, behind its address


def erase_environment() -> None:
    """Overwrite Python's copies of the environment variables, which may be secrets; see environ(7).

    The kernel's copy goes with the command line: see `take_name`.
    """
    for value in posix.environ.values():
        if len(value) > 1:  # Python shares the objects of one byte
            ctypes.memset(id(value) + _BYTES_HEADER, 0, len(value))
    posix.environ.clear()


def set_title(name: bytes, area: tuple[int, int, int]) -> None:
    """Show *name* in ps(1) in place of the command line, and overwrite that and the environment behind it.

    *area* is where the kernel keeps the arguments and, behind them, the environment: arg_start, arg_end and env_end of
    proc_pid_stat(5). Where the last byte of the arguments is not zero, the kernel takes the whole for one title that
    ends at the first zero (Linux 5.3).
    """
    process.set_name(name)
    start, end, environment_end = area
    if end - start > len(name) + 1:
        ctypes.memset(start, 0, environment_end - start)
        ctypes.memmove(start, name, len(name))
        ctypes.memset(end - 1, 1, 1)
