"""A registry that wants to be sent elsewhere, to be given a secret, or to fill the disk: tags, names, hosts, bombs."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.registry.test_pull_push import good
from tests.registry.test_stalls import impatient, refuses
from tests.support.registries import OCI, PythonRegistry, registry_in_python, reply

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from tests.conftest import Command

pytestmark = pytest.mark.root


def test_pages_of_tags_in_a_circle(empty_store: Command) -> None:
    """A list of tags whose last page links to its first, or to ever new ones, ends; control: two pages are read."""
    pages: list[str] = []
    kinds = ["circle"]

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if "/tags/list" not in handler.path:
            return False
        pages.append(handler.path)
        again = "/v2/box/tags/list?n=1000"
        second = "" if "last" in handler.path else f"{again}&last=latest"
        link = {"circle": again, "endless": f"{again}&last={len(pages)}", "pages": second}[kinds[-1]]
        tags = ["latest"] * 900 if kinds[-1] == "endless" else ["latest"]
        headers = {"Link": f'<{link}>; rel="next"'} if link else {}
        reply(handler, 200, json.dumps({"tags": tags}).encode(), headers)
        return True

    with registry_in_python(answer) as registry:
        for kind in ("circle", "endless"):
            kinds.append(kind)
            assert "has no end" in refuses(empty_store, "pull", "-q", "-a", f"{registry.host}/box")
            assert len(pages) < 20
            pages.clear()
        kinds.append("pages")
        assert impatient(empty_store, "pull", "-q", "-a", f"{registry.host}/box").returncode == 0
        assert len(pages) == 2


@pytest.mark.parametrize("tag", ["../../x", "a\r\nX: y", "", "\x1b]0;t\x07", "a/b", "x" * 200])
def test_a_tag_that_is_none(empty_store: Command, tag: str) -> None:
    """A tag with other characters becomes no part of a path, a request or a line of the terminal."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        is_list = "/tags/list" in handler.path
        if is_list:
            reply(handler, 200, json.dumps({"tags": ["latest", tag]}).encode())
        return is_list

    with registry_in_python(answer) as registry:
        line = refuses(empty_store, "pull", "-q", "-a", f"{registry.host}/box")
        assert "\x1b" not in line
        assert not registry.paths("/manifests/")


@pytest.mark.parametrize(
    "name", ["box\r\nX-Evil: y", "box:a\nb", "box@sha256:x", "../box", "box:" + "x" * 129, "b\x00x"]
)
def test_a_name_that_is_none(empty_store: Command, registry: PythonRegistry, name: str) -> None:
    """A name that would end a header or leave the API's path is refused without a request."""
    if "\0" not in name:
        refuses(empty_store, "pull", "-q", f"{registry.host}/{name}")
    assert not registry.requests


def login(command: Command, host: str) -> None:
    """Give the user credentials for *host*."""
    folder = Path(command.environment["DOCKER_CONFIG"])
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": "YW5uOnMzY3JldA=="}}}))


