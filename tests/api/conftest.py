"""The Python API in this process, as root, with the store of the test session; the host stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.no_trace import leaves_no_rules, leaves_no_trace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["leaves_no_rules", "leaves_no_trace"]


@pytest.fixture(scope="session", autouse=True)
def library(store_root: Path) -> Iterator[None]:
    """Let the library use the store of this session, and give boxes no network unless a test asks for one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYBOX_ROOT", str(store_root))
        patch.setenv("TINYBOX_NETWORK", "none")
        yield
