"""`pull --explain` and `push --explain`: each request, each answer and each layer, and no secret among them."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.registry.test_login import basic
from tests.registry.test_pull_push import good
from tests.support.browser import Browser, chromium
from tests.support.image_archives import archive, directory, regular
from tests.support.registries import OCI, DockerRegistry, PythonRegistry, digest_of, registry_in_python, reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

    from tests.conftest import Command

__all__ = ["chromium"]

pytestmark = pytest.mark.root

NASTY = "</script><script>document.title='led astray'</script><b>"
STRANGE = NASTY.replace("/", "|")  # the name of a file
LAYERS = [
    archive([directory("etc"), regular("etc/motd", b"hello"), regular("etc/old", b"x" * 3000), regular(STRANGE)]),
    archive([regular("etc/motd", b"good morning"), regular("etc/.wh.old", b""), regular("etc/new", b"y")]),
]  # fmt: skip
SECRETS = {
    "password": "s3cret",
    "basic": base64.b64encode(b"ann:s3cret").decode(),
    "token": "t0ken",
    "signature": "s1gned",
    "cookie": "c00kie",
    "state": "upl0ad",
}


class Private:
    """A registry with a token server; its blobs are on a third host, at signed addresses; every answer has a cookie."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.tokens = stack.enter_context(registry_in_python(self._token))
        self.store = stack.enter_context(registry_in_python(self._signed))
        self.registry = stack.enter_context(registry_in_python(self._guarded))
        for blobs in (self.registry, self.store):
            manifest = json.dumps(_image(blobs)).encode()
        entries = [
            {"digest": digest_of(manifest), "size": len(manifest), "platform": {"os": "linux", "architecture": one}}
            for one in ("amd64", "arm64", "s390x")
        ]
        index = json.dumps({"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": entries}).encode()
        self.registry.manifest("team/box:1", index, f"{OCI}.index.v1+json")
        self.name = f"{self.registry.host}/team/box:1"

    def _token(self, handler: BaseHTTPRequestHandler) -> bool:
        is_ann = handler.headers.get("Authorization") == basic("ann:s3cret")
        reply(handler, 200 if is_ann else 401, json.dumps({"token": "t0ken"}).encode(), {"Set-Cookie": "a=c00kie"})
        return True

    def _guarded(self, handler: BaseHTTPRequestHandler) -> bool:
        if handler.headers.get("Authorization") != "Bearer t0ken":
            header = f'Bearer realm="http://{self.tokens.host}/token",service="tests"'
            reply(handler, 401, headers={"WWW-Authenticate": header, "Set-Cookie": "a=c00kie"})
        elif "/blobs/" in handler.path:
            digest = handler.path.rpartition("/")[2]
            target = f"http://{self.store.host}/files/blobs/{digest}?X-Amz-Signature=s1gned&n=1"
            reply(handler, 307, headers={"Location": target, "Set-Cookie": "a=c00kie"})
        else:
            return False
        return True

    def _signed(self, handler: BaseHTTPRequestHandler) -> bool:
        if "s1gned" not in handler.path:
            reply(handler, 403)
            return True
        return False


def _image(blobs: PythonRegistry) -> dict[str, Any]:
    return blobs.image("team/box:amd64", LAYERS)


@pytest.fixture
def private(empty_store: Command) -> Iterator[Private]:
    """Give a private registry to which the user has logged in, with the image team/box:1."""
    with contextlib.ExitStack() as stack:
        found = Private(stack)
        folder = Path(empty_store.environment["DOCKER_CONFIG"])
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"auths": {found.registry.host: {"auth": SECRETS["basic"]}}}))
        yield found


