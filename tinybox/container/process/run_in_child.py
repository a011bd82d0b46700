"""Run in child: a child process enters a container's namespaces, does one task there, and reports its error or success.

A process must enter namespaces to read a container's files, and it cannot leave a user namespace again. So a child
enters them, and returns bytes through pipes.
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
    """A child process that closes the files *not_mine* and calls *act*; the end of the ``with`` block waits for it.

    If the child failed, its error is raised there, and replaces an error of the block, which is usually only the broken
    pipe.
    """

    def __init__(self, act: Callable[[], object], not_mine: Sequence[BinaryIO] = ()) -> None:
        self._sync = SyncPipes()
        self._pid = os.fork()
        if self._pid == 0:
            self._go(act, not_mine)
        self._sync.keep_parent_side()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if error is not None and not isinstance(error, Exception):
            os.kill(self._pid, signal.SIGKILL)  # after Ctrl-C; its pid cannot be reused before waitpid(2)
        try:
            self._sync.receive()
        finally:
            self._sync.close()
            _, status = os.waitpid(self._pid, 0)
        if error is None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == _PIPE_BROKE:
            raise BrokenPipeError
        if error is None and status != 0:
            raise TinyboxError("the process that accesses the container's files", "was killed")

    def _go(self, act: Callable[[], object], not_mine: Sequence[BinaryIO]) -> NoReturn:
        """Run *act* in the child; see fork(2). A broken pipe is not reported: the parent has stopped reading."""
        status = 1
        try:
            process.set_parent_death_signal(signal.SIGKILL)
            process.set_name(b"tinybox:in-box")
            for file in not_mine:
                os.close(file.fileno())
            act()
            status = 0
        except BrokenPipeError:
            status = _PIPE_BROKE
        except KeyboardInterrupt:
            pass
        except BaseException as error:  # noqa: BLE001  every kind of error must be reported to the parent
            self._sync.send_error(_as_tinybox_error(error))
        finally:
            os._exit(status)


def _as_tinybox_error(error: BaseException) -> BaseException:
    if not isinstance(error, OSError) or isinstance(error, TinyboxError):
        return error
    thing = os.fsdecode(error.filename) if error.filename else ""
    call = error.call if isinstance(error, SyscallError) else ""
    return TinyboxError(thing or call or "the container's files", error.strerror or str(error))
