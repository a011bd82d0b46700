"""A network namespace for this test run alone: root's pytest moves into a new one at its start.

So the links, addresses, firewall rules and network settings of the kernel that the tests make or read are their own,
however many test runs and other programs use the network of the machine at the time. See network_namespaces(7).
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

_machines = NOWHERE  # an fd of the network namespace in which this process began


def pytest_configure(config: pytest.Config) -> None:
    """Leave the machine's network for a new one, with ``lo`` up; this needs root."""
    global _machines  # noqa: PLW0603  there is one network a process
    if os.geteuid() == 0 and _machines == NOWHERE:
        _machines = os.open(MACHINES, os.O_RDONLY | os.O_CLOEXEC)
        process.unshare(process.CLONE_NEWNET)
        namespaces.loopback_up()
        os.makedirs(pools.folder(), 0o700, exist_ok=True)
        Path(pools.folder(), warnings.TOLD).touch()  # messages that come once a boot could appear in any test


def pytest_unconfigure(config: pytest.Config) -> None:
    """Return to the first network namespace: the new one ends with its last process."""
    global _machines  # noqa: PLW0603
    if _machines != NOWHERE:
        shutil.rmtree(pools.folder())
        process.setns(_machines, process.CLONE_NEWNET)
        os.close(_machines)
        _machines = NOWHERE


@contextlib.contextmanager
def of_the_machine() -> Iterator[None]:
    """Use the machine's own network in this context, where packages can be downloaded."""
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
