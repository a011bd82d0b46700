"""What the tests of machine code share: the machines whose programs can run here."""

from __future__ import annotations

import pytest

from tests.support.machine_programs import can_run


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    """Give each machine whose programs can run here."""
    name: str = request.param
    if not can_run(name):
        pytest.skip(f"no emulator runs programs for {name} here")
    return name
