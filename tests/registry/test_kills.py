"""Commands about images that are killed at random moments: the store is whole afterwards, and the next try succeeds.

Thirty kills, or a thousand with TINYBOX_SOAK (`make soak`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.registry.test_pull_push import good
from tests.support.boxes import PATIENCE, until
from tests.support.image_archives import archive, directory, regular
from tests.support.registries import DockerRegistry, PythonRegistry

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from tests.conftest import Command

pytestmark = pytest.mark.root

SOAK = bool(os.environ.get("TINYBOX_SOAK"))
KILLS = 1000 if SOAK else 30
LAYERS = 4


def content(seed: int, size: int) -> bytes:
    """Return *size* bytes that do not compress, always the same for a *seed*."""
    return random.Random(seed).randbytes(size)  # noqa: S311  not for secrets


@pytest.fixture
def images(registry: PythonRegistry) -> list[str]:
    """Give two images that share two layers."""
    layers = [
        archive(
            [directory("d"), *(regular(f"d/{number}-{one}", content(9 * number + one, 90_000)) for one in range(9))]
        )
        for number in range(LAYERS + 2)
    ]
    registry.image("one:1", layers[:LAYERS])
    registry.image("two:1", layers[2:])
    return [f"{registry.host}/one:1", f"{registry.host}/two:1"]


def check(command: Command) -> None:
    """Check that the store is whole, after a next command: no workspace, no orphan, each file has its digest."""
    root = Path(command.root)
    assert command("images", "-q").returncode == 0
    if not root.joinpath("layers").is_dir():
        return
    assert os.listdir(root / "tmp") == []
    needed, wanted_layers = set[str](), set[str]()
    for image_id in os.listdir(root / "images"):
        record = (root / "images" / image_id).read_bytes()
        assert hashlib.sha256(record).hexdigest() == image_id
        wanted_layers.update(diff_id[7:23] for diff_id in json.loads(record)["rootfs"]["diff_ids"])
    for name in os.listdir(root / "manifests"):
        manifest = (root / "manifests" / name).read_bytes()
        assert hashlib.sha256(manifest).hexdigest() == name
        document = json.loads(manifest)
        assert document["config"]["digest"][7:] in os.listdir(root / "images")
        needed.update(layer["digest"][7:] for layer in document["layers"])
    layers = set(os.listdir(root / "layers"))
    assert layers == wanted_layers
    for key in layers:
        needed.add(json.loads((root / "layers" / key / "layer.json").read_bytes()).get("blob", "sha256:")[7:])
    blobs = set(os.listdir(root / "blobs"))
    assert blobs <= needed
    for name in blobs:
        assert hashlib.sha256((root / "blobs" / name).read_bytes()).hexdigest() == name
    for link in (root / "names").iterdir():
        assert link.exists(), link
    until(lambda: not users(command.root), PATIENCE)


def users(root: str) -> list[str]:
    """List the processes that have a file of the store open: those that fetch or send a layer end with their parent."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith(root) for fd in os.listdir(f"/proc/{pid}/fd")):
                found.append(pid)
    return found


def loads(command: Command) -> None:
    """Check that each layer's archive is still the one of its diff id: `save` reads them all."""
    names = good(command, "images", "--format", "{{.Repository}}:{{.Tag}}").split()
    for name in names:
        good(command, "save", "-o", "/dev/null", name)


def prepared(command: Command, verb: str, name: str, pushed: str) -> tuple[str, ...]:
    """Prepare the store for *verb* on the image *name*, and return the words of the command."""
    if verb == "pull":
        if command("images", "-q", name).stdout:
            good(command, "rmi", name)
        return "pull", "-q", name
    good(command, "pull", "-q", name)
    if verb == "push":
        good(command, "tag", name, pushed)
    return {"push": ("push", "-q", pushed), "rmi": ("rmi", name), "prune": ("prune", "-a", "-f")}[verb]


def killed(command: Command, words: tuple[str, ...], seconds: float) -> bool:
    """Run a command, and kill it after so many *seconds*; return whether it ran still."""
    process = command.start(*words)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    is_running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return is_running


def test_random_kills(empty_store: Command, images: list[str], docker_registry: DockerRegistry) -> None:
    """`pull`, `push`, `rmi` and `prune` are killed at random moments; each is tried again, and succeeds."""
    chance = random.Random(os.environ.get("TINYBOX_SEED", "15"))  # noqa: S311  repeatable
    took = dict.fromkeys(("pull", "push", "rmi", "prune"), 0.3)
    kills = dict.fromkeys(took, 0)
    for number in range(KILLS):
        verb, name = chance.choice(list(took)), chance.choice(images)
        words = prepared(empty_store, verb, name, f"{docker_registry.host}/pushed{number}:1")
        kills[verb] += killed(empty_store, words, chance.uniform(0.05, 0.9) * took[verb])
        check(empty_store)
        begun = time.monotonic()
        again = empty_store(*words, timeout=60)
        took[verb] = 0.5 * took[verb] + 0.5 * (time.monotonic() - begun)
        assert again.returncode == 0 or (verb == "rmi" and "no such image" in again.stderr), (number, words, again)
        if number % 10 == 0:
            loads(empty_store)
        if verb == "push":
            good(empty_store, "rmi", words[-1])
    check(empty_store)
    assert sum(kills.values()) > KILLS // 2, kills  # the control: they were really killed
    assert {"pull", "push"} <= {verb for verb, count in kills.items() if count}


def test_a_pull_while_others_remove(empty_store: Command, images: list[str]) -> None:
    """Two images with common layers are pulled while they are removed and pruned: none is half there."""
    for _ in range(40 if SOAK else 5):
        commands = [empty_store.start("pull", "-q", name) for name in images]
        commands += [empty_store.start("rmi", images[0]), empty_store.start("prune", "-a", "-f")]
        outs = [command.communicate(timeout=60) for command in commands]
        assert [command.returncode for command in commands[:2]] == [0, 0], outs
        assert commands[3].returncode == 0, outs
        check(empty_store)
        loads(empty_store)
        for name in images:
            good(empty_store, "pull", "-q", name)
        check(empty_store)


def test_two_images_with_common_layers_at_once(
    empty_store: Command, images: list[str], registry: PythonRegistry
) -> None:
    """Two pulls at once of images that share layers: the registry sends each layer once."""
    together = threading.Barrier(2, timeout=30)

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if "/manifests/" in handler.path:
            together.wait()  # both know their manifests before one of them fetches
        else:
            time.sleep(0.3)  # a layer is on its way while the other command looks for it
        return False

    registry.answer = answer
    commands = [empty_store.start("pull", "-q", name) for name in images]
    outs = [command.communicate(timeout=60) for command in commands]
    assert [command.returncode for command in commands] == [0, 0], outs
    layers = [blob for blob, packed in registry.blobs.items() if packed.startswith(b"\x1f\x8b")]
    fetched = [path.rpartition("/")[2] for path in registry.paths("/blobs/")]
    counts = {layer[:19]: fetched.count(layer) for layer in layers if layer in fetched}
    assert set(counts.values()) == {1}, counts
    assert len(counts) == LAYERS + 2
    check(empty_store)
