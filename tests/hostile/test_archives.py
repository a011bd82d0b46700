"""Hostile archives: `import`, `load` and `cp` refuse them soon and in one line, or unpack them, and leave nothing."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.hostile import corpus
from tests.hostile.archives import ARCHIVES
from tests.hostile.conftest import SOAK
from tests.support.image_archives import archive, regular

if TYPE_CHECKING:
    import random

    from tests.hostile.conftest import Store

pytestmark = pytest.mark.root

LAYER = archive([regular("f", b"content")])
CONFIG: dict[str, Any] = {
    "created": "2020-01-01T00:00:00Z",
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "Env": ["A=b"],
        "Cmd": ["sh"],
        "Entrypoint": ["x"],
        "User": "0",
        "WorkingDir": "/",
        "StopSignal": "SIGTERM",
        "Labels": {"a": "b"},
        "Volumes": {"/v": {}},
        "ExposedPorts": {"80/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 10**9, "Retries": 3},
    },
    "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "x", "empty_layer": False}],
    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(LAYER).hexdigest()}"]},
}
MANIFEST: list[dict[str, Any]] = [{"Config": "config.json", "Layers": ["layer.tar"], "RepoTags": ["hostile:1"]}]


def digest(content: bytes) -> str:
    """Return the digest of *content*, as OCI writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def packed(files: dict[str, bytes]) -> bytes:
    """Return an archive of *files*."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def of_docker(manifest: Any, config: Any) -> bytes:
    """Return a saved image as docker writes it, with these documents."""
    documents = {"manifest.json": json.dumps(manifest).encode(), "config.json": json.dumps(config).encode()}
    return packed({**documents, "layer.tar": LAYER})


def of_oci(index: Any = None, manifest: Any = None) -> bytes:
    """Return a saved image in OCI's layout; *index* or *manifest* replaces the sound document."""
    config = json.dumps(CONFIG).encode()
    blobs = [config, LAYER]
    if manifest is None:
        manifest = {"schemaVersion": 2, "config": {"digest": digest(config)}, "layers": [{"digest": digest(LAYER)}]}
    blobs.append(json.dumps(manifest).encode())
    if index is None:
        index = {"schemaVersion": 2, "manifests": [{"digest": digest(blobs[2]), "annotations": {"a": "b"}}]}
    named = {f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}": blob for blob in blobs}
    return packed({"oci-layout": b"{}", "index.json": json.dumps(index).encode(), **named})


def give(store: Store, content: bytes, *words: str) -> None:
    """Give *content* to a command; it succeeds, or fails with 1 and one line, and leaves nothing in ROOT/tmp."""
    done = store(*words, stdin=content)
    assert done.status == 0 or (done.status, done.stderr.count("\n")) == (1, 1), done
    assert store.leftovers() == []


def test_no_hostile_archive_hangs_or_ends_in_a_traceback(store: Store, chance: random.Random) -> None:
    """Each archive of the corpus, to `import`, and as a layer of a saved image to `load`."""
    for name in ARCHIVES if SOAK else chance.sample(list(ARCHIVES), 30):
        give(store, ARCHIVES[name], "import", "-", "hostile:1")
        if SOAK:
            give(store, ARCHIVES[name], "load")
            layered = {**CONFIG, "rootfs": {"type": "layers", "diff_ids": [digest(ARCHIVES[name])]}}
            documents = {"manifest.json": json.dumps(MANIFEST).encode(), "config.json": json.dumps(layered).encode()}
            give(store, packed({**documents, "layer.tar": ARCHIVES[name]}), "load")
    store("prune", "-af")


def test_no_hostile_archive_harms_cp(store: Store, chance: random.Random) -> None:
    """The same archives as the input of `cp - box:/`: one line with the status 1, or the files are in the box."""
    store("create", "--name", "rest", "busybox")
    for name in ARCHIVES if SOAK else chance.sample(list(ARCHIVES), 15):
        done = store("cp", "-", "rest:/tmp", stdin=ARCHIVES[name])
        assert done.status == 0 or (done.status == 1 and done.stderr.count("\n") == 1), done
        assert store.leftovers() == []
    store("rm", "rest")


def test_no_changed_byte_ends_in_a_traceback(store: Store, chance: random.Random) -> None:
    """Sound archives with some bytes changed at random; the seed is printed, and TINYBOX_SEED repeats it."""
    sound = [of_docker(MANIFEST, CONFIG), of_oci(), archive([regular("a/b", b"x" * 700), regular("c")])]
    for _ in range(3000 if SOAK else 30):
        content = bytearray(chance.choice(sound))
        for _ in range(chance.choice((1, 1, 2, 5, 40))):
            content[chance.randrange(min(len(content), 4096))] = chance.choice(
                (0, 0xFF, 0x2F, 0x39, chance.randrange(256))
            )
        give(store, bytes(content), *chance.choice((("load",), ("import", "-", "hostile:1"))))
    store("prune", "-af")


def test_no_document_of_another_shape_ends_in_a_traceback(store: Store, chance: random.Random) -> None:
    """manifest.json, an image's config, index.json and a manifest of OCI with a value of another type at any depth."""
    found = [of_docker(document, CONFIG) for _, document in corpus.mutations(MANIFEST)]
    found += [of_docker(MANIFEST, document) for _, document in corpus.mutations(CONFIG)]
    sound = {"schemaVersion": 2, "config": {"digest": digest(b"")}, "layers": [{"digest": digest(LAYER)}]}
    found += [of_oci(manifest=document) for _, document in corpus.mutations(sound)]
    index = {"manifests": [{"digest": digest(b""), "platform": {"architecture": "amd64"}, "annotations": {"a": "b"}}]}
    found += [of_oci(index=document) for _, document in corpus.mutations(index)]
    for content in found if SOAK else chance.sample(found, 40):
        give(store, content, "load")
        assert store("images").status == 0
        if SOAK:
            store("run", "--dry-run", "hostile:1", "true")
    store("prune", "-af")
    assert store("load", stdin=of_docker(MANIFEST, CONFIG)).status == 0  # the controls: the sound ones are loaded
    assert store("load", stdin=of_oci()).status == 0
    store("prune", "-af")
