"""Images that an attacker has made: busybox, files and links of any kind, and any config."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

from tests.support.image_archives import Member, archive, directory, regular, symlink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.forked_commands import Outcome

APPLETS = (
    "cat env grep id ln ls mkdir mv pwd readlink rm rmdir sh sleep stat test touch true umount unshare mount".split()
)
USUAL = ("dev", "etc", "proc", "sys", "tmp")

_numbers = itertools.count()


class Images:
    """Makes images in the store of *engine*, and removes them."""

    def __init__(self, engine: Callable[..., Outcome], folder: Path) -> None:
        self._engine, self._folder = engine, folder
        self.names: list[str] = []

    def make(self, *members: Member, without: tuple[str, ...] = (), **config: Any) -> str:
        """Load an image with these *members*, the usual directories but those *without*, and *config*; name it."""
        name = f"hostile-{os.getpid()}-{next(_numbers)}"
        with open("/bin/busybox", "rb") as file:
            busybox = regular("bin/busybox", file.read(), mode=0o755)
        usual = [directory(each) for each in USUAL if each not in without]
        applets = [symlink(f"bin/{each}", "busybox") for each in APPLETS]
        path = self._folder / f"{name}.tar"
        _write(path, archive([directory("bin"), busybox, *applets, *usual, *members]), name, config)
        done = self._engine("load", "-i", str(path))
        assert done.status == 0, done
        path.unlink()
        self.names.append(name)
        return name

    def remove(self) -> None:
        """Remove the images that were made."""
        for name in self.names:
            assert self._engine("rmi", name).status == 0


def parents(path: Path) -> list[Member]:
    """Describe *path* and all directories above it, for an image that has the same path as the host."""
    return [directory(str(each)[1:]) for each in reversed([path, *path.parents[:-1]])]


def _write(path: Path, layer: bytes, name: str, config: dict[str, Any]) -> None:
    """Write an archive of `docker save` with one image of one *layer*."""
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"], **config},
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [f"{name}:latest"], "Layers": ["layer.tar"]}]
    files = {"layer.tar": layer}
    files |= {"config.json": json.dumps(document).encode(), "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as tar:
        for member, content in files.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
