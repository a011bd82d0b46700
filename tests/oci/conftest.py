"""Every test below this directory leaves the host as it found it: two fixtures see to that."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import no_trace
from tests.support.engine_directories import remove_groups
from tests.support.no_trace import leaves_no_rules, leaves_no_trace
from tests.support.oci_runtimes import Runtime
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["leaves_no_rules", "leaves_no_trace"]


@pytest.fixture
def runtime(store_root: Path) -> Iterator[Runtime]:
    """Give an OCI runtime with a bundle of busybox; remove its containers, and assert that nothing is left then."""
    folder = Path(tempfile.mkdtemp(prefix="tinybox-oci-", dir="/var/tmp"))
    runtime = Runtime(folder, Store(str(store_root)).image("busybox").layers)
    yield runtime
    runtime.close()
    shutil.rmtree(folder)


@pytest.fixture
def room() -> Iterator[str]:
    """Give a path for control groups as an engine would choose it, and remove it."""
    room = f"/{no_trace.room()}-test-of-an-engine"
    yield room
    remove_groups(room)