def events_of(path: Path) -> list[dict[str, Any]]:
    """Read the events of --explain=json."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_pull_is_told_as_the_specification_has_it(empty_store: Command, private: Private, tmp_path: Path) -> None:
    """The challenge, the token, the index with the chosen manifest, the redirects and the blobs are events in order."""
    good(empty_store, "pull", "-q", "--explain=json", "-o", str(tmp_path / "x.json"), private.name)
    events = events_of(tmp_path / "x.json")
    assert [events[0]["event"], events[-1]["event"], events[-1]["error"]] == ["begin", "end", None]
    exchanges = [event for event in events if event["event"] == "exchange"]
    said = [(event["method"], event["status"]) for event in exchanges]
    assert said[:4] == [("GET", 401), ("GET", 200), ("GET", 200), ("GET", 200)]
    assert "token server" in exchanges[0]["says"]
    assert exchanges[1]["url"] == f"http://{private.tokens.host}/token?service=tests&scope=repository:team/box:pull&..."
    assert exchanges[1]["spec"] == "distribution: Token Authentication"
    assert exchanges[2]["sent"]["Authorization"] == "Bearer (not shown)"
    assert [status for _, status in said].count(307) == 3  # the config and two layers
    assert sum("The other host sends layer" in event["says"] for event in exchanges) == 2
    [index] = [event for event in events if event["event"] == "document" and event["kind"] == "index"]
    assert [entry["platform"] for entry in index["entries"] if entry["chosen"]] == ["linux/amd64"]
    numbers = [event["number"] for event in events if "number" in event]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_layers_are_told_as_they_are_in_the_store(empty_store: Command, private: Private, tmp_path: Path) -> None:
    """Each layer with its directory, its place in the overlay, and what it adds, changes and hides."""
    good(empty_store, "pull", "-q", "--explain=json", "-o", str(tmp_path / "x.json"), private.name)
    events = events_of(tmp_path / "x.json")
    bottom, top = [event for event in events if event["event"] == "layer"]
    assert (bottom["place"], top["place"]) == (2, 1)
    assert Path(top["layer"]["Directory"], "etc/new").read_bytes() == b"y"
    assert {(file["Kind"], file["Path"]) for file in top["files"]} == {
        ("A", "/etc/new"), ("C", "/etc/motd"), ("D", "/etc/old"),
    }  # fmt: skip
    [image] = [event for event in events if event["event"] == "image"]
    assert image["lowerdir"] == f"{top['layer']['Directory']}:{bottom['layer']['Directory']}"


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_no_secret_is_shown(empty_store: Command, private: Private, tmp_path: Path, form: str) -> None:
    """Neither password, token, cookie nor signature is in any form. Control: each of them went over the wire."""
    path = tmp_path / "out"
    done = empty_store("pull", f"--explain={form}", "-o", str(path), private.name)
    assert done.returncode == 0, done.stderr
    shown = path.read_text() + done.stdout + done.stderr
    assert [name for name, secret in SECRETS.items() if secret in shown] == []
    requests = [*private.tokens.requests, *private.registry.requests, *private.store.requests]
    sent = "".join(f"{request.path} {request.headers}" for request in requests)
    assert all(SECRETS[name] in sent for name in ("basic", "token", "signature"))
    assert path.stat().st_mode & 0o077 == 0


def test_a_failed_pull_is_told_to_its_end(empty_store: Command, private: Private, tmp_path: Path) -> None:
    """A pull that fails still ends its trace, with the error; the page is written."""
    for form in ("json", "html"):
        path = tmp_path / form
        done = empty_store("pull", f"--explain={form}", "-o", str(path), private.name.replace(":1", ":no"))
        assert (done.returncode != 0, done.stderr.count("\n")) == (True, 1), done.stderr
        assert "has no such image" in path.read_text()
    assert events_of(tmp_path / "json")[-1]["event"] == "end"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--explain=xml", "x/y"), "no such form"), (("--explain=html", "x/y"), "-o FILE"),
        (("-o", "/dev/null", "x/y"), "--explain -o FILE"), (("--explain", "-a", "x/y"), "leave --all-tags out"),
        (("--explain", "busybox"), "docker.io/library/busybox"),
        (("--explain", "-o", "/nowhere/x", "127.0.0.1:1/y"), "cannot be written"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained(empty_store: Command, words: tuple[str, ...], says: str) -> None:
    """A wrong form, a page without a file and an image of a recipe are refused in one line."""
    done = empty_store("pull", *words)
    assert (done.returncode != 0, done.stderr.count("\n"), says in done.stderr) == (True, 1, True), done.stderr


def test_a_push_is_told(
    empty_store: Command, registry: PythonRegistry, docker_registry: DockerRegistry, tmp_path: Path
) -> None:
    """`push --explain` tells the checks, the upload, and the manifest as the last; the upload's state is hidden."""
    good(empty_store, "pull", "-q", f"{registry.host}/box")
    name = f"{docker_registry.host}/box"
    good(empty_store, "tag", f"{registry.host}/box", name)
    good(empty_store, "push", "-q", "--explain=json", "-o", str(tmp_path / "x"), name)
    exchanges = [event for event in events_of(tmp_path / "x") if event["event"] == "exchange"]
    assert {"HEAD", "POST", "PATCH", "PUT"} == {event["method"] for event in exchanges}
    assert exchanges[-1]["says"].startswith("The manifest comes last")
    assert "_state" not in (tmp_path / "x").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_the_page_in_a_browser(
    empty_store: Command, private: Private, tmp_path: Path, chromium: Browser, size: tuple[int, int]
) -> None:
    """The page fits the window, has the keys of the other pages, asks for nothing, and shows words as words."""
    path = tmp_path / "page.html"
    good(empty_store, "pull", "-q", "--explain=html", "-o", str(path), private.name)
    chromium.complaints.clear()
    chromium.open(path, *size)
    assert chromium.value("[document.body.scrollWidth, document.body.scrollHeight]") == list(size)
    assert chromium.value("document.body.dataset.step") == "1"
    chromium.press("ArrowRight")
    assert chromium.value("document.body.dataset.step") == "2"
    chromium.press("End")
    assert "Layer 2 is a directory" in chromium.value("document.getElementById('title').textContent")
    assert "etc/old" in chromium.value("document.getElementById('files').textContent")
    chromium.press("ArrowLeft")
    assert "<b>" in chromium.value("document.getElementById('files').textContent")
    assert chromium.value("document.title") != "led astray"
    cut = "[...document.querySelectorAll('#title, #facts')].filter(one => one.scrollWidth > one.clientWidth + 1).length"
    assert chromium.value(cut) == 0
    assert chromium.complaints == []
    assert re.search(r"\d+ of \d+", chromium.value("document.getElementById('count').textContent"))
