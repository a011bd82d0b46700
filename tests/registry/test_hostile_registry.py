"""A registry that lies, breaks off, stalls or redirects: one line, nothing in the store, no secret given away."""

from __future__ import annotations

import gzip
import json
import os
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.image_archives import archive, regular, symlink
from tests.support.registries import OCI, PythonRegistry, digest_of, registry_in_python, reply

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root


def refuses(command: Command, name: str, *words: str) -> str:
    """Pull *name*, which must fail in one line on stderr with status 1, and leave nothing; return the line."""
    done = command("pull", "-q", name, *words, timeout=60)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("tinybox: "), done.stderr
    for folder in ("layers", "images", "names", "blobs", "manifests", "tmp"):
        assert not os.path.isdir(f"{command.root}/{folder}") or not os.listdir(f"{command.root}/{folder}"), folder
    return done.stderr


def pulls(command: Command, name: str, *words: str) -> None:
    """Pull *name*, which must succeed, and has the file `hello`."""
    done = command("pull", "-q", name, *words, timeout=60)
    assert done.returncode == 0, done.stderr
    [layer] = (Path(command.root) / "layers").iterdir()
    assert (layer / "fs/hello").read_bytes() == b"hello"


def wrong_content(registry: PythonRegistry, content: bytes) -> None:
    """Let the registry send *content* in place of the layer."""
    [digest] = [it for it, blob in registry.blobs.items() if blob.startswith(b"\x1f\x8b")]
    registry.blobs[digest] = content


def test_an_honest_registry(empty_store: Command, registry: PythonRegistry) -> None:
    """The control of this file: the same image from an honest registry is pulled."""
    pulls(empty_store, f"{registry.host}/box")
    assert registry.requests[-1].headers["User-Agent"] == "tinybox"


@pytest.mark.parametrize("how", ["other", "short", "long", "empty tail"])
def test_wrong_bytes(empty_store: Command, registry: PythonRegistry, how: str) -> None:
    """Bytes that are not those of the digest never become a layer, whether they unpack or not."""
    good = next(blob for blob in registry.blobs.values() if blob.startswith(b"\x1f\x8b"))
    other = gzip.compress(archive([regular("evil")]), mtime=0)
    other += bytes(max(0, len(good) - len(other)))
    contents = {
        "other": other[: len(good)],
        "short": good[:-9],
        "long": good + b"x",
        "empty tail": good[:-8] + bytes(8),
    }
    wrong_content(registry, contents[how])
    refuses(empty_store, f"{registry.host}/box")


@pytest.mark.parametrize(
    "change", [{"layers": []}, {"layers": 5}, {"config": None}, {"mediaType": "text/plain", "layers": [{}]}]
)
def test_a_manifest_of_another_form(empty_store: Command, registry: PythonRegistry, change: dict[str, Any]) -> None:
    """A manifest that does not fit its config, or has no form, is refused before a layer is fetched."""
    registry.image("box:latest", **change)
    refuses(empty_store, f"{registry.host}/box")
    assert len(registry.paths("/blobs/")) <= 1  # the config


