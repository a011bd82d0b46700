"""The firewall's rules by libnftables, and by the program nft(8) where there is no such library: the same table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.network_boxes import everything
from tinybox.errors import HostError, StepError
from tinybox.isolation.network import firewall
from tinybox.linux.sockets import nftables
from tinybox.linux.sockets.nftables import Nftables

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

NO_LIBRARY = "libnftables.so.none"
BRIDGE = firewall.Bridge("tinybox7", ["172.31.0.2/16", "fd00::2/64"], internal=False)
CLOSED = firewall.Bridge("tinybox8", ["10.88.0.2/16"], internal=True)
PORTS = [
    firewall.Published("", 8080, "tcp", "172.31.0.2", 80),
    firewall.Published("127.0.0.1", 5353, "udp", "172.31.0.2", 53),
]


@pytest.mark.usefixtures("store_root")  # it makes the test's own network namespace
def test_both_ways_make_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaded, changed and listed by each of the two: the same text; then the table is gone. Only one has a socket."""
    before, listed = everything(), []
    for library in (nftables.LIBRARY, NO_LIBRARY):
        monkeypatch.setattr(nftables, "LIBRARY", library)
        with Nftables() as nft:
            assert (nft.socket >= 0) == (library != NO_LIBRARY)
            firewall.load(nft, [BRIDGE])
            firewall.load(nft, [BRIDGE, *PORTS])  # a second time: in place of the first table
            firewall.exchange(nft, PORTS[:1], [CLOSED])
            listed.append(firewall.listed())
            firewall.clear(nft)
            assert firewall.listed() == ""
    assert listed[0] == listed[1]
    assert all(word in listed[0] for word in ("tinybox8", "udp . 5353", "172.31.0.0/16", "masquerade"))
    assert "8080" not in listed[0]
    assert everything() == before


@pytest.mark.usefixtures("store_root")
@pytest.mark.parametrize("library", [nftables.LIBRARY, NO_LIBRARY])
def test_a_refused_script_is_one_line(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """An element for a table that does not exist, or one port for two boxes: nft's message without a place.

    It names the reason, not the table that was not there to be deleted. Nothing has changed.
    """
    monkeypatch.setattr(nftables, "LIBRARY", library)
    again = firewall.Published("", 8080, "tcp", "172.31.0.3", 80)
    with Nftables() as nft:
        for act, members in ((firewall.add, [BRIDGE]), (firewall.load, [*PORTS, again])):
            with pytest.raises(StepError) as raised:
                act(nft, members)
            assert raised.value.cause.startswith("Error: ")
            assert "\n" not in raised.value.cause
    assert "File exists" in raised.value.cause
    assert firewall.listed() == ""


def test_neither_of_them_is_one_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the library and the program: one error names the program that is missing, and the cure."""
    monkeypatch.setattr(nftables, "LIBRARY", NO_LIBRARY)
    monkeypatch.setattr(nftables, "PROGRAMS", (str(tmp_path / "nft"),))
    with pytest.raises(HostError, match=r"nft: is not installed .*apt-get install nftables"):
        Nftables()
    assert firewall.listed() == ""
