"""A build context and the root of an image side by side, for tests of COPY and ADD without a mount."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from tinybox.build import containerfile
from tinybox.build.files import copying
from tinybox.build.files.context import Context

if TYPE_CHECKING:
    from pathlib import Path


class Copies:
    """A context and an image's root, side by side; call it with an instruction."""

    def __init__(self, folder: Path) -> None:
        self.context, self.root, self.outside = folder / "context", folder / "root", folder / "outside"
        for path in (self.context, self.root, self.outside):
            path.mkdir()
        self.workdir = "/"
        self.from_stage = False

    def __call__(self, text: str, **values: str) -> list[str]:
        """Copy, and return the files that were left out."""
        with self.source() as source:
            return self.copy_of(self.request(text, **values), source)

    def copy_of(self, request: copying.CopyRequest, source: Context) -> list[str]:
        """Do what *request* says, and return the files that were left out."""
        fd = os.open(self.root, os.O_PATH | os.O_DIRECTORY)
        try:
            return copying.copy(request, source, fd)
        finally:
            os.close(fd)

    def request(self, text: str, **values: str) -> copying.CopyRequest:
        """Return the request of the instruction *text*."""
        file = containerfile.parse(text.encode("utf-8", "surrogateescape"), "Containerfile")
        return copying.read(file.instructions[-1], values, file.escape, {"WorkingDir": self.workdir})

    def digest(self, text: str, **values: str) -> str:
        """Return the digest of an instruction."""
        with self.source() as source:
            return copying.digest(self.request(text, **values), source)

    def source(self) -> Context:
        """Open the context, or with `from_stage` the same files as a stage's."""
        if self.from_stage:
            return Context.of_root(os.open(self.context, os.O_RDONLY | os.O_DIRECTORY), "stage build")
        return Context.of_directory(str(self.context))

    def tree(self, top: str = "") -> dict[str, str]:
        """Return each path of the root with its type, mode and owner."""
        found = {}
        for folder, folders, names in os.walk(self.root / top):
            for name in folders + names:
                info = os.lstat(os.path.join(folder, name))
                path = os.path.relpath(os.path.join(folder, name), self.root / top)
                found[path] = f"{stat.filemode(info.st_mode)} {info.st_uid}:{info.st_gid}"
        return found


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    """Give an empty context and an empty root."""
    os.umask(0o022)
    return Copies(tmp_path)
