"""Every error that tinybox raises on purpose, and the exit status that each one means.

    TinyboxError               125  tinybox could not carry out the command
    ├── UsageError             125  an argument is wrong: an option, a size, a name
    │   ├── AttachError          1  the streams or keys of a terminal cannot be attached as asked
    │   │   └── NoTerminalError  1  -it without a terminal
    │   ├── UnfitValueError    125  an option's value can be read, but no container can have it
    │   └── OptionError        125  an option is unknown, or its value cannot be read
    │       └── TemplateError   64  a template of `inspect`, `info`, `version` or `events` cannot be read
    ├── HostError              125  this host lacks something: root, a controller, a system call
    ├── ImageError             125  an image or an archive is missing, damaged or unsafe
    │   └── NoSuchImageError   125  the store has no image of that name or id
    ├── UnfitFileError         125  a file of a container or an image cannot be read safely
    ├── StateError             125  a container is not in the state that the command needs
    │   ├── NoSuchError        125  there is no container, network or volume of that name or id
    │   ├── ConflictError      125  a name is taken, or a thing is in use
    │   └── DamagedError       125  a file that tinybox has written was damaged by something else
    ├── StepError              125  a step of the plan failed; the steps before it were undone
    ├── NotExecutableError     126  the program exists, but execve(2) refuses it
    └── NotFoundError          127  there is no such program in the container
    SyscallError (an OSError)       one system call failed; its caller may turn this into one of the errors above

The exit statuses are those of docker-run(1); other commands end with 1 after most of them: cli/statuses.py. A traceback
that reaches a user is a bug in tinybox.
"""

from __future__ import annotations

import errno as _errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Self


_LONGEST, _MOST_NAMES = 128, 1000  # characters of a name, and names, that are compared for an error's cure


class TinyboxError(Exception):
    """An expected error, printed as one line: which *thing* failed, from which *cause*, and the possible *cure*."""

    status = 125

    def __init__(self, thing: str, cause: str, cure: str = "") -> None:
        super().__init__(thing, cause, cure)
        self.thing, self.cause, self.cure = thing, cause, cure
        self.near: Callable[[], str] = lambda: ""  # the nearest name; looked for only when the error is printed

    def meant(self, word: str, names: Callable[[], Iterable[str]]) -> Self:
        """Return this error, whose line will ask if the one of *names* that is nearest to *word* was meant."""
        self.near = lambda: nearest(word, names)
        return self

    def __str__(self) -> str:
        line = f"{self.thing}: {self.cause}" if self.thing else self.cause
        name = self.near()
        cure = f"did you mean {name}? {self.cure}" if name else self.cure
        return printable(f"{line} ({cure})" if cure else line)


def printable(text: str) -> str:
    r"""Return *text* in one line, with each character that is not printed escaped: ``\x1b``, ``\n``, ``\u202e``.

    It may be the word of a stranger: of an image, an archive, a compose file, a process in a box. Its control
    characters would be commands to the terminal (ESC ] 0 sets its title), another line, or text from right to left.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def nearest(word: str, names: Callable[[], Iterable[str]]) -> str:
    """Return the one of *names* that is most like *word*, or "" if none is, or if they cannot be read.

    It looks at the first thousand names, so that an error takes milliseconds also in a large store.
    """
    from difflib import get_close_matches
    from itertools import islice

    try:
        found = get_close_matches(word[:_LONGEST], islice(names(), _MOST_NAMES), 1, 0.7)
    except (OSError, TinyboxError):
        return ""
    return found[0] if found else ""


class UsageError(TinyboxError):
    """An argument of the command, or a field of a config file, is wrong."""


class UnfitValueError(UsageError):
    """An option's value can be read, but the container cannot have it.

    In docker its daemon refuses such a value, and not its client, which reads the command line: `create` ends with 1
    then instead of 125.
    """

    def after(self, error: OSError) -> Self:
        """Return this error with docker's status for its cause: `run` ends with 127 if a file is missing on the host.

        Docker's client cannot tell such a file from the program of the container.
        """
        codes = {_errno.ENOENT: 127, _errno.EACCES: 126, _errno.EISDIR: 126}
        self.status = codes.get(error.errno or 0, self.status)
        return self


class OptionError(UsageError):
    """An option is unknown, or its value cannot be read; the status is 125 in every command, as in docker."""


class AttachError(UsageError):
    """The streams or the detach keys of a terminal cannot be attached as asked; the status is 1 in every command.

    It is 1 for `run`, too: docker's client ends with 125 only if the container cannot be created or started.
    """

    status = 1


class NoTerminalError(AttachError):
    """``-it`` without a terminal."""

    def __init__(self) -> None:
        super().__init__("--tty", "the input device is not a terminal", "leave -t out, or run it on a terminal")


class TemplateError(OptionError):
    """The template of a command about one document, such as `inspect`, cannot be read; of a list it is a UsageError."""

    status = 64


class HostError(TinyboxError):
    """This host lacks something that the command needs."""


class ImageError(TinyboxError):
    """An image, a layer or an archive is missing, damaged or unsafe."""


class NoSuchImageError(ImageError):
    """The store has no image of that name or id."""


class UnfitFileError(TinyboxError):
    """A file of a container or an image cannot be read safely: it is not regular, too large, or under a lease."""


class StateError(TinyboxError):
    """A container is not in the state that the command needs, or there is no such container."""


class NoSuchError(StateError):
    """There is no container, network or volume of that name or id; or another command has just removed it."""


class ConflictError(StateError):
    """A name is taken, or a thing cannot be removed because another one uses it."""


class DamagedError(StateError):
    """A file that tinybox has written has another content now: a thing is recorded, but cannot be read."""


class StepError(TinyboxError):
    """A step of the plan failed, in the parent or in the child; see container/process/plan.py."""


class NotExecutableError(TinyboxError):
    """The program exists, but execve(2) refused it."""

    status = 126


class NotFoundError(TinyboxError):
    """There is no such program in the container."""

    status = 127


class Reported:
    """``with Reported(thing):`` prints an error of the block as one line on stderr, and the program goes on after it.

    It is for an operation on many things in turn, such as the sweep of the files that killed commands left: one bad
    *thing*, perhaps made by an attacker, does not stop the others. The same line is printed once in a process. *failed*
    is true after an error.
    """

    def __init__(self, thing: str) -> None:
        self._thing, self.failed = thing, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self.failed = True
        report(f"{self._thing}: {_in_a_line(error)}")
        return True


_reported: set[str] = set()  # of the whole process: a command may sweep, or list containers, more than once


def report(error: object) -> None:
    """Print *error* as one line on stderr, once in a process: the command passes over its thing and goes on."""
    line = printable(f"tinybox: {error}")
    if line not in _reported:
        _reported.add(line)
        sys.stderr.write(f"{line}\n")


def _in_a_line(error: Exception) -> str:
    if isinstance(error, TinyboxError):
        return str(error)
    if isinstance(error, OSError):
        name = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return name + (error.strerror or str(error))
    return " ".join(f"{type(error).__name__}: {error}".split())


class SyscallError(OSError):
    """A failed system call: its errno(3), the name of the call and its arguments.

    It is also an instance of the class that Python has for that errno: with ENOENT it is a FileNotFoundError, too.
    """

    def __new__(cls, number: int, call: str, arguments: Sequence[object] = ()) -> SyscallError:  # noqa: ARG004, PYI034
        """Choose the class from the errno, as OSError itself does."""
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
