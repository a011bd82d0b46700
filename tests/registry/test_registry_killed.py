"""Debian's registry is killed in the middle of a push and of a pull, and comes back: both end well."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.registry.test_kills import check, content
from tests.registry.test_pull_push import good, manifest_of
from tests.support.boxes import PATIENCE, until
from tests.support.image_archives import archive, regular

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Command
    from tests.support.registries import DockerRegistry, PythonRegistry

pytestmark = pytest.mark.root

LARGE = 64 << 20  # bytes of the layer: it takes some tenths of a second


def interrupted(registry: DockerRegistry, command: Command, is_in_the_middle: Callable[[], bool], *words: str) -> None:
    """Run a command, kill the registry as soon as the command is in the middle, and start it again."""
    process = command.start(*words)
    until(is_in_the_middle, PATIENCE)
    registry.kill()
    assert process.poll() is None  # the control: it had not ended
    time.sleep(0.3)
    registry.start()
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, (out, err)


def size_of(folder: Path, pattern: str) -> int:
    """Return the size of the largest file that matches."""
    sizes = [0]
    for path in folder.glob(pattern):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue
    return max(sizes)


def test_the_registry_is_killed_in_a_push_and_in_a_pull(
    empty_store: Command, docker_registry: DockerRegistry, registry: PythonRegistry
) -> None:
    """The upload goes on or begins again, the download goes on: the registry and the store have the image."""
    registry.image("box:latest", [archive([regular("large", content(1, LARGE))])])
    name = f"{docker_registry.host}/box:big"
    good(empty_store, "pull", "-q", f"{registry.host}/box", timeout=60)
    good(empty_store, "tag", f"{registry.host}/box", name)
    data, root = docker_registry.folder / "data", Path(empty_store.root)

    def is_sending() -> bool:
        return size_of(data, "docker/registry/v2/repositories/box/_uploads/*/data") > LARGE // 10

    def is_fetching() -> bool:
        return size_of(root, "tmp/*/blob-*") > LARGE // 10

    interrupted(docker_registry, empty_store, is_sending, "push", "-q", name)
    assert manifest_of(name)["layers"]
    good(empty_store, "rmi", f"{registry.host}/box")
    good(empty_store, "rmi", name)
    interrupted(docker_registry, empty_store, is_fetching, "pull", "-q", name)
    check(empty_store)
    good(empty_store, "save", "-o", "/dev/null", name)
