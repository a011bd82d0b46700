"""Many at once: thirty boxes with thirty addresses, and ten thousand requests to a real server, none of them lost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import new_name, patience, until
from tests.support.detached_boxes import life
from tests.support.network_boxes import bridged, everything, links, listens, machine, same_as
from tests.support.second_host import HOST
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from tests.conftest import Command
    from tests.support.second_host import Machine

__all__ = ["bridged", "machine"]
pytestmark = [pytest.mark.root, pytest.mark.slow]

BOXES, REQUESTS, THREADS = 30, 10_000, 4
PAGE = b"a page of a real server\n"


def test_thirty_boxes_at_once(bridged: Command) -> None:
    """Started together, all running at the same time: thirty addresses, thirty links in one bridge; then nothing."""
    before, word = everything(), new_name()
    tell = "ip -o -4 address show dev eth0 | tr -s ' ' | cut -d ' ' -f 4; read go"
    words = ("run", "--rm", "-i", "busybox", "sh", "-c", tell)
    boxes = [bridged.start(*words[:2], "--name", f"{word}-{n}", *words[2:], stdin=-1) for n in range(BOXES)]
    try:
        with patience(120 * SLOWNESS):
            told = [box.stdout.readline().strip() for box in boxes if box.stdout]
        assert len({address for address in told if address.startswith("172.")}) == BOXES, told
        assert sum(link.get("master") == "tinybox0" for link in links().values()) == BOXES
        ended = [box.communicate("go\n", timeout=120 * SLOWNESS) for box in boxes]
        assert ended == [("", "")] * BOXES
    finally:
        for box in boxes:
            box.kill()
            box.wait()
    same_as(before)


def python_of_the_host() -> list[str]:
    """Return the options that show a box this host's Python, with the libraries that it needs."""
    places = {os.path.realpath(sys.executable), sysconfig.get_path("stdlib"), "/lib", "/usr/lib"}
    places |= {place for place in ("/lib64",) if os.path.exists(place)}
    return [word for place in sorted(places) for word in ("-v", f"{place}:{place}:ro")]


def ask(count: int) -> int:
    """Fetch the page *count* times, a connection for each; return how often it came whole."""
    whole = 0
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", 8080), timeout=30 * SLOWNESS) as connection:
            connection.sendall(b"GET /page HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        whole += answer.endswith(b"\r\n\r\n" + PAGE)
    return whole


def test_a_real_server_loses_nothing(bridged: Command, machine: Machine, tmp_path: Path) -> None:
    """Python's http.server in a box, published: curl gets the page from the host and from another machine.

    Of ten thousand requests, a connection for each, every single one is answered.
    """
    (tmp_path / "page").write_bytes(PAGE)
    tmp_path.chmod(0o755)
    python = os.path.realpath(sys.executable)
    serve = [python, "-m", "http.server", "-d", "/site", "80"]
    options = ["-p", "8080:80", "-v", f"{tmp_path}:/site:ro", *python_of_the_host()]
    with life(bridged, *options, "busybox", "sh", "-c", f"exec {' '.join(serve)} 2>/dev/null") as box:
        until(lambda: listens(box), 60 * SLOWNESS)
        url = f"http://{HOST}:8080/page"
        ours = subprocess.run(["curl", "-sS", url], capture_output=True, check=False, timeout=60 * SLOWNESS)
        assert (ours.stdout, ours.stderr) == (PAGE, b"")
        assert machine.run("curl", "-sS", url).stdout.encode() == PAGE
        with ThreadPoolExecutor(THREADS) as pool:
            assert sum(pool.map(ask, [REQUESTS // THREADS] * THREADS)) == REQUESTS
