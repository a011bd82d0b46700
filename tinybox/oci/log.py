"""What an OCI runtime writes into the log of its engine: lines of JSON or of ``key=value``, in runc's words.

An engine that finds our exit status to be an error reads the last one, and tells its user.
"""

from __future__ import annotations

import os
import time

from tinybox import explain
from tinybox.errors import UsageError
from tinybox.linux import quick_json as json

FORMATS = ("text", "json")


class Log:
    """Where the lines go: a file, or stderr where none was named."""

    def __init__(self, path: str, form: str = "text", *, debug: bool = False) -> None:
        self.path, self.format = path, form
        if self.format not in FORMATS:
            raise UsageError(f"--log-format {self.format}", "is no format", ", ".join(FORMATS))
        self.fd = self._open() if self.path else 2
        if debug:
            explain.listeners.append(self._debug)
            explain.kept.append(self.fd)

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(f"--log {self.path}", (error.strerror or "").lower()) from error

    def _debug(self, name: str, arguments: tuple[object, ...], result: object, begun: int) -> None:  # noqa: ARG002
        self.write("debug", f"{name}{arguments} = {result!r}"[:500])

    def tell_error(self, message: str) -> bool:
        """Write an error down; tell whether it went to stderr already."""
        if self.path or self.format == "json":
            self.write("error", message)
        return self.format == "json" and not self.path

    def tell_warning(self, message: str) -> None:
        """Write a warning down, and tell who called us, too: whose program's stderr it is not."""
        self.write("warning", message)
        if self.path:
            os.write(2, f"warning: {message}\n".encode(errors="surrogateescape"))

    def write(self, level: str, message: str) -> None:
        """Append one line, in one write, for others may write, too."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self.format == "json":
            line = json.dumps({"level": level, "msg": message, "time": now})
        else:
            line = f'time="{now}" level={level} msg={json.dumps(message)}'
        os.write(self.fd, f"{line}\n".encode(errors="surrogateescape"))
