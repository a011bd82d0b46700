"""What the fixtures give to a test: a running container, and a compose project."""

from __future__ import annotations

import json
import os
import uuid
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_tinybox.command import Command

LABEL = "pytest-tinybox"  # `tinybox ps -aq --filter label=pytest-tinybox` finds what a killed pytest has left
FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
LAST_LINES = "200"  # of the output that a failure shows


class Shown(Protocol):
    """A thing whose output is shown when a test fails."""

    kind: str
    name: str

    def output(self) -> str:
        """Return its last lines, without control characters."""


def new_name() -> str:
    """Return a name that no other test has."""
    return f"pytest-{uuid.uuid4().hex[:12]}"


def option_words(options: Mapping[str, Any]) -> list[str]:
    """Return Python keywords as options of the command: ``env={"A": "1"}, rm=True`` is ``--env=A=1 --rm``."""
    words: list[str] = []
    for key, value in options.items():
        name = f"--{key.replace('_', '-')}"
        if isinstance(value, bool):
            words += [name] * value
        elif isinstance(value, dict):
            words += [f"{name}={each}={text}" for each, text in value.items()]
        elif value is not None:
            words += [f"{name}={each}" for each in (value if isinstance(value, list | tuple) else [value])]
    return words


def printable(text: str) -> str:
    """Return *text* with its lines, but without other control characters: they would be commands to the terminal."""
    from tinybox import errors

    return "\n".join(map(errors.printable, text.replace("\r\n", "\n").split("\n")))


class Box:
    """A container that a test has made; `remove` is called at the end of the test."""

    kind = "container"

    def __init__(self, command: Command, id: str, name: str) -> None:  # noqa: A002
        self.tinybox, self.id, self.name = command, id, name

    @classmethod
    def run(cls, command: Command, image: str, words: Sequence[str], options: Mapping[str, Any]) -> Box:
        """Run *words* in a new container of *image* in the background; CommandError if it does not start."""
        given = {"name": new_name(), **options}
        try:
            done = command("run", "-d", f"--label={LABEL}", *option_words(given), image, *words)
        except BaseException:
            command("rm", "-f", "-v", given["name"], check=False)  # docker keeps a container that could not start
            raise
        return cls(command, done.stdout.strip(), given["name"])

    def exec(self, *words: str, input: str | None = None) -> subprocess.CompletedProcess[str]:  # noqa: A002
        """Run *words* beside its program; return status, stdout and stderr, whatever the status is."""
        interactive = [] if input is None else ["-i"]
        return self.tinybox("exec", *interactive, self.id, *words, input=input, check=False)

    def logs(self) -> str:
        """Return its output so far, stdout and then stderr."""
        done = self.tinybox("logs", self.id, check=False)
        return done.stdout + done.stderr

    def inspect(self) -> dict[str, Any]:
        """Return everything about it, with docker's keys."""
        found: list[dict[str, Any]] = json.loads(self.tinybox("container", "inspect", self.id).stdout)
        return found[0]

    @property
    def status(self) -> str:
        """``running``, ``exited``, ``paused`` ..."""
        return str(self.inspect()["State"]["Status"])

    def port(self, inside: int | str) -> tuple[str, int]:
        """Return the address and the port of the host where its port *inside*, ``80`` or ``"53/udp"``, is published."""
        return _address(self.tinybox("port", self.id, str(inside)).stdout)

    def wait(self, timeout: float = 60) -> int:
        """Wait until it has ended, at most *timeout* seconds, and return its exit status."""
        return int(self.tinybox("wait", self.id, timeout=timeout).stdout)

    def stop(self, timeout: float = 10) -> None:
        """Stop it: KILL comes after *timeout* seconds."""
        self.tinybox("stop", f"--time={timeout:g}", self.id)

    def remove(self) -> None:
        """Remove it with its anonymous volumes, running or not; it may be gone already."""
        self.tinybox("rm", "-f", "-v", self.id)

    def output(self) -> str:
        """Return its last lines, without control characters."""
        done = self.tinybox("logs", "--tail", LAST_LINES, self.id, check=False)
        return printable(done.stdout + done.stderr)


class ComposeProject:
    """A compose project that is up while a test module runs."""

    kind = "compose project"

    def __init__(self, command: Command, file: str, name: str) -> None:
        self.tinybox, self.file, self.name = command, file, name

    def __call__(self, *words: str, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run ``tinybox compose WORDS`` on it; CommandError after another status than 0, unless ``check=False``."""
        return self.tinybox("compose", "-f", self.file, "-p", self.name, *words, **how)

    def up(self) -> None:
        """Bring it up, and wait until it is healthy; after an error its output is in the error."""
        self("up", "-d", "--wait")

    def down(self) -> None:
        """Take it down with its volumes."""
        self("down", "-v", "--remove-orphans")

    def exec(self, service: str, *words: str, input: str | None = None) -> subprocess.CompletedProcess[str]:  # noqa: A002
        """Run *words* in the container of *service*; return status, stdout and stderr, whatever the status is."""
        return self("exec", "-T", service, *words, input=input, check=False)

    def port(self, service: str, inside: int | str) -> tuple[str, int]:
        """Return the address and the port of the host where the port *inside* of *service* is published."""
        return _address(self("port", service, str(inside)).stdout)

    def logs(self, *services: str) -> str:
        """Return the output of *services*, or of all; each line begins with the name of its container."""
        return self("logs", "--no-color", *services).stdout

    def output(self) -> str:
        """Return its last lines, without control characters."""
        return printable(self("logs", "--no-color", "--tail", LAST_LINES, check=False).stdout)


def _address(text: str) -> tuple[str, int]:
    """Return ``0.0.0.0:8080`` as an address to connect to, and a port."""
    host, _, port = text.splitlines()[0].rpartition(":")
    return {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]")), int(port)  # noqa: S104


def compose_file(folder: Path) -> str:
    """Return the compose file in *folder*; without one, the test fails with the cure."""
    for name in FILES:
        if os.path.isfile(folder / name):
            return str(folder / name)
    pytest.fail(f"there is no compose.yaml in {folder}: add one, or override the fixture tinybox_compose_file")
