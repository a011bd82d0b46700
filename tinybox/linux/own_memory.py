"""Erase this process's environment and command line from its memory, and set its title in ps(1).

execve(2) puts both at the top of the stack, and /proc shows them to other processes; Python has copies of them. A child
made by clone3(2) gets a copy of its parent's memory, so without this every container would have them.
"""

from __future__ import annotations

import ctypes
import posix

from tinybox.linux import process

_BYTES_HEADER = bytes.__basicsize__ - 1  # the offset of the characters in a bytes object


def erase_environment(area: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Overwrite the environment variables, which may be secrets: on the stack, and Python's copies; see environ(7).

    *area* is as for `set_title`; by default, the stack is left as it is.
    """
    _, end, environment_end = area
    if environment_end > end:
        ctypes.memset(end, 0, environment_end - end)
    for value in posix.environ.values():
        if len(value) > 1:  # Python shares the objects of one byte
            ctypes.memset(id(value) + _BYTES_HEADER, 0, len(value))
    posix.environ.clear()


def set_title(name: bytes, area: tuple[int, int, int]) -> None:
    """Show *name* in ps(1) in place of the command line; overwrite the command line and the environment on the stack.

    *area* is the place of the arguments and of the environment behind them: arg_start, arg_end and env_end of
    proc_pid_stat(5). If the last byte of the arguments is not zero, the kernel reads the whole area as one title that
    ends at the first zero (Linux 5.3).
    """
    process.set_name(name)
    start, end, environment_end = area
    if end - start > len(name) + 1:
        ctypes.memset(start, 0, environment_end - start)
        ctypes.memmove(start, name, len(name))
        ctypes.memset(end - 1, 1, 1)
