"""A network for this run of the tests alone: root's pytest lives in a network namespace of its own from the start.

So links, addresses, firewall rules and the kernel's network settings that the tests make or look at are theirs, however
many runs there are on one machine at a time, and whatever else that machine has. See network_namespaces(7).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tinybox.container.network import pools, warnings
from tinybox.isolation import namespaces
from tinybox.linux import process

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

MACHINES = "/proc/self/ns/net"
NOWHERE = -1

_machines = NOWHERE  # an fd of the network namespace that we came from


def pytest_configure(config: pytest.Config) -> None:
    """Leave the machine's network for a new one, with ``lo`` up; only root can."""
    global _machines  # noqa: PLW0603  there is one network a process
    if os.geteuid() == 0 and _machines == NOWHERE:
        _machines = os.open(MACHINES, os.O_RDONLY | os.O_CLOEXEC)
        process.unshare(process.CLONE_NEWNET)
        namespaces.loopback_up()
        os.makedirs(pools.folder(), 0o700, exist_ok=True)
        Path(pools.folder(), warnings.TOLD).touch()  # what is said once a boot would be said in any one test


def pytest_unconfigure(config: pytest.Config) -> None:
    """Go back where we came from: the namespace goes with its last process."""
    global _machines  # noqa: PLW0603
    if _machines != NOWHERE:
        shutil.rmtree(pools.folder())
        process.setns(_machines, process.CLONE_NEWNET)
        os.close(_machines)
        _machines = NOWHERE


@contextlib.contextmanager
def of_the_machine() -> Iterator[None]:
    """Be in the machine's own network meanwhile, where packages can be fetched from."""
    if _machines == NOWHERE:
        yield
        return
    own = os.open(MACHINES, os.O_RDONLY | os.O_CLOEXEC)
    process.setns(_machines, process.CLONE_NEWNET)
    try:
        yield
    finally:
        process.setns(own, process.CLONE_NEWNET)
        os.close(own)
