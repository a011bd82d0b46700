"""Whatever a registry answers, the functions that read it return a value or raise an error of tinybox."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from tinybox.errors import TinyboxError
from tinybox.images.registry import challenge, exchange, hosts, manifests, proxies
from tinybox.images.registry.repository import Repository, _is_rest, _next_page, _received, _says
from tinybox.images.registry.transport import Transport

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=12), below, max_size=4),
    max_leaves=20,
)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80)
CHALLENGE = st.lists(
    st.sampled_from(
        ["Bearer", "Basic", " ", ",", "realm=", "service=", '"', "http://[::1/t", "\\", "scope=x", "=", "é"]
    ),
    max_size=12,
).map("".join)


def answer(body: bytes = b"", status: int = 200, **headers: str) -> urllib3.HTTPResponse:
    """Return an answer as urllib3 gives it; in the names of headers _ stands for -."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return urllib3.HTTPResponse(io.BytesIO(body), names, status, preload_content=False)


def place() -> hosts.Place:
    """Return a registry on loopback."""
    return hosts.places("127.0.0.1:1", "box")[-1]


@given(CHALLENGE | HEADER)
def test_any_challenge(header: str) -> None:
    """A challenge is parsed, or passed over; its parameters are texts."""
    for found in challenge.challenges(answer(status=401, WWW_Authenticate=header)):
        assert found.scheme == found.scheme.lower()
        assert all(isinstance(value, str) for value in found.parameters.values())


def test_the_challenges_of_registries() -> None:
    """Several challenges, quoted commas, and parameters without quotes, as in RFC 9110, section 11.6.1."""
    header = 'Basic realm="a, b", Bearer realm="https://x/t",service=s,scope="repository:a:pull,push"'
    basic, bearer = challenge.challenges(answer(status=401, WWW_Authenticate=header))
    assert basic == ("basic", {"realm": "a, b"})
    fields = {"realm": "https://x/t", "service": "s", "scope": "repository:a:pull,push"}
    assert bearer == ("bearer", fields)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_any_token(body: bytes) -> None:
    """A token is text that a header can have, or there is an error."""
    try:
        token = challenge._token_in(answer(body), "x", known=True)
    except TinyboxError:
        return
    assert token.isascii()
    assert token.isprintable()


@pytest.mark.parametrize("token", [5, ["x"], {}, None, "", "a\nb", "a\r\nX: y", "\u00e9", "\u2603", "a\x7f"])
def test_a_strange_token(token: Any) -> None:
    """A token that is no text, or that would end a header, is refused. Control: a usual one is taken."""
    with pytest.raises(TinyboxError, match="gives no token"):
        challenge._token_in(answer(json.dumps({"token": token}).encode()), "x", known=True)
    assert challenge._token_in(answer(b'{"access_token": "a.b"}'), "x", known=True) == "a.b"


@given(HEADER | st.sampled_from(["http://[", "//", "http://a:b:c/", "https://x:99999999/", "http://127.0.0.1:x/"]))
def test_any_location(location: str) -> None:
    """A redirect leads to an address of http or https, or there is an error."""
    transport = Transport(place())
    try:
        found = transport.target("http://127.0.0.1:1/v2/", location)
        scheme, _ = transport.server(found)
    except TinyboxError:
        return
    assert scheme in {"http", "https"}


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_manifest(content: bytes) -> None:
    """A manifest is one, an index, or an error; so is the choice in an index."""
    for read in (manifests.read_manifest, lambda text, thing: manifests.choose(text, manifests.this_platform(), thing)):
        with contextlib.suppress(TinyboxError):
            read(content, "x")


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_any_list_of_tags(body: bytes) -> None:
    """Every tag of a list is one, so that it can be a part of a name; or there is an error."""
    repository = Repository(place(), "pull", None)
    try:
        tags = repository._tags_in(answer(body))
    except TinyboxError:
        return
    assert all(tag and "/" not in tag and tag.isprintable() for tag in tags)


@given(HEADER)
def test_any_other_header(header: str) -> None:
    """Range, Content-Length, Content-Range, Link and the words of an error are read without an exception."""
    assert _received(answer(Range=header)) >= 0
    assert _is_rest(answer(status=206, Content_Range=header), 9, 3) in {True, False}
    assert isinstance(_next_page(header), str)
    assert isinstance(_says(answer(header.encode())), str)


@given(HEADER, st.text("abc%=;/?@:", max_size=20))
def test_a_shown_address_has_no_secret(text: str, secret: str) -> None:
    """An address that is shown has neither a user nor a parameter that is not known to be harmless."""
    assert isinstance(exchange.address(text), str)
    shown = exchange.address(f"https://u:pa55@host/path?sig=s1g{secret}&scope=a")
    assert shown == "https://host/path?scope=a&..."


def test_only_known_headers_are_shown() -> None:
    """Set-Cookie and unknown headers are left out, Authorization is its scheme. Control: Content-Type is shown."""
    sent = {"Authorization": "Bearer t0ken", "Cookie": "a", "Accept": "x"}
    found = exchange.told("GET", "http://x/", 200, sent, {"Set-Cookie": "b", "Content-Type": "y", "X-Token": "z"}, 0, 1)
    assert found.sent == {"Accept": "x", "Authorization": "Bearer (not shown)"}
    assert found.received == {"Content-Type": "y"}


@pytest.mark.parametrize(
    ("host", "no_proxy", "way"),
    [
        ("registry.example:5000", "", "http://proxy:3128"), ("registry.example:5000", "example", None),
        ("registry.example:5000", ".example", None), ("registry.example:5000", "*.example", None),
        ("registry.example:5000", "registry.example:5000", None),
        ("registry.example:5000", "registry.example:80", "http://proxy:3128"),
        ("aregistry.example", "registry.example", "http://proxy:3128"), ("10.1.2.3", "10.0.0.0/8, x", None),
        ("11.1.2.3", "10.0.0.0/8", "http://proxy:3128"), ("[fd00::1]:5000", "fd00::/8", None), ("x", "*", None),
        ("x", ",,", "http://proxy:3128"),
    ],
)  # fmt: skip
def test_the_exceptions_of_a_proxy(monkeypatch: pytest.MonkeyPatch, host: str, no_proxy: str, way: str | None) -> None:
    """NO_PROXY has hosts, domains, ports, addresses and networks."""
    for name in ("all_proxy", "ALL_PROXY", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "proxy:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxies.proxy("https", host) == way
