"""Do several tasks at once, each in a child process: unpacking a layer needs a processor of its own; see fork(2).

A child tells its parent about its progress by lines of JSON in a pipe. The first error ends all children, and is raised
in the parent. If the parent is killed, so are its children.
"""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, Any

from tinybox import errors
from tinybox.errors import HostError, TinyboxError
from tinybox.linux import process, quick_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    Tell = Callable[[Any], None]
    Task = Callable[[Tell], None]

MOST = 3  # at once, as many as docker's max-concurrent-downloads
_ERROR = "error"


def run(
    tasks: Sequence[Task],
    told: Callable[[Any], None],
    *,
    name: bytes = b"tinybox:layer",
    may_begin: Callable[[int], bool] = lambda _: True,
) -> None:
    """Carry out *tasks*, at most MOST at a time, in their order; *told* gets every message of a child; see fork(2).

    A task is called with a function that sends a message, any value of JSON. The error of the first task that fails is
    raised here, when all children have ended. *name* is that of the children in ps(1). *may_begin* is asked with a
    task's number: a task may need what others have told. It must be true for one task whenever no child runs.
    """
    waiting = list(enumerate(tasks))
    children: dict[int, _Child] = {}
    try:
        while waiting or children:
            while len(children) < MOST and (ready := next((one for one in waiting if may_begin(one[0])), None)):
                waiting.remove(ready)
                child = _Child(ready[1], name, [each.fd for each in children.values()])
                children[child.fd] = child
            for fd in select.select(list(children), [], [])[0]:
                for message in children[fd].messages():
                    told(message)
                if children[fd].has_ended:
                    children.pop(fd).wait()
    finally:
        for child in children.values():
            child.kill()


class _Child:
    """A child process that does one *task*, and the pipe *fd* from which its messages are read."""

    def __init__(self, task: Task, name: bytes, others: Sequence[int]) -> None:
        self.fd, write = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _be_child(task, name, write, parent, [*others, self.fd])
        os.close(write)
        self.has_ended = False
        self._rest = b""
        self._error: TinyboxError | None = None

    def messages(self) -> list[Any]:
        """Return the messages that have come; afterwards `has_ended` may be true."""
        piece = os.read(self.fd, 1 << 16)
        self.has_ended = not piece
        *lines, self._rest = (self._rest + piece).split(b"\n")
        found = [quick_json.loads(line.decode()) for line in lines]
        for message in found:
            if isinstance(message, dict) and _ERROR in message:
                kind, thing, cause, cure = message[_ERROR]
                self._error = getattr(errors, kind, TinyboxError)(thing, cause, cure)
        return [message for message in found if not (isinstance(message, dict) and _ERROR in message)]

    def wait(self) -> None:
        """Wait for the child's end; raise its error."""
        os.close(self.fd)
        _, status = os.waitpid(self.pid, 0)
        if self._error is not None:
            raise self._error
        if status != 0:
            cause = f"ended with status {os.waitstatus_to_exitcode(status)}"
            raise HostError("a process of this command", cause, "is there enough memory?")

    def kill(self) -> None:
        """End the child and wait for it."""
        os.kill(self.pid, signal.SIGKILL)  # its pid cannot be used again before waitpid(2)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def _be_child(task: Task, name: bytes, fd: int, parent: int, not_mine: Sequence[int]) -> NoReturn:
    """Do *task* and end; its messages and its error go to the pipe *fd*."""
    status = 1
    try:
        process.set_parent_death_signal(signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process after Ctrl-C
        process.set_name(name)
        for other in not_mine:
            os.close(other)
        if os.getppid() == parent:  # else it was killed before the death signal was set
            task(lambda message: _send(fd, message))
            status = 0
    except BaseException as error:  # noqa: BLE001  every kind of error must be reported to the parent
        _send(fd, {_ERROR: _parts(error)})
        status = 0
    finally:
        os._exit(status)


def _send(fd: int, message: Any) -> None:
    data = quick_json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(fd, data) :]


def _parts(error: BaseException) -> list[str]:
    """Return the class and the three parts of *error*, to be raised again in the parent."""
    if isinstance(error, TinyboxError):
        return [type(error).__name__, error.thing, error.cause, error.cure]
    if isinstance(error, OSError):
        thing = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "file"
        return ["HostError", thing, error.strerror or str(error), ""]
    return ["TinyboxError", "", f"{type(error).__name__}: {error}"[:300], "this is a fault of tinybox"]
