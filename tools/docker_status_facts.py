"""Write tests/data/docker_statuses.json: the exit status of an installed docker client for lines that are wrong.

    python -m tools.docker_status_facts SOCKET > tests/data/docker_statuses.json

For LINES the client talks to a daemon of this file, which has no container, image, volume and network: it answers every
question with 404, "no such thing". So the status is the client's own decision. VALUES are options of `create` and `run`
of which the client refuses some, and the daemon others. For them it talks to a real daemon, that of SOCKET, which has
an image busybox and nothing else: tests/support/docker_engines.py starts one. Only facts are kept: line and status.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import socketserver
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from tools.docker_status_lines import LINES, ONE_VERB, VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable


class Empty(BaseHTTPRequestHandler):
    """A daemon of the API 1.50 that has nothing."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        place = re.sub(r"^/v1\.\d+", "", self.path).partition("?")[0]
        known: dict[str, dict[str, Any]] = {"/_ping": {}, "/info": {"OSType": "linux"}}
        body = json.dumps(known.get(place, {"message": f"no such thing: {place}"})).encode()
        self.send_response(200 if place in known else 404)
        headers = {"Api-Version": "1.50", "Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  the names that the base class calls

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class Daemon(socketserver.ThreadingUnixStreamServer):
    """A server on a socket of the file system; the base class of the handler wants a client's address."""

    daemon_threads = True

    def get_request(self) -> tuple[Any, Any]:
        """Return a connection, with an address."""
        return super().get_request()[0], ("client", 0)


def statuses(socket: str, folder: str, lines: Iterable[str]) -> str:
    """Return the status of the client for each line, as JSON; it talks to the daemon of *socket*."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder, "DOCKER_BUILDKIT": "0"}
    found = []
    for line in lines:
        words = ["docker", "-H", f"unix://{socket}", *shlex.split(line)]
        done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, check=False, env=environment)
        found.append(f"  {json.dumps(line)}: {done.returncode}")
    return "{\n" + ",\n".join(found) + "\n }"


def main() -> None:
    """Print the facts as JSON, a line of the command line each; the argument is the socket of a real daemon."""
    version = subprocess.run(["docker", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    values = [f"{verb} {text} busybox true" for text in VALUES.splitlines() if text for verb in ("create", "run")]
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        Daemon(f"{folder}/socket", Empty) as daemon,
    ):
        threading.Thread(target=daemon.serve_forever, daemon=True).start()
        lines = statuses(f"{folder}/socket", folder, filter(None, LINES.splitlines()))
        daemon.shutdown()
        refused = statuses(sys.argv[1], folder, [*values, *filter(None, ONE_VERB.splitlines())])
    print(f'{{\n "version": {json.dumps(version.rstrip(","))},\n "lines": {lines},\n "values": {refused}\n}}')


if __name__ == "__main__":
    main()
