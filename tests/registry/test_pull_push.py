"""Images of other tools go through tinybox, from registry to registry, with the digests that they had."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.image_archives import archive, directory, regular
from tests.support.registries import OCI, DockerRegistry, PythonRegistry, digest_of, registry_in_python, reply

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from tests.conftest import Command

pytestmark = pytest.mark.root


def run(*words: str) -> str:
    """Run a program of another tool; return its stdout."""
    if not shutil.which(words[0]):
        pytest.skip(f"no {words[0]} here")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def good(command: Command, *words: str, **options: Any) -> str:
    """Run tinybox, which must succeed; return its stdout."""
    done = command(*words, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def manifest_of(name: str) -> dict[str, Any]:
    """Return the manifest that skopeo finds under *name*."""
    found: dict[str, Any] = json.loads(run("skopeo", "inspect", "--tls-verify=false", "--raw", f"docker://{name}"))
    return found


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_an_image_goes_round_with_its_digest(
    tinybox: Command, empty_store: Command, docker_registry: DockerRegistry, tmp_path: Path, form: str
) -> None:
    """Skopeo pushes busybox; tinybox pulls it, runs it, pushes it elsewhere: manifest and layers are the same bytes."""
    good(tinybox, "save", "-o", str(tmp_path / "saved.tar"), "busybox")
    name, other = f"{docker_registry.host}/box:1", f"{docker_registry.host}/else/where:2"
    run(
        "skopeo", "copy", "--dest-tls-verify=false", "-f", form, f"oci-archive:{tmp_path}/saved.tar", f"docker://{name}"
    )
    assert "Pull complete" in good(empty_store, "pull", name)
    assert good(empty_store, "run", "--rm", name, "echo", "hello") == "hello\n"
    good(empty_store, "tag", name, other)
    assert "Mounted from box" in good(empty_store, "push", other)
    assert manifest_of(other) == manifest_of(name)
    with DockerRegistry(tmp_path / "second") as second:
        third = f"{second.host}/box:1"
        good(empty_store, "tag", name, third)
        assert "Pushed" in good(empty_store, "push", third)
        assert manifest_of(third) == manifest_of(name)
    shown = good(empty_store, "events", "--since", "1h", "--until", "0s", "--format", "{{.Action}} {{.Actor.ID}}")
    assert [line for line in shown.splitlines() if line.startswith("pu")] == [
        f"pull {name}", f"push {other}", f"push {third}"
    ]  # fmt: skip


def test_a_second_pull_fetches_nothing(empty_store: Command, registry: PythonRegistry) -> None:
    """An image that is here is only asked for; a tag that moved is fetched, without the layer that is here."""
    name = f"{registry.host}/box"
    assert "Downloaded newer image" in good(empty_store, "pull", name)
    registry.requests.clear()
    again = good(empty_store, "pull", name).splitlines()
    assert [line.split()[0] for line in again] == ["Using", "latest:", "Digest:", "Status:", f"{name}:latest"]
    assert "Image is up to date" in again[3]
    assert [request.path for request in registry.requests] == ["/v2/box/manifests/latest"]
    first = archive([regular("hello", b"hello")])
    registry.image("box:latest", [first, archive([regular("more", b"more")])])
    out = good(empty_store, "pull", name)
    assert (out.count("Already exists"), out.count("Pull complete"), "Downloaded newer image" in out) == (1, 1, True)


def test_a_damaged_record_is_fetched_again(empty_store: Command, registry: PythonRegistry) -> None:
    """If the record of an image is damaged on the disk, a pull brings the right one."""
    name = f"{registry.host}/box"
    good(empty_store, "pull", name)
    [record] = Path(empty_store.root, "images").iterdir()
    content = record.read_bytes()
    record.write_bytes(content[:-9])
    assert empty_store("run", "--rm", name, "true").returncode == 125
    good(empty_store, "pull", name)
    assert record.read_bytes() == content
    assert "no such file" in empty_store("run", "--rm", name, "/no/program").stderr  # it starts


def test_two_commands_fetch_a_layer_once(empty_store: Command) -> None:
    """Two pulls of one image at the same time: the registry sends the layer once, and both end well."""
    together = threading.Barrier(2, timeout=30)

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if "/manifests/" in handler.path:
            together.wait()  # both know the manifest before one of them fetches
        return False

    with registry_in_python(answer) as registry:
        both = [empty_store.start("pull", f"{registry.host}/box") for _ in range(2)]
        outs = [process.communicate(timeout=60) for process in both]
        assert [process.returncode for process in both] == [0, 0], outs
        [layer] = [it["digest"] for it in json.loads(registry.manifests["box:latest"][0])["layers"]]
        assert len(registry.paths(layer)) == 1


def test_the_image_of_a_platform(empty_store: Command, registry: PythonRegistry) -> None:
    """An index gives the image of this machine, or that of --platform; both are named by the index's digest."""
    entries = []
    for architecture in ("amd64", "arm64"):
        registry.image(f"box:{architecture}", [archive([regular(architecture)])])
        content = registry.manifests[f"box:{architecture}"][0]
        platform = {"os": "linux", "architecture": architecture}
        entries.append({"digest": digest_of(content), "size": len(content), "platform": platform})
    index = json.dumps({"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": entries}).encode()
    registry.manifest("box:all", index, f"{OCI}.index.v1+json")
    name = f"{registry.host}/box:all"
    for architecture in ("arm64", "amd64"):
        assert f"Digest: {digest_of(index)}" in good(empty_store, "pull", "--platform", f"linux/{architecture}", name)
        [image] = json.loads(good(empty_store, "inspect", name))
        layers = [path.name for path in Path(empty_store.root, "layers").glob("*/fs/*")]
        assert architecture in layers
        assert image["Id"]
    done = empty_store("pull", "--platform", "linux/s390x", name)
    assert (done.returncode, "linux/amd64, linux/arm64" in done.stderr) == (1, True)


