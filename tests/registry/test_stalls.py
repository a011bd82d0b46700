"""A registry that stalls, trickles or never ends, at each phase of each request: the command ends, in a bounded time.

The limits are seconds here, and minutes in earnest: the commands run with smaller constants, as `Impatient` sets them.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.image_archives import archive, regular
from tests.support.registries import OCI, PythonRegistry, digest_of, registry_in_python, reply
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler

    from tests.conftest import Command

pytestmark = pytest.mark.root

IMPATIENT = """
import sys
from tinybox.images.registry import blob_stream, transport
transport.READ = transport.CONNECT = 0.6
transport.ANSWER = transport.FINISH = 1.5
transport.TRIES = blob_stream.TRIES = 3
transport.PAUSE = blob_stream.PAUSE = 0.05
blob_stream.SLOW_TIME = 1.0
from tinybox.cli import main
sys.argv[0] = "tinybox"
sys.exit(main())
"""
BOUND = 25 * SLOWNESS  # seconds: three tries with three time limits each, on a slow machine


def impatient(command: Command, *words: str) -> subprocess.CompletedProcess[str]:
    """Run tinybox with small limits of time; it must end."""
    return subprocess.run(
        [sys.executable, "-c", IMPATIENT, *words],
        env=command.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND,
        stdin=subprocess.DEVNULL,
    )


def refuses(command: Command, *words: str) -> str:
    """Run a command that must fail in one line, and leave nothing in the store; return the line."""
    done = impatient(command, *words)
    assert done.returncode not in {0, -9}, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("tinybox: "), done.stderr
    for folder in ("layers", "images", "names", "blobs", "manifests", "tmp"):
        assert not os.path.isdir(f"{command.root}/{folder}") or not os.listdir(f"{command.root}/{folder}"), folder
    return done.stderr


def nothing(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    """Answer nothing."""


def half_a_line(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    """Send a part of the status line."""
    handler.wfile.write(b"HTTP/1.1 2")


def half_the_headers(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    """Send headers without their end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-")


def no_body(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """Announce a body, and send none."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))


def half_the_body(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """Send half of the body."""
    no_body(handler, body)
    handler.wfile.write(body[: len(body) // 2])


def drops(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """Send the body so slowly that no timeout of a socket ends it."""
    no_body(handler, body)
    _drip(handler, body)


def drops_of_headers(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    """Send the headers so slowly that no timeout of a socket ends them."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    _drip(handler, b"X-Header: a long one\r\n" * 50)


def _drip(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    for number in range(len(content)):
        handler.wfile.write(content[number : number + 1])
        handler.wfile.flush()
        time.sleep(0.2)


PHASES = [nothing, half_a_line, half_the_headers, no_body, half_the_body, drops, drops_of_headers]


@contextlib.contextmanager
def stalling(part: str, phase: Callable[[BaseHTTPRequestHandler, bytes], None]) -> Iterator[PythonRegistry]:
    """Yield a registry whose answers to requests with *part* in their path stall in a *phase*, and then hang."""
    over = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if part not in handler.path:
            return False
        key = handler.path.rpartition("/")[2]
        body = registry.blobs.get(key) or registry.manifests.get(f"box:{key}", (b'{"tags": ["latest"]}', ""))[0]
        with contextlib.suppress(OSError):
            phase(handler, body)
            handler.wfile.flush()
            over.wait(BOUND)
        handler.close_connection = True
        return True

    with registry_in_python(answer) as registry:
        try:
            yield registry
        finally:
            over.set()


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
@pytest.mark.parametrize("part", ["/manifests/", "config", "layer"])
def test_a_pull_that_stalls(empty_store: Command, part: str, phase: Callable[..., None]) -> None:
    """At each phase of the manifest, of the config and of a layer: one line, nothing is left."""
    with stalling("/manifests/latest" if part == "/manifests/" else "/blobs/", phase) as registry:
        if part == "layer":  # the config is a blob, too, and is not to stall
            document = json.loads(registry.manifests["box:latest"][0])
            honest = registry.answer
            registry.answer = lambda handler: document["config"]["digest"] not in handler.path and honest(handler)
        line = refuses(empty_store, "pull", "-q", f"{registry.host}/box")
        assert "Traceback" not in line


@pytest.mark.parametrize("phase", [nothing, drops], ids=lambda phase: phase.__name__)
def test_a_list_of_tags_that_stalls(empty_store: Command, phase: Callable[..., None]) -> None:
    """`pull -a` does not wait for ever for the list."""
    with stalling("/tags/list", phase) as registry:
        refuses(empty_store, "pull", "-q", "-a", f"{registry.host}/box")


@pytest.mark.parametrize("phase", [nothing, half_the_body, drops], ids=lambda phase: phase.__name__)
def test_a_token_server_that_stalls(empty_store: Command, phase: Callable[..., None]) -> None:
    """A token server that stalls does not hold the pull for ever."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        reply(handler, 401, headers={"WWW-Authenticate": f'Bearer realm="http://{server.host}/token"'})
        return True

    with stalling("/token", phase) as server, registry_in_python(answer) as registry:
        refuses(empty_store, "pull", "-q", f"{registry.host}/box")


def test_a_host_that_never_accepts(empty_store: Command) -> None:
    """A port whose queue of connections is full is given up."""
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(8):
            each = stack.enter_context(socket.socket())
            each.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                each.connect(full.getsockname())
        assert "cannot be reached" in refuses(empty_store, "pull", "-q", f"127.0.0.1:{full.getsockname()[1]}/box")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 401 No\r\n\r\n", b"HTTP/1.1 500 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -9\r\n\r\n",
        b"HTTP/1.1 307 Go\r\nLocation: http://[\r\n\r\n", b"HTTP/1.1 307 Go\r\nLocation: \xff\x80\r\n\r\n",
        b"HTTP/1.1 429 No\r\nRetry-After: " + b"9" * 5000 + b"\r\n\r\n", b"ICY 200 OK\r\n\r\n", b"\x16\x03\x01",
        b"HTTP/1.1 999 \r\n\r\n",
        b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="http://[::1"\r\nContent-Length: 0\r\n\r\n',
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    ],
)  # fmt: skip
def test_an_answer_without_an_end(empty_store: Command, head: bytes) -> None:
    """Headers that are no headers, or an answer that never ends: one line, and not all of it is read."""
    sent = 0

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        nonlocal sent
        with contextlib.suppress(OSError):
            handler.wfile.write(head)
            for _ in range(3000):
                handler.wfile.write(b"y" * 65536)
                sent += 65536
        handler.close_connection = True
        return True

    with registry_in_python(answer) as registry:
        line = refuses(empty_store, "pull", "-q", f"{registry.host}/box")
        assert len(line) < 1000
        assert sent < 120 << 20


def test_a_layer_without_an_end(empty_store: Command) -> None:
    """A layer that never ends is cut at the size in the manifest, and refused."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if "/blobs/" not in handler.path or not (content := registry.blobs[handler.path.rpartition("/")[2]]).startswith(
            b"\x1f"
        ):
            return False
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + content)
        with contextlib.suppress(OSError):
            for _ in range(3000):
                handler.wfile.write(b"y" * 65536)
        handler.close_connection = True
        return True

    with registry_in_python(answer) as registry:
        assert "is longer than" in refuses(empty_store, "pull", "-q", f"{registry.host}/box")


