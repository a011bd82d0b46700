"""Guards that count calls and modules need compiled files, which PYTHONDONTWRITEBYTECODE keeps Python from writing."""

from __future__ import annotations

import compileall
from pathlib import Path

import pytest

import tinybox


@pytest.fixture(autouse=True, scope="session")
def compiled() -> None:
    """Compile what has changed: a command that compiles makes more calls, and takes longer."""
    compileall.compile_dir(Path(tinybox.__file__).parent, quiet=1)
