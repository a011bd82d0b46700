"""Fixtures of the tests of `tinybox build`: a place for contexts, and buildah with a store of its own."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.no_trace import leaves_no_trace
from tinybox.build import cache
from tinybox.images import removal
from tinybox.images.store import Store
from tinybox.linux.filesystem.files import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["leaves_no_trace"]

TIMEOUT = 120.0


class Buildah:
    """buildah with the store *root*: it builds as docker does, with RUN in a chroot, because that needs no runtime."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._words = ["--root", f"{root}/root", "--runroot", f"{root}/run", "--storage-driver", "vfs"]

    def take(self, archive: Path, name: str) -> None:
        """Take the image of a docker archive as ``localhost/NAME``."""
        place = f"containers-storage:[vfs@{self.root}/root+{self.root}/run]localhost/{name}:latest"
        self._run(["skopeo", "copy", "-q", f"docker-archive:{archive}", place])

    def build(self, context: Path, archive: Path, *options: str) -> None:
        """Build the Containerfile of *context*, and write the image to a docker archive."""
        words = ["build", "-q", "--isolation", "chroot", "--layers=false", "--format", "docker", "-t", "built"]
        self._run(["buildah", *self._words, *words, *options, str(context)])
        self._run(["buildah", *self._words, "push", "-q", "built", f"docker-archive:{archive}"])
        self._run(["buildah", *self._words, "rmi", "-f", "built"])

    @staticmethod
    def _run(words: list[str]) -> None:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"


def with_history(archive: Path, copy: Path) -> None:
    """Copy a docker archive of one image, with a history: buildah wants one, and images of recipes have none."""
    with tarfile.open(archive) as old, tarfile.open(copy, "w") as new:
        [manifest] = json.loads(_content(old, "manifest.json"))
        config = json.loads(_content(old, manifest["Config"]))
        config["history"] = [{"created": config["created"], "created_by": "recipe"} for _ in manifest["Layers"]]
        texts = {"config.json": json.dumps(config).encode()}
        texts["manifest.json"] = json.dumps([{**manifest, "Config": "config.json"}]).encode()
        for name in manifest["Layers"]:
            texts[name] = _content(old, name)
        for name, content in texts.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            new.addfile(header, io.BytesIO(content))


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


@pytest.fixture(scope="session")
def buildah(store_root: Path) -> Iterator[Buildah]:
    """Give buildah with the image busybox that tinybox has."""
    if not shutil.which("buildah") or not shutil.which("skopeo"):
        pytest.skip("buildah and skopeo are not installed: tools/setup.sh packages test")
    root = Path(tempfile.mkdtemp(prefix="tinybox-buildah-", dir="/var/tmp"))
    found = Buildah(root)
    archive = root / "busybox.tar"
    assert Command(store_root)("save", "-o", str(archive), "busybox").returncode == 0
    with_history(archive, root / "base.tar")
    found.take(root / "base.tar", "busybox")
    yield found
    remove_tree(str(root))


@pytest.fixture
def built(tinybox: Command) -> Iterator[Command]:
    """Give the command; afterwards the images that a test has made and the build cache are removed."""
    store = Store(tinybox.root)
    before = set(store.ids())
    yield tinybox
    for image in store.images():
        if image.id not in before:
            removal.remove(store, image.reference or image.id)
    cache.clear(store)
