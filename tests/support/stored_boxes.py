"""Containers that never ran: their files are written by the functions that a real run uses."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tinybox.container.records import naming, spec, state
from tinybox.container.records.paths import Paths

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


def endpoint(network: str, address: str, **more: object) -> dict[str, object]:
    """Return an endpoint in *network* as network.json has it."""
    names = dict.fromkeys(("bridge", "interface", "link", "gateway", "mac"), "")
    return {"network": network, "id": f"id-of-{network}", "address": f"{address}/16", **names, **more}


def connected(paths: Paths, name: str, *endpoints: dict[str, object]) -> str:
    """Write what other boxes read of a box that runs with *endpoints*: its record, its name, its files; return its id.

    There is no process.
    """
    container = name.encode().hex().ljust(64, "0")
    live, bundle = Path(paths.run_directory(container)), Path(paths.bundle(container))
    live.mkdir()
    bundle.mkdir()
    (live / "network.json").write_text(json.dumps(endpoints))
    (bundle / "hosts").write_text("127.0.0.1\tlocalhost\n")
    (bundle / "hostname").write_text(f"host-{name}\n")
    os.symlink(container, f"{paths.run}/{name}")
    return container
