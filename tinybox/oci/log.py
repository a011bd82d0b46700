"""--log: write errors and warnings for the engine, as lines of JSON or of ``key=value``, in runc's format.

If the exit status is an error, the engine reads the last line and shows it to its user.
"""

from __future__ import annotations

import os
import time

from tinybox.errors import UsageError, printable
from tinybox.linux import quick_json as json

FORMATS = ("text", "json")


class Log:
    """Writes lines to the file of --log, or to stderr without one."""

    def __init__(self, path: str, form: str = "text", *, debug: bool = False) -> None:
        self.path, self.format = path, form
        if self.format not in FORMATS:
            raise UsageError(f"--log-format {self.format}", "is no format", ", ".join(FORMATS))
        self.fd = self._open() if self.path else 2
        if debug:
            import fcntl

            from tinybox import explain

            if not self.path:  # the container's first process writes here, too, when its own stderr is a terminal
                self.fd = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 3)
            explain.listeners.append(self._debug)
            explain.kept.append(self.fd)

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(f"--log {self.path}", (error.strerror or "").lower()) from error

    def _debug(self, name: str, arguments: tuple[object, ...], result: object, begun: int) -> None:  # noqa: ARG002
        self.write("debug", f"{name}{arguments} = {result!r}"[:500])

    def write_error(self, message: str) -> bool:
        """Write an error to the log; return whether that has printed it on stderr already."""
        if self.path or self.format == "json":
            self.write("error", message)
        return self.format == "json" and not self.path

    def write_warning(self, message: str) -> None:
        """Write a warning to the log, and to stderr, which is the caller's here, not the container program's."""
        self.write("warning", message)
        if self.path:
            os.write(2, f"{printable(f'warning: {message}')}\n".encode())

    def write(self, level: str, message: str) -> None:
        """Append one line with one write(2), because other processes may write to the log, too."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self.format == "json":
            line = json.dumps({"level": level, "msg": message, "time": now})
        else:
            line = f'time="{now}" level={level} msg={json.dumps(message)}'
        os.write(self.fd, f"{line}\n".encode(errors="surrogateescape"))
