"""Projects for the tests: a compose file in a folder, its containers, and their removal afterwards."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from tests.support.detached_boxes import Life

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Command

STAYS = "[sh, -c, \"trap 'echo bye; exit 7' TERM; echo hello from $$NAME; while :; do sleep 0.05; done\"]"


class Project:
    """A project called *name* with its file in *folder*; a service with ``<<: *stays`` runs until it is stopped."""

    def __init__(self, tinybox: Command, folder: Path, name: str) -> None:
        self.tinybox, self.folder, self.name = tinybox, folder, name
        self.file = folder / "compose.yaml"

    def write(self, text: str) -> None:
        """Write the compose file; the anchors that services can refer to come first."""
        stays = f"x-stays: &stays\n  image: busybox\n  network_mode: none\n  command: {STAYS}\n"
        self.file.write_text(stays + text)

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``tinybox compose`` on it."""
        return self.tinybox(*self.words(*words))

    def words(self, *words: str) -> tuple[str, ...]:
        """Return the arguments of a compose command on this project."""
        return ("compose", "-f", str(self.file), "-p", self.name, *words)

    def up(self, *words: str) -> str:
        """Bring the project up in the background; it must succeed. Return what was printed."""
        done = self("up", "-d", *words)
        assert (done.returncode, done.stdout) == (0, ""), done
        return done.stderr

    def down(self, *words: str) -> None:
        """Take the project down; it must succeed."""
        done = self("down", "-v", "-t", "5", *words)
        assert done.returncode == 0, done

    def life(self, service: str) -> Life:
        """Return the container of a service."""
        return Life(self.tinybox, f"{self.name}-{service}-1")

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """Return what `ps` prints about its containers."""
        done = self("ps", "-a", "--format", "json", *words)
        assert done.returncode == 0, done
        return [json.loads(line) for line in done.stdout.splitlines()]

    def states(self) -> dict[str, str]:
        """Return the state of each of its services that has a container."""
        return {row["Service"]: row["State"] for row in self.rows()}


@contextlib.contextmanager
def project(tinybox: Command, folder: Path, text: str, name: str = "shop") -> Iterator[Project]:
    """Give a project with this compose file, not yet up; afterwards remove all that it made."""
    made = Project(tinybox, folder, name)
    made.write(text)
    try:
        yield made
    finally:
        made.write("services: {}\n")
        done = made("down", "-v", "--remove-orphans", "-t", "0")
        assert done.returncode == 0, done
