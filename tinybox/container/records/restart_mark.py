"""The mark of `restart`: a container of ``--rm`` that this command ends is kept, because it will be started again.

The mark is the file RUN/ID/restart. The command holds a shared flock(2) on it until the container is at rest. The owner
looks for the lock when it records the end. If the command is killed before that, the kernel has released the lock, and
the container is removed at its end as usual. If it is killed later, the container stays at rest until `start` or `rm`.
"""

from __future__ import annotations

import fcntl
import os

from tinybox.container.records import spec, state
from tinybox.errors import StateError
from tinybox.linux.filesystem.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths


class RestartMark:
    """A context manager: while it is entered, the owner of *container* keeps it at its end, in spite of ``--rm``.

    It does nothing for another container, or one at rest. StateError: the mark cannot be made, as on a full disk.
    """

    def __init__(self, paths: Paths, container: str) -> None:
        self._paths, self._id, self._fd = paths, container, -1

    def __enter__(self) -> None:
        if not state.read(self._paths, self._id)["annotations"].get(spec.REMOVE):
            return
        try:
            self._fd = os.open(path(self._paths, self._id), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # it has no run directory: it is at rest
            return
        except OSError as error:
            cause = f"cannot be marked for the restart: {error.strerror}"
            raise StateError(f"container {self._id[:12]}", cause, "tinybox stop would remove it (--rm)") from error
        lock_file(self._fd, fcntl.LOCK_SH)

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def path(paths: Paths, container: str) -> str:
    """Return the path of the mark of a container."""
    return os.path.join(paths.run_directory(container), state.RESTART)


def is_held(paths: Paths, container: str) -> bool:
    """Return whether a `restart` waits for the end of a container: it has a lock on the mark; see flock(2)."""
    try:
        fd = os.open(path(paths, container), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