def test_a_manifest_of_another_digest(empty_store: Command) -> None:
    """A manifest that is asked for by its digest must have it."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if "/manifests/" in handler.path:
            reply(handler, 200, registry.manifests["box:latest"][0] + b" ")
            return True
        return False

    with registry_in_python(answer) as registry:
        digest = digest_of(registry.manifests["box:latest"][0])
        assert "another digest" in refuses(empty_store, f"{registry.host}/box@{digest}")


@pytest.mark.parametrize("diff_ids", [["sha256:" + "0" * 64], [], ["sha256:" + "0" * 64] * 2, ["x"]])
def test_a_config_with_other_layers(empty_store: Command, registry: PythonRegistry, diff_ids: list[str]) -> None:
    """The unpacked layers must be those of the config."""
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    registry.image("box:latest", config=registry.blob(json.dumps(config).encode(), f"{OCI}.config.v1+json"))
    refuses(empty_store, f"{registry.host}/box")


@pytest.mark.parametrize(
    "members",
    [
        [regular("../evil")], [regular("/etc/evil")], [symlink("a", "/"), regular("a/tmp/tinybox-evil")],
        [regular(".wh.a/b/../../c")], [symlink("a", "../../.."), regular("a/evil")],
    ],
)  # fmt: skip
def test_a_hostile_layer(empty_store: Command, registry: PythonRegistry, members: list[Any]) -> None:
    """A layer that leads outside is refused, or stays inside; nothing is written outside the store."""
    registry.image("box:latest", archives=[archive(members)])
    done = empty_store("pull", "-q", f"{registry.host}/box", timeout=60)
    assert done.returncode in {0, 1}, done
    assert "Traceback" not in done.stderr
    assert not Path("/tmp/tinybox-evil").exists()
    assert not Path("/etc/evil").exists()
    assert not list(Path(empty_store.root).rglob("../evil"))


def test_a_bomb(empty_store: Command, registry: PythonRegistry) -> None:
    """A layer of few bytes that unpacks to more than the disk has is refused by its header, not by a full disk."""
    import tarfile

    header = tarfile.TarInfo("big")
    header.size = 1 << 50
    bomb = gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(10240), mtime=0)
    document = registry.image("box:latest", archives=[b""])
    layer = registry.blob(bomb, f"{OCI}.layer.v1.tar+gzip")
    registry.image("box:latest", config=document["config"], layers=[layer])
    assert "would not fit" in refuses(empty_store, f"{registry.host}/box")


def test_a_large_manifest(empty_store: Command, registry: PythonRegistry) -> None:
    """A manifest of more than 4 MiB is not read to its end."""
    registry.manifest("box:latest", b'{"a": "' + b"x" * (5 << 20) + b'"}', f"{OCI}.manifest.v1+json")
    assert "larger than 4 MiB" in refuses(empty_store, f"{registry.host}/box")


def test_a_large_config(empty_store: Command, registry: PythonRegistry) -> None:
    """A config that claims to be large is not fetched."""
    registry.image(
        "box:latest", config={"mediaType": f"{OCI}.config.v1+json", "digest": digest_of(b"x"), "size": 1 << 40}
    )
    assert "larger than" in refuses(empty_store, f"{registry.host}/box")
    assert not registry.paths("/blobs/")


def test_endless_redirects(empty_store: Command) -> None:
    """A registry that redirects to itself for ever is given up."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        reply(handler, 307, headers={"Location": handler.path})
        return True

    with registry_in_python(answer) as registry:
        assert "redirects more than" in refuses(empty_store, f"{registry.host}/box")
        assert len(registry.requests) < 10


def test_a_redirect_gets_no_token(empty_store: Command, registry: PythonRegistry) -> None:
    """A blob on another host is fetched from there, without the header Authorization. Control: the registry gets it."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if "Authorization" not in handler.headers:
            reply(handler, 401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        elif "/blobs/" in handler.path:
            reply(handler, 307, headers={"Location": f"http://{registry.host}{handler.path}"})
        else:
            return False
        return True

    with registry_in_python(answer) as front:
        auths = {"auths": {front.host: {"auth": "YW5uOnMzY3JldA=="}}}
        folder = Path(empty_store.environment["DOCKER_CONFIG"])
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(auths))
        pulls(empty_store, f"{front.host}/box")
        assert any("Authorization" in request.headers for request in front.requests)
        assert registry.paths("/blobs/")
        assert not any("Authorization" in request.headers for request in registry.requests)


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://registry.example/x"])
def test_a_redirect_to_another_kind_of_place(empty_store: Command, target: str) -> None:
    """A redirect leads to https, or from plain HTTP to plain HTTP; a file of the host is never read."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        reply(handler, 307, headers={"Location": target})
        return True

    with registry_in_python(answer) as registry:
        refuses(empty_store, f"{registry.host}/box")


def test_no_password_for_a_plain_token_server(empty_store: Command) -> None:
    """A token server without encryption on another host gets nothing."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        reply(handler, 401, headers={"WWW-Authenticate": 'Bearer realm="http://tokens.example/t",service="s"'})
        return True

    with registry_in_python(answer) as registry:
        assert "is not encrypted" in refuses(empty_store, f"{registry.host}/box")


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer realm=", 'Basic realm="x"', "Negotiate", 'Bearer realm="http://127.0.0.1:1/"', ",,,=,"],
)
def test_a_strange_challenge(empty_store: Command, header: str) -> None:
    """A challenge that cannot be answered is one line."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        reply(handler, 401, headers={"WWW-Authenticate": header} if header else {})
        return True

    with registry_in_python(answer) as registry:
        refuses(empty_store, f"{registry.host}/box")


def test_control_characters_of_a_registry(empty_store: Command) -> None:
    """The registry's words in an error cannot send commands to the terminal, and stay one line."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        errors = {"errors": [{"code": "DENIED", "message": "a\nb\x1b]0;title\x07"}]}
        reply(handler, 403, json.dumps(errors).encode())
        return True

    with registry_in_python(answer) as registry:
        line = refuses(empty_store, f"{registry.host}/box")
        assert "DENIED" in line
        assert "\x1b" not in line
