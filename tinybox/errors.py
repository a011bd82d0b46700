"""Every error that tinybox raises on purpose, and the exit status that each one means.

    TinyboxError               125  tinybox could not do what was asked
    ├── UsageError             125  the words were wrong: an option, a size, a name
    ├── HostError              125  this host lacks something: root, a controller, a system call
    ├── ImageError             125  an image or an archive is missing, damaged or unsafe
    ├── UnfitFileError         125  a box's or an image's file cannot be read safely
    ├── StateError             125  a container is not in the state that the command needs
    ├── StepError              125  a step of the plan failed; what had been made was undone
    ├── NotExecutableError     126  the program is there, and execve(2) refuses it
    └── NotFoundError          127  there is no such program in the container
    SyscallError (an OSError)       what the kernel answered, before anyone gave it a meaning

The exit statuses are those of docker-run(1). A traceback that reaches a user is a bug in tinybox.
"""

from __future__ import annotations

import errno as _errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self


class TinyboxError(Exception):
    """Say in one line which *thing* failed, from which *cause*, and what would be the *cure*."""

    status = 125

    def __init__(self, thing: str, cause: str, cure: str = "") -> None:
        super().__init__(thing, cause, cure)
        self.thing, self.cause, self.cure = thing, cause, cure

    def __str__(self) -> str:
        line = f"{self.thing}: {self.cause}" if self.thing else self.cause
        return f"{line} ({self.cure})" if self.cure else line


class UsageError(TinyboxError):
    """The words of the command were wrong."""


class HostError(TinyboxError):
    """This host does not offer what was asked for."""


class ImageError(TinyboxError):
    """An image, a layer or an archive is missing, damaged or unsafe."""


class UnfitFileError(TinyboxError):
    """A file of a box or an image cannot be read safely: no regular file, too large, or under a lease."""


class StateError(TinyboxError):
    """A container is not in the state that the command needs, or there is no such container."""


class StepError(TinyboxError):
    """A step of the plan failed, in the parent or in the child; see container/process/plan.py."""


class NotExecutableError(TinyboxError):
    """The program exists and execve(2) refused it."""

    status = 126


class NotFoundError(TinyboxError):
    """There is no such program in the container."""

    status = 127


class Reported:
    """``with Reported(thing):`` an error inside is one line on stderr that names *thing*, once; what follows is done.

    For what is done to many things in turn, such as the sweep of what killed commands left: one bad thing, shaped by a
    stranger, does not stop the rest. *failed* tells whether there was an error.
    """

    _said: set[str] = set()  # noqa: RUF012  of the whole process: a command may sweep more than once

    def __init__(self, thing: str) -> None:
        self._thing, self.failed = thing, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self.failed = True
        words = f"tinybox: {self._thing}: {_in_a_line(error)}"
        line = "".join(letter if letter.isprintable() else "?" for letter in words)  # a stranger has named the files
        if line not in self._said:
            self._said.add(line)
            sys.stderr.write(f"{line}\n")
        return True


def _in_a_line(error: Exception) -> str:
    if isinstance(error, TinyboxError):
        return str(error)
    if isinstance(error, OSError):
        name = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return name + (error.strerror or str(error))
    return " ".join(f"{type(error).__name__}: {error}".split())


class SyscallError(OSError):
    """The kernel's answer to one system call: errno(3), the call's name and its arguments.

    It is also what Python makes of that errno elsewhere: one with ENOENT is a FileNotFoundError, too.
    """

    def __new__(cls, number: int, call: str, arguments: Sequence[object] = ()) -> SyscallError:  # noqa: ARG004, PYI034
        """Choose the class by the errno, as OSError itself does."""
        kind = type(OSError(number, ""))
        if cls is SyscallError and kind is not OSError:
            cls = _mixed.get(kind) or _mixed.setdefault(kind, type("SyscallError", (SyscallError, kind), {}))  # noqa: PLW0642
        return super().__new__(cls, number, os.strerror(number))

    def __init__(self, number: int, call: str, arguments: Sequence[object] = ()) -> None:
        super().__init__(number, os.strerror(number))
        self.call, self.arguments = call, tuple(arguments)

    def __str__(self) -> str:
        return f"{self.call}: {os.strerror(self.errno or 0)} [{_errno.errorcode.get(self.errno or 0, '?')}]"


_mixed: dict[type[OSError], type[SyscallError]] = {}
