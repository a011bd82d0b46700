"""The meaning of -p, in docker's syntax, and its errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tinybox.container.config import port_option
from tinybox.container.network import published_ports
from tinybox.errors import UsageError

PORT = some.integers(1, 65535)


def plain(word: str) -> list[tuple[str, int, int, str]]:
    """Return the ports of *word* as tuples: address, port of the host, port of the box, protocol."""
    found = port_option.parsed(word)
    return [(port["hostIp"], port["hostPort"], port["containerPort"], port["protocol"]) for port in found]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("8080:80", [("", 8080, 80, "tcp")]),
        ("80", [("", 0, 80, "tcp")]),
        ("53:53/udp", [("", 53, 53, "udp")]),
        ("53:53/UDP", [("", 53, 53, "udp")]),
        ("127.0.0.1:8080:80", [("127.0.0.1", 8080, 80, "tcp")]),
        ("127.0.0.1::80", [("127.0.0.1", 0, 80, "tcp")]),
        ("0:80", [("", 0, 80, "tcp")]),
        ("[::1]:8080:80", [("::1", 8080, 80, "tcp")]),
        ("8000-8001:80-81", [("", 8000, 80, "tcp"), ("", 8001, 81, "tcp")]),
        ("80-81", [("", 0, 80, "tcp"), ("", 0, 81, "tcp")]),
    ],
)
def test_meaning(word: str, meant: list[tuple[str, int, int, str]]) -> None:
    """[ADDRESS:][HOST:]BOX[/PROTOCOL]; without HOST, or with 0, any free port; ranges one by one."""
    assert plain(word) == meant


def test_a_range_for_one_port() -> None:
    """Several ports of the host for one of the box: a free one among them is chosen later."""
    assert port_option.parsed("8000-8010:80") == [
        {"hostIp": "", "hostPort": 8000, "hostPortLast": 8010, "containerPort": 80, "protocol": "tcp"}
    ]


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("", "no port specified"),
        ("8080:", "no port specified"),
        ("a", "invalid containerPort: a"),
        ("0", "invalid containerPort: 0"),
        ("65536", "invalid containerPort: 65536"),
        ("-80", "invalid containerPort: -80"),
        ("81-80", "invalid containerPort: 81-80"),
        ("٣:80", "invalid hostPort: ٣"),
        ("70000:80", "invalid hostPort: 70000"),
        ("80:80/sctp", "invalid proto: sctp"),
        ("80/", "invalid proto: tcp"),
        ("8000-8001:80-82", "invalid ranges specified for container and host Ports: 80-82 and 8000-8001"),
        ("elsewhere:80:80", "invalid IP address: elsewhere"),
        ("1.2.3:80:80", "invalid IP address: 1.2.3"),
        ("::1:80:80", "invalid IP address: ::1"),
    ],
)
def test_errors(word: str, cause: str) -> None:
    """The error names the option as it was written, with docker's text for the cause."""
    with pytest.raises(UsageError) as caught:
        port_option.parsed(word)
    assert str(caught.value).startswith(f"--publish {word}: {cause}")


@given(PORT, PORT, some.sampled_from(("", "127.0.0.1", "10.1.2.3", "::1")), some.sampled_from(("tcp", "udp")))
def test_the_output_of_port_can_be_given_to_p(outer: int, inner: int, address: str, protocol: str) -> None:
    """`tinybox port` prints a port in the syntax of -p."""
    (port,) = port_option.parsed(f"{outer}:{inner}/{protocol}")
    port["hostIp"] = address
    word = f"{published_ports.outside(port)}:{published_ports.inside(port)}"
    assert port_option.parsed(word) == [{**port, "hostIp": address or "0.0.0.0"}]  # noqa: S104  compared


@pytest.mark.parametrize(
    ("words", "collide"),
    [
        (["80:1", "80:2"], True),
        (["80:1", "127.0.0.1:80:2"], True),
        (["8000-8005:1-6", "8003:9"], True),
        (["80:1", "80:2/udp"], False),
        (["127.0.0.1:80:1", "127.0.0.2:80:2"], False),
        (["1", "2"], False),
        (["80:1", "80:1"], False),
    ],
)
def test_a_port_leads_to_one_port(words: list[str], collide: bool) -> None:
    """One port of the host, on one address, for two of the box is refused before anything is made."""
    if collide:
        with pytest.raises(UsageError, match="is published twice"):
            port_option.ports(words)
    else:
        port_option.ports(words)


def test_all_exposed_ports() -> None:
    """-P adds the exposed ports that -p does not name, each by a free port of the host."""
    opened = port_option.exposed(["80", "9000-9001/udp", "80/tcp"])
    assert opened == ["80/tcp", "9000/udp", "9001/udp"]
    added = port_option.all_of(port_option.ports(["8080:80"]), opened)
    assert [(port["hostPort"], published_ports.inside(port)) for port in added] == [(0, "9000/udp"), (0, "9001/udp")]


@pytest.mark.parametrize("word", ["x", "80/sctp", "0", "9-8"])
def test_invalid_exposed_ports(word: str) -> None:
    """--expose checks as strictly."""
    with pytest.raises(UsageError, match=f"--expose {word}"):
        port_option.exposed([word])
