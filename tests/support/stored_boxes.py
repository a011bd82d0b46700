"""Containers that never ran: their files are written by the functions that a real run uses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tinybox.container.records import naming, spec, state
from tinybox.container.records.paths import Paths

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 1_000_000_000
CONFIG_SIZE = 20_000  # bytes, the size of a real config.json


def home_at(path: Path) -> Paths:
    """Return a `Paths` below *path*, with its directories made."""
    paths = Paths(str(path))
    paths.prepare()
    return paths


def store(paths: Paths, name: str, *, created: int, labels: dict[str, str] | None = None, **ended: Any) -> str:
    """Put a container into the store; with *ended*, take its state through a whole run; return its id."""
    container = os.urandom(32).hex()
    os.mkdir(paths.bundle(container))
    record = state.lock(paths, container)
    naming.reserve(paths, name, container)
    annotations = {spec.NAME: name, spec.IMAGE: "ab" * 32, spec.IMAGE_NAME: "alpine:3", spec.LAYERS: "/l/1:/l/2"}
    annotations |= {spec.LABEL + key: value for key, value in (labels or {}).items()}
    command = ["sh", "-c", "exit 1"]
    record.write(id=container, status=state.NEW, createdAt=created, command=command, annotations=annotations)
    if ended:
        record.write(status=state.CREATING)
        record.write(status=state.CREATED, pid=1, startTicks=1)
        record.write(status=state.RUNNING, startedAt=created)
        record.write(**{"status": state.STOPPED, "pid": 0, "finishedAt": created + SECOND, **ended})
    record.close()
    return container


def crowd(paths: Paths, count: int) -> None:
    """Put *count* stopped containers into the store, each with a config.json as long as a real one."""
    for number in range(count):
        container = store(paths, f"box-{number}", created=(1000 + number) * SECOND, exitCode=number % 3)
        with open(os.path.join(paths.bundle(container), "config.json"), "w", encoding="utf-8") as file:
            file.write(" " * CONFIG_SIZE)