def test_a_name_with_a_digest(empty_store: Command, registry: PythonRegistry) -> None:
    """NAME@DIGEST is pulled, listed, run by that name, and removed."""
    name = f"{registry.host}/box@{digest_of(registry.manifests['box:latest'][0])}"
    good(empty_store, "pull", name)
    assert "<none>" in good(empty_store, "images")
    good(empty_store, "create", "--name", "xx", name)
    good(empty_store, "rm", "xx")
    assert f"Untagged: {name}" in good(empty_store, "rmi", name)
    assert not list(Path(empty_store.root, "blobs").iterdir())
    assert not list(Path(empty_store.root, "manifests").iterdir())


def test_run_pulls_what_is_missing(empty_store: Command, docker_registry: DockerRegistry, tinybox: Command) -> None:
    """`run` of an image that is not here pulls it; docker's words go to stderr, and stdout is the program's alone."""
    name = f"{docker_registry.host}/box"
    good(tinybox, "tag", "busybox", name)
    try:
        good(tinybox, "push", name)
    finally:
        good(tinybox, "rmi", name)
    done = empty_store("run", "--rm", name, "echo", "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert f"Unable to find image '{name}:latest' locally" in done.stderr
    assert empty_store("run", "--rm", "--pull", "never", f"{name}:no", "true").returncode == 125


def large(registry: PythonRegistry) -> None:
    """Give the image box a layer of 4 MB that does not compress."""
    content = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(125_000))
    registry.image("box:latest", [archive([directory("d"), regular("d/large", content)])])


def test_a_broken_connection_goes_on_where_it_was(empty_store: Command) -> None:
    """A connection that breaks in the middle is opened again with Range; the bytes before are not sent twice."""
    sent = 0

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        nonlocal sent
        digest = handler.path.rpartition("/")[2]
        if "/blobs/" not in handler.path or len(content := registry.blobs[digest]) < 1_000_000:
            return False
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        piece = content[start : start + 1_500_000]
        handler.wfile.write(piece)
        sent += len(piece)
        handler.close_connection = True
        return True

    with registry_in_python(answer) as registry:
        large(registry)
        good(empty_store, "pull", f"{registry.host}/box", timeout=60)
        ranges = [request.headers.get("Range") for request in registry.requests if "/blobs/" in request.path]
        assert len([it for it in ranges if it]) >= 2
        assert sent < 4_100_000


def test_a_registry_without_range(empty_store: Command) -> None:
    """A registry that does not know Range sends all of it again, and the image is right."""
    broken: list[bool] = []

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        content = registry.blobs.get(handler.path.rpartition("/")[2], b"")
        if len(content) < 1_000_000:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content if broken else content[:1_000_000])
        handler.close_connection = True
        broken.append(True)
        return True

    with registry_in_python(answer) as registry:
        large(registry)
        good(empty_store, "pull", f"{registry.host}/box", timeout=60)
        assert len(broken) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_registry_is_asked_again(empty_store: Command, status: int) -> None:
    """A registry that is busy says with Retry-After when to come back; tinybox waits that long."""
    times: list[float] = []

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        times.append(time.monotonic())
        if len(times) == 1:
            reply(handler, status, headers={"Retry-After": "2"})
        return len(times) == 1

    with registry_in_python(answer) as registry:
        good(empty_store, "pull", f"{registry.host}/box", timeout=60)
        assert times[1] - times[0] >= 2


def test_a_registry_that_asks_for_an_hour(empty_store: Command) -> None:
    """Nobody waits an hour: it is an error that says so."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        reply(handler, 429, headers={"Retry-After": "3600"})
        return True

    with registry_in_python(answer) as registry:
        done = empty_store("pull", f"{registry.host}/box", timeout=60)
        assert (done.returncode, "3600 seconds" in done.stderr) == (1, True)