def test_another_host_that_asks_for_a_password(empty_store: Command) -> None:
    """The host that a blob is redirected to asks for a password: it gets none. Control: the registry gets it."""
    kinds: list[str] = []

    def thief(handler: BaseHTTPRequestHandler) -> bool:
        challenge = f'Bearer realm="http://{other.host}/token"' if kinds[-1] == "bearer" else 'Basic realm="x"'
        reply(handler, 401, headers={"WWW-Authenticate": challenge})
        return True

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if "Authorization" not in handler.headers:
            reply(handler, 401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        elif "/blobs/" in handler.path:
            reply(handler, 307, headers={"Location": f"http://{other.host}{handler.path}"})
        else:
            return False
        return True

    with registry_in_python(thief) as other, registry_in_python(answer) as registry:
        login(empty_store, registry.host)
        for kind in ("bearer", "basic"):
            kinds.append(kind)
            refuses(empty_store, "pull", "-q", f"{registry.host}/box")
            assert other.requests
            assert not any("Authorization" in request.headers for request in other.requests)
            assert not other.paths("/token")
        assert any("Authorization" in request.headers for request in registry.requests)


def test_a_token_request_is_not_redirected(empty_store: Command) -> None:
    """A token server that redirects a request with an identity token to another host: the token does not go there."""

    def tokens(handler: BaseHTTPRequestHandler) -> bool:
        reply(handler, 307, headers={"Location": f"http://{other.host}/token"})
        return True

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        reply(handler, 401, headers={"WWW-Authenticate": f'Bearer realm="http://{server.host}/token"'})
        return True

    with registry_in_python() as other, registry_in_python(tokens) as server, registry_in_python(answer) as registry:
        login(empty_store, registry.host)
        path = Path(empty_store.environment["DOCKER_CONFIG"], "config.json")
        path.write_text(json.dumps({"auths": {registry.host: {"identitytoken": "1dentity", "auth": "PHRva2VuPjo="}}}))
        assert "redirects what is sent" in refuses(empty_store, "pull", "-q", f"{registry.host}/box")
        assert not other.requests
        assert server.requests[0].method == "POST"


def test_an_upload_to_another_host(empty_store: Command, registry: PythonRegistry) -> None:
    """A registry may name another host for an upload: the password and the token do not go there."""

    def elsewhere(handler: BaseHTTPRequestHandler) -> bool:
        reply(handler, 401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return True

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if "Authorization" not in handler.headers:
            reply(handler, 401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        elif handler.command == "POST":
            reply(handler, 202, headers={"Location": f"http://{other.host}/upload?state=1"})
        else:
            reply(handler, 404)
        return True

    good(empty_store, "pull", "-q", f"{registry.host}/box")
    with registry_in_python(elsewhere) as other, registry_in_python(answer) as front:
        login(empty_store, front.host)
        name = f"{front.host}/box"
        good(empty_store, "tag", f"{registry.host}/box", name)
        done = impatient(empty_store, "push", "-q", name)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert other.paths("/upload")
        assert not any("Authorization" in request.headers for request in other.requests)
        assert any("Authorization" in request.headers for request in front.requests)


def bomb(size: int) -> bytes:
    """Return an archive with one file of *size* bytes that are not zero, packed to a thousandth."""
    member = tarfile.TarInfo("big")
    member.size = size
    head = member.tobuf(tarfile.GNU_FORMAT)
    return head + b"x" * size + bytes(10240)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_bomb_on_a_small_disk(empty_store: Command, registry: PythonRegistry, tmp_path: Path, packing: str) -> None:
    """Layers that unpack to more than the disk has: one line, and the disk is as free as before.

    Control: a layer that fits is pulled there afterwards.
    """
    content = bomb(48 << 20)
    packed = gzip.compress(content, mtime=0) if packing == "gzip" else zstd(content)
    document = registry.image("box:latest", archives=[content] * 1)
    layers = [registry.blob(packed, f"{OCI}.layer.v1.tar+{packing}")]
    registry.image("box:big", config=document["config"], layers=layers)
    registry.image("box:small")
    script = f"""mount -t tmpfs -o size=32m tmpfs {empty_store.root} && chmod 711 {empty_store.root}
tinybox pull -q {registry.host}/box:big; echo "status $?"; cd {empty_store.root} && ls tmp layers blobs
df --output=used -k {empty_store.root} | tail -1
tinybox pull -q {registry.host}/box:small"""
    environment = {**empty_store.environment, "PATH": f"{os.path.dirname(empty_store.path)}:{os.environ['PATH']}"}
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script], env=environment,
                          capture_output=True, text=True, check=False, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "status 1\n" in done.stdout, done
    assert (done.stderr.count("\n"), "fit" in done.stderr or "space" in done.stderr) == (1, True), done.stderr
    used = next(int(line) for line in done.stdout.splitlines() if line.strip().isdecimal())
    assert used < 200, done.stdout
    assert done.stdout.rstrip().endswith("/box:small")


def zstd(content: bytes) -> bytes:
    """Pack *content* by the program zstd."""
    return subprocess.run(["zstd", "-q", "-c"], input=content, capture_output=True, check=True).stdout


def test_many_layers_that_fill_the_disk_together(empty_store: Command, registry: PythonRegistry) -> None:
    """Each of three layers would fit alone, all together do not: the pull fails in one line, and nothing stays."""
    registry.image("box:latest", archives=[bomb(14 << 20) + bytes(512 * number) for number in range(3)])
    script = f"""mount -t tmpfs -o size=32m tmpfs {empty_store.root} && chmod 711 {empty_store.root}
tinybox pull -q {registry.host}/box; echo "status $?"; ls {empty_store.root}/tmp; tinybox images -q
ls {empty_store.root}/layers {empty_store.root}/blobs | grep -c '[0-9a-f]\\{{16\\}}'"""
    environment = {**empty_store.environment, "PATH": f"{os.path.dirname(empty_store.path)}:{os.environ['PATH']}"}
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script], env=environment,
                          capture_output=True, text=True, check=False, timeout=120)  # fmt: skip
    assert ("status 0" in done.stdout, done.stderr.count("\n")) == (False, 1), done
    assert done.stdout.split() == ["status", done.stdout.split()[1], "0"], done.stdout
