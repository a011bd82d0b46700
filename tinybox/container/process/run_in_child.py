"""An errand: a child process goes where we must not go ourselves, does one thing there, and tells how it went.

To see a container's files one has to enter namespaces, and who has entered a user namespace cannot come back. So a
child goes, and only bytes return, through pipes.
"""

from __future__ import annotations

import os
import signal

from tinybox.container.process.sync_pipe import SyncPipes
from tinybox.errors import SyscallError, TinyboxError
from tinybox.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO, NoReturn, Self

_PIPE_BROKE = 128 + signal.SIGPIPE


class RunInChild:
    """A child that does *act*, after closing the files *not_mine*; leaving the ``with`` waits for it.

    If it failed, its error is raised then, and wins over one of ours: that is usually only the pipe that broke.
    """

    def __init__(self, act: Callable[[], object], not_mine: Sequence[BinaryIO] = ()) -> None:
        self._handshake = SyncPipes()
        self._pid = os.fork()
        if self._pid == 0:
            self._go(act, not_mine)
        self._handshake.keep_parent_side()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if error is not None and not isinstance(error, Exception):
            os.kill(self._pid, signal.SIGKILL)  # Ctrl-C; it is our child and not waited for: the number is its own
        try:
            self._handshake.hear()
        finally:
            self._handshake.close()
            _, status = os.waitpid(self._pid, 0)
        if error is None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == _PIPE_BROKE:
            raise BrokenPipeError
        if error is None and status != 0:
            raise TinyboxError("the process that sees the container's files", "was killed")

    def _go(self, act: Callable[[], object], not_mine: Sequence[BinaryIO]) -> NoReturn:
        """Do it in the child; see fork(2). A reader who has gone away has his reasons: nothing is told."""
        status = 1
        try:
            process.set_parent_death_signal(signal.SIGKILL)
            process.set_name(b"tinybox:errand")
            for file in not_mine:
                os.close(file.fileno())
            act()
            status = 0
        except BrokenPipeError:
            status = _PIPE_BROKE
        except KeyboardInterrupt:
            pass
        except BaseException as error:  # noqa: BLE001  whatever it is, the parent must hear of it
            self._handshake.tell_error(_in_words(error))
        finally:
            os._exit(status)


def _in_words(error: BaseException) -> BaseException:
    if not isinstance(error, OSError) or isinstance(error, TinyboxError):
        return error
    thing = os.fsdecode(error.filename) if error.filename else ""
    call = error.call if isinstance(error, SyscallError) else ""
    return TinyboxError(thing or call or "the container's files", error.strerror or str(error))
