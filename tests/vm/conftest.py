"""A machine leaves the host as it found it: the fixture of the kernel tests checks that here, too."""

import pytest

from tests.support import own_network
from tests.support.no_trace import leaves_no_trace
from tests.vm.kernel import MachineError, fetch
from tests.vm.machine import KERNEL

__all__ = ["leaves_no_trace"]


@pytest.fixture(scope="session")
def kernel() -> None:
    """Download the kernel once, by the machine's network, which the tests themselves have left."""
    with own_network.of_the_machine():
        try:
            fetch(KERNEL)
        except MachineError as error:
            pytest.skip(f"no kernel for the machine: {error}")
