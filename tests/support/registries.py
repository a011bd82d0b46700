"""Registries on loopback for the tests: Debian's docker-registry, and one in Python that can be told to misbehave."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.image_archives import archive, regular
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

PROGRAM = "docker-registry"
OCI = "application/vnd.oci.image"


def free_port() -> int:
    """Return a port of loopback that no process uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class DockerRegistry:
    """Debian's docker-registry with its data in *folder*; *settings* are merged into its config.

    *enter* is the beginning of a command that enters other namespaces; see engine_directories.py.
    """

    def __init__(self, folder: Path, settings: dict[str, Any] | None = None, enter: Sequence[str] = ()) -> None:
        if not shutil.which(PROGRAM):
            pytest.skip(f"no {PROGRAM} here: apt-get install docker-registry")
        self.folder, self.port = folder, free_port()
        self.host = f"127.0.0.1:{self.port}"
        self._settings, self._enter = settings or {}, list(enter)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the program, and wait until it listens."""
        http = {"addr": self.host, "secret": "of the tests", **self._settings.get("http", {})}
        config = {
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}, "delete": {"enabled": True}},
            **self._settings,
            "http": http,
        }
        self.folder.mkdir(exist_ok=True)
        (self.folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        log = (self.folder / "log").open("ab")
        words = [*self._enter, PROGRAM, "serve", str(self.folder / "config.yml")]
        self._process = subprocess.Popen(words, stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + 20 * SLOWNESS
        while not self._listens():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        """End the program at once, in the middle of what it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _listens(self) -> bool:
        if self._enter:
            probe = [*self._enter, "bash", "-c", f"< /dev/tcp/127.0.0.1/{self.port}"]
            return subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode == 0
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


def digest_of(content: bytes) -> str:
    """Return the digest of *content*."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Blobs:
    """The content of a registry in Python: documents and blobs by their digests, manifests also by their tags."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}

    def blob(self, content: bytes, kind: str) -> dict[str, Any]:
        """Add a blob; return its descriptor."""
        self.blobs[digest_of(content)] = content
        return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}

    def image(self, name: str = "box:latest", archives: list[bytes] | None = None, **changes: Any) -> dict[str, Any]:
        """Add an image of *archives*, a layer each, under *name*; *changes* replace parts of its manifest."""
        archives = archives if archives is not None else [archive([regular("hello", b"hello")])]
        config = {
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/hello"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(content) for content in archives]},
        }  # fmt: skip
        packed = [self.blob(gzip.compress(content, mtime=0), f"{OCI}.layer.v1.tar+gzip") for content in archives]
        document = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": self.blob(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
            "layers": packed,
            **changes,
        }
        self.manifest(name, json.dumps(document).encode(), document["mediaType"])
        return document

    def manifest(self, name: str, content: bytes, kind: str) -> None:
        """Add a manifest under *name*, REPOSITORY:TAG, and under its digest."""
        repository = name.partition(":")[0]
        self.manifests[name] = self.manifests[f"{repository}:{digest_of(content)}"] = (content, kind)


class Request:
    """One request that came in: its method, its path and its headers; its body has been read."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.method, self.path = handler.command, handler.path
        self.headers = dict(handler.headers)


class PythonRegistry(Blobs):
    """A registry of this process; *answer* may answer a request in its own way, and returns whether it did.

    *requests* has every request. Only what `pull` needs is there.
    """

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], bool] = lambda _: False) -> None:
        super().__init__()
        self.answer = answer
        self.requests: list[Request] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20

            def do_GET(self) -> None:
                registry.requests.append(Request(self))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    if not registry.answer(self):
                        registry.serve(self)

            do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815  the names that http.server calls

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client may be killed
        self.port: int = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer as a registry should."""
        path = handler.path.partition("?")[0]
        if path == "/v2/":
            reply(handler, 200, b"{}")
        elif "/manifests/" in path:
            repository, _, key = path.removeprefix("/v2/").partition("/manifests/")
            content, kind = self.manifests.get(f"{repository}:{key}", (b"", ""))
            reply(handler, 200 if content else 404, content, {"Content-Type": kind})
        elif "/blobs/" in path:
            content = self.blobs.get(path.rpartition("/")[2], b"")
            start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
            headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
            reply(handler, (206 if start else 200) if content else 404, content[start:], headers)
        else:
            reply(handler, 404)

    def paths(self, part: str) -> list[str]:
        """Return the paths of the requests that contain *part*."""
        return [request.path for request in self.requests if part in request.path]


def reply(
    handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", headers: dict[str, str] | None = None
) -> None:
    """Send a whole answer."""
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


@contextlib.contextmanager
def registry_in_python(answer: Callable[[BaseHTTPRequestHandler], bool] = lambda _: False) -> Iterator[PythonRegistry]:
    """Run a `PythonRegistry` that has the image box:latest."""
    with PythonRegistry(answer) as registry:
        registry.image()
        yield registry
