"""An OCI runtime under test: its command, a state directory of its own, and bundles for it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from tests.support.engine_directories import RUNTIME
from tests.support.slowness import SLOWNESS
from tinybox.container.storage import plain_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE, TIMEOUT = 60.0 * SLOWNESS, 60.0 * SLOWNESS
Done = subprocess.CompletedProcess[str]


class Runtime:
    """``tinybox-oci --root FOLDER/state``, and bundles in *folder* whose root file system is that of *layers*."""

    def __init__(self, folder: Path, layers: list[str]) -> None:
        self.folder, self.layers = folder, layers
        self.root, self.bundle = folder / "state", folder / "bundle"
        self.commands = 0
        (self.bundle / "rootfs").mkdir(parents=True)
        plain_bundle.copy_merged(layers, str(self.bundle / "rootfs"))
        assert self("spec", "--bundle", str(self.bundle)).returncode == 0
        self.change(lambda config: config["process"].update(terminal=False))
        self.program("sleep", "1000")

    def __call__(self, *words: str, text: str = "", **options: Any) -> Done:
        """Run ``tinybox-oci WORDS``."""
        return self.through([], ["--root", str(self.root), *words], text=text, **options)

    def through(
        self, before: list[str], words: list[str], text: str = "", timeout: float = 30.0, **options: Any
    ) -> Done:
        """Run ``BEFORE tinybox-oci WORDS``, with files for the output: a process that stays would keep a pipe open.

        Each command has files of its own: the program of an earlier one may still write to that one's.
        """
        self.commands += 1
        out, err = self.streams()
        with out.open("w") as stdout, err.open("w") as stderr:
            settings: dict[str, Any] = options if "stdin" in options else {"input": text, **options}
            done = subprocess.run(
                [*before, RUNTIME, *words],
                stdout=stdout,
                stderr=stderr,
                text=True,
                check=False,
                timeout=TIMEOUT,
                **settings,
            )
        return Done(done.args, done.returncode, out.read_text(), err.read_text())

    def streams(self) -> tuple[Path, Path]:
        """Return the files of the last command's output and of its errors."""
        return self.folder / f"out.{self.commands}", self.folder / f"err.{self.commands}"

    def change(self, how: Callable[[dict[str, Any]], object]) -> None:
        """Change the bundle's config.json."""
        path = self.bundle / "config.json"
        config = json.loads(path.read_text())
        how(config)
        path.write_text(json.dumps(config))

    def program(self, *words: str) -> None:
        """Make *args* the bundle's program."""
        self.change(lambda config: config["process"].update(args=list(words)))

    def create(self, container: str, *words: str, **options: Any) -> Done:
        """Create a container from the bundle."""
        return self("create", "--bundle", str(self.bundle), *words, container, **options)

    def runs(self, container: str, *words: str) -> dict[str, Any]:
        """Create and start a container, and return its state."""
        done = self.create(container, *words)
        assert done.returncode == 0, done.stderr
        done = self("start", container)
        assert done.returncode == 0, done.stderr
        return self.state(container)

    def state(self, container: str) -> dict[str, Any]:
        """Return what ``state`` prints."""
        done = self("state", container)
        assert done.returncode == 0, done.stderr
        state: dict[str, Any] = json.loads(done.stdout)
        return state

    def status(self, container: str) -> str:
        """Return the container's status."""
        return str(self.state(container)["status"])

    def until(self, container: str, status: str) -> None:
        """Wait until a container has that status."""
        deadline = time.monotonic() + PATIENCE
        while self.status(container) != status:
            assert time.monotonic() < deadline, self.status(container)
            time.sleep(0.01)

    def close(self) -> None:
        """Remove every container that a test has left."""
        for container in self("list", "--quiet").stdout.split():
            done = self("delete", "--force", container)
            assert done.returncode == 0, done.stderr
        assert sorted(os.listdir(self.root) if self.root.exists() else []) in ([], [".cache"])
