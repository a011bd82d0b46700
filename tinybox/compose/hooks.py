"""post_start and pre_stop: programs that run in a service's container after its start and before its stop.

Their output goes to stderr. A program that fails is an error: `up` removes what it has made, `stop` stops nothing.
"""

from __future__ import annotations

import os

from tinybox.compose import conditions
from tinybox.container import execute
from tinybox.container.process import wait_loop
from tinybox.container.process.handles import Handles
from tinybox.container.records import host
from tinybox.container.running import running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.compose.reading.service import Hook, Service
    from tinybox.container.records.paths import Paths


def run(paths: Paths, service: Service, container: str, name: str, hooks: Iterable[Hook]) -> None:
    """Run *hooks*, the programs of the key *name*, in a running container; StateError: one did not end with 0."""
    for hook in hooks:
        status = _status(paths, container, hook)
        if status:
            raise conditions.failure(service, f"{name} hook exited with status {status}: {' '.join(hook.command)}")


def _status(paths: Paths, container: str, hook: Hook) -> int:
    with open(os.devnull, "rb") as null:
        handles = Handles((null.fileno(), 2, 2), interactive=False, watched=True)
        with running(paths, container) as target, wait_loop.Signals() as signals:
            program = execute.Execution(paths, host.read(paths.cache), target, hook.command, hook.options, handles)
            return program.run(signals).status
