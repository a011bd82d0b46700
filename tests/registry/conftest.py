"""Fixtures of the tests with registries: a store of each test's own, and an environment without the user's files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.no_trace import leaves_no_trace
from tests.support.registries import DockerRegistry, PythonRegistry, registry_in_python
from tinybox.linux.filesystem.files import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["leaves_no_trace"]

pytestmark = pytest.mark.root


@pytest.fixture
def empty_store(tmp_path: Path) -> Iterator[Command]:
    """Give the installed command with an empty store, and without credentials of the user."""
    root = tempfile.mkdtemp(prefix="tinybox-registry-", dir="/var/tmp")
    command = Command(root)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        command.environment.pop(name, None)
    home = {
        "HOME": str(tmp_path),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "XDG_RUNTIME_DIR": "",
        "REGISTRY_AUTH_FILE": "",
    }
    command.environment |= home
    yield command
    remove_tree(root)


@pytest.fixture
def registry() -> Iterator[PythonRegistry]:
    """Give a registry in Python that has the image box:latest."""
    with registry_in_python() as found:
        yield found


@pytest.fixture
def docker_registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    """Give Debian's docker-registry, empty, without encryption."""
    with DockerRegistry(tmp_path / "registry") as found:
        yield found
