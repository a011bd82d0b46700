"""A box in a network, on real links: what it reaches, who reaches it, and what is left of it afterwards: nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.machines import HOST, MACHINE, another_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command
    from tests.kernel.machines import Machine

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Have another machine at the end of a cable."""
    with another_machine() as made:
        yield made


@pytest.fixture
def bridged(tinybox: Command) -> Command:
    """Give the command as users have it: a box is on the bridge."""
    tinybox.environment.pop("TINYBOX_NETWORK")
    return tinybox


def test_a_box_reaches_another_machine(bridged: Command, machine: Machine) -> None:
    """It connects to a machine that knows nothing of boxes, and that sees the host's address; --network none cannot."""
    with machine.listen(9000) as server:
        with bridged.start("run", "--rm", "busybox", "nc", "-w", "5", MACHINE, "9000") as box:
            connection, (address, _) = server.accept()
            connection.sendall(b"hello from outside\n")
            connection.close()
            out, err = box.communicate(timeout=20)
        assert (box.returncode, out, err, address) == (0, "hello from outside\n", "", HOST)
        alone = bridged("run", "--rm", "--network", "none", "busybox", "nc", "-w", "5", MACHINE, "9000")
        assert "Network is unreachable" in alone.stderr
