"""The long form of --network, and the options of docker's driver: some are taken, and some refused in one line."""

from __future__ import annotations

import pytest

from tinybox.container.config import network_option
from tinybox.container.network import driver_options
from tinybox.errors import UsageError

BRIDGE = "com.docker.network.bridge."


def test_the_long_form() -> None:
    """Each key of docker's is a field of the request; a list is written by its key again."""
    text = "name=web,alias=a,alias=b,ip=10.0.0.2,gw-priority=-3,driver-opt=x=y=z,link-local-ip=169.254.1.1"
    assert network_option.fields(text) == {
        "name": "web", "aliases": ["a", "b"], "address": "10.0.0.2", "priority": -3,
        "driver_options": {"x": "y=z"}, "link_local": ["169.254.1.1"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("name=x,bogus=1", "invalid field key bogus"),
        ("name=x,gw-priority=a", "invalid gw-priority \\(a\\): invalid syntax"),
        ("alias=b", "network name/id is not specified"),
    ],
)
def test_dockers_sentences(text: str, cause: str) -> None:
    """The causes are those of docker 28.2.2's client."""
    with pytest.raises(UsageError, match=cause):
        network_option.fields(text)


@pytest.mark.parametrize(
    "pair",
    ["mtu=9", "foo=bar", f"{BRIDGE}name=a-name-too-long1", f"{BRIDGE}name=a b", f"{BRIDGE}enable_icc=maybe",
     f"{BRIDGE}host_binding_ipv4=here", f"{BRIDGE}gateway_mode_ipv4=routed", f"{BRIDGE}name=lo"],
)  # fmt: skip
def test_wrong_options_of_a_network(pair: str) -> None:
    """Each is named; what docker has, and tinybox always does, is taken only with that value."""
    key, _, value = pair.partition("=")
    with pytest.raises(UsageError, match=f"--opt {key}"):
        driver_options.mtu({key: value}, ipv6=False)
    assert driver_options.mtu({f"{BRIDGE}gateway_mode_ipv4": "nat", "mtu": "1400"}, ipv6=False) == 1400