def test_layers_that_cannot_fit(empty_store: Command, registry: PythonRegistry) -> None:
    """A manifest whose layers are larger than the disk is refused before a byte of them is fetched."""
    layer = {"mediaType": f"{OCI}.layer.v1.tar+gzip", "digest": digest_of(b"x"), "size": 1 << 50}
    registry.image("box:latest", layers=[layer])
    assert "would not fit" in refuses(empty_store, "pull", "-q", f"{registry.host}/box")
    assert not registry.paths(digest_of(b"x"))


def test_a_byte_for_each_connection(empty_store: Command) -> None:
    """A registry that sends one byte and closes, again and again, is given up: each try brings a byte."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        content = registry.blobs.get(handler.path.rpartition("/")[2], b"")
        if not content.startswith(b"\x1f"):
            return False
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        headers = f"Content-Range: bytes {start}-{len(content) - 1}/{len(content)}\r\n" if start else ""
        head = f"HTTP/1.1 {206 if start else 200} OK\r\n{headers}Content-Length: {len(content) - start}\r\n\r\n"
        handler.wfile.write(head.encode() + content[start : start + 1])
        handler.close_connection = True
        return True

    with registry_in_python(answer) as registry:
        assert "3 times near byte 3" in refuses(empty_store, "pull", "-q", f"{registry.host}/box")
        assert 3 <= len([request for request in registry.requests if "Range" in request.headers]) + 1 < 8


def test_one_bad_layer_of_two(empty_store: Command) -> None:
    """If the second layer is refused when the first one is complete, the first one is not left, either."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        is_bad = handler.path.endswith(layers[1]["digest"])
        if is_bad:
            deadline = time.monotonic() + 10 * SLOWNESS
            while not os.listdir(f"{empty_store.root}/layers"):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            complete.append(True)
            reply(handler, 200, bytes(layers[1]["size"]))
        return is_bad

    complete: list[bool] = []
    with registry_in_python(answer) as registry:
        contents = [archive([regular("one", b"1")]), archive([regular("two", b"2" * 5000)])]
        layers = registry.image("box:latest", contents)["layers"]
        refuses(empty_store, "pull", "-q", f"{registry.host}/box")
        assert complete
