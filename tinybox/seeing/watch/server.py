"""The server of `tinybox watch --serve`: the page and its looks, for browsers of this machine only.

It listens on 127.0.0.1. The address contains a random word, because every user of this machine can connect. A request
whose header Host is another name is refused: otherwise a page of a stranger could give its own name the address
127.0.0.1, and read the answers (DNS rebinding). Only GET is answered; no request changes anything.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tinybox.errors import UsageError
from tinybox.seeing.watch import pages
from tinybox.seeing.watch.look import Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.seeing.watch.look import Box

ADDRESS = "127.0.0.1"
PATIENCE = 10  # seconds for a client that does not finish its request
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Looks:
    """The looks at some boxes, shared by all clients: a box is looked at again only when the pace allows it."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self._boxes, self._lock = boxes, threading.Lock()
        self._last: list[tuple[float, bytes]] = [(0.0, b"")] * len(boxes)

    @property
    def names(self) -> list[str]:
        """The names of the boxes."""
        return [box.name for box in self._boxes]

    def of(self, number: int) -> bytes:
        """Return the newest look at the box *number* as JSON, with the seconds until the next one."""
        with self._lock:
            due, text = self._last[number]
            if time.monotonic() >= due:
                text = self._look(number)
            return text

    def _look(self, number: int) -> bytes:
        box, pace = self._boxes[number], Pace(time.thread_time)
        found = json.dumps(pages.as_dict(box, box.look()))
        seconds = pace.next()
        text = f'{{"seconds": {seconds}, "view": {found}}}'.encode()
        self._last[number] = time.monotonic() + seconds * 0.95, text  # a client's timer may be a little early
        return text


class Server(ThreadingHTTPServer):
    """Serves *looks* on *port* of the loopback address, 0 for any free one; UsageError: the port is not free."""

    daemon_threads = True

    def __init__(self, looks: Looks, port: int) -> None:
        self.looks, self.token = looks, secrets.token_urlsafe(18)
        try:
            super().__init__((ADDRESS, port), _Request)
        except OSError as error:
            raise UsageError(f"--serve {port}", str(error.strerror), "--serve alone takes a free port") from error
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}

    @property
    def address(self) -> str:
        """The address for a browser."""
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"


class _Request(BaseHTTPRequestHandler):
    server: Server
    timeout = PATIENCE
    server_version, sys_version = "tinybox", ""

    def answer(self) -> None:
        """Answer the page, or a look at one box."""
        if self.headers.get_all("Host", []) not in [[host] for host in self.server.hosts]:
            self.send_error(HTTPStatus.FORBIDDEN, "another host name")
            return
        token, _, what = self.path.lstrip("/").partition("/")
        if not hmac.compare_digest(token.encode("latin-1", "replace"), self.server.token.encode()):
            self.send_error(HTTPStatus.NOT_FOUND)
        elif not what:
            self._send("text/html; charset=utf-8", pages.live(self.server.looks.names).encode())
        elif what.startswith("look/") and what[5:].isdecimal() and int(what[5:]) < len(self.server.looks.names):
            self._send("application/json", self.server.looks.of(int(what[5:])))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    do_GET = answer  # noqa: N815  the name by which http.server finds the method

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send an error; a method other than GET, which http.server does not find here, is 405."""
        is_method = code == HTTPStatus.NOT_IMPLEMENTED
        super().send_error(HTTPStatus.METHOD_NOT_ALLOWED if is_method else code, message, explain)

    def end_headers(self) -> None:
        """Add the headers that each answer has."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing: the terminal shows the address alone."""
