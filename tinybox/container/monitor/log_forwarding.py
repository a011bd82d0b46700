"""Log drivers syslog and journald: each line of a container's output also goes to a socket of another program.

The lines are in the container's log, too, with the limits of the driver ``local``: so `logs` reads them, as in docker.
See syslog(3), RFC 3164, and "Native Journal Protocol" of systemd. A line that cannot be sent is lost there, not here.
"""

from __future__ import annotations

import os
import re
import socket
import time

from tinybox.container.config.log_options import FACILITIES
from tinybox.container.records import spec
from tinybox.errors import StateError
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

JOURNAL = "/run/systemd/journal/socket"
DEV_LOG = "/dev/log"
_PRIORITY = {"stdout": 6, "stderr": 3}  # LOG_INFO and LOG_ERR: docker's choice
_PORT = 514
_TIMEOUT = 5.0  # seconds to wait for a connection by TCP


class Target:
    """The program that gets the lines of the container with these *annotations*; `connect` raises StateError."""

    def __init__(self, container: str, annotations: Mapping[str, str]) -> None:
        self.driver = annotations[spec.LOG_DRIVER]
        self.options: dict[str, str] = json.loads(annotations.get(spec.LOG_FORWARD) or "{}")
        self._words = {
            "ID": container[:12], "FullID": container, "Name": annotations.get(spec.NAME, ""),
            "ImageName": annotations.get(spec.IMAGE_NAME, ""), "DaemonName": "tinybox",
            "ImageID": annotations.get(spec.IMAGE, "")[:12], "ImageFullID": f"sha256:{annotations.get(spec.IMAGE, '')}",
        }  # fmt: skip
        self.tag = re.sub(r"\{\{ *\.(\w+) *\}\}", self._word, self.options.get("tag") or "{{.ID}}")
        self._socket: socket.socket | None = None
        self._is_stream = False

    def _word(self, match: re.Match[str]) -> str:
        return self._words.get(match[1], "")

    def connect(self) -> None:
        """Connect to the socket; StateError, as docker's start fails: no program listens there."""
        address = self.options.get("syslog-address") or f"unixgram://{DEV_LOG}"
        address = f"unixgram://{JOURNAL}" if self.driver == "journald" else address
        kind, _, place = address.partition("://")
        try:
            self._socket = _connected(kind, place)
        except OSError as error:
            cause = f"failed to initialize logging driver: {address}: {error.strerror or error}"
            raise StateError(f"--log-driver {self.driver}", cause, "start the program that listens there") from error
        self._is_stream = self._socket.type == socket.SOCK_STREAM

    def send(self, stream: str, line: bytes) -> str:
        """Send one *line* of *stream*, and return why that failed, or ""; this never waits."""
        if self._socket is None:
            return "not connected"
        line = line.rstrip(b"\n")
        message = self._entry(stream, line) if self.driver == "journald" else self._line(stream, line)
        try:
            self._socket.send(message + b"\n" * self._is_stream, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError as error:
            return f"{self.driver}: {error.strerror or error}"
        return ""

    def _line(self, stream: str, line: bytes) -> bytes:
        facility = FACILITIES.index(self.options.get("syslog-facility") or "daemon")
        number = facility << 3 | _PRIORITY[stream]
        if self.options.get("syslog-format", "").startswith("rfc5424"):
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            head = f"<{number}>1 {when} {os.uname().nodename} {self.tag} {os.getpid()} {self.tag} - "
        else:
            when, host = time.strftime("%b %e %H:%M:%S"), ""
            if self.options.get("syslog-format") == "rfc3164":
                host = f"{os.uname().nodename} "
            head = f"<{number}>{when} {host}{self.tag}[{os.getpid()}]: "
        return head.encode() + line

    def _entry(self, stream: str, line: bytes) -> bytes:
        fields = {
            "PRIORITY": str(_PRIORITY[stream]), "CONTAINER_ID": self._words["ID"], "SYSLOG_IDENTIFIER": self.tag,
            "CONTAINER_ID_FULL": self._words["FullID"], "CONTAINER_NAME": self._words["Name"],
            "CONTAINER_TAG": self.tag, "IMAGE_NAME": self._words["ImageName"],
        }  # fmt: skip
        shown = "".join(f"{key}={value}\n" for key, value in fields.items() if "\n" not in value)
        return shown.encode() + b"MESSAGE\n" + len(line).to_bytes(8, "little") + line + b"\n"

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _connected(kind: str, place: str) -> socket.socket:
    family, style = socket.AF_UNIX, socket.SOCK_STREAM if kind == "unix" else socket.SOCK_DGRAM
    address: str | tuple[str, int] = place
    if kind in ("udp", "tcp"):
        host, _, port = place.rpartition(":") if ":" in place else (place, "", "")
        address = (host, int(port or _PORT))
        if kind == "tcp":
            return socket.create_connection(address, _TIMEOUT)
        family = socket.AF_INET
    made = socket.socket(family, style)
    try:
        made.connect(address)
    except OSError:
        made.close()
        raise
    return made
