"""One request and its answer, as they may be shown (`--explain`): without passwords, tokens, cookies and signatures.

Only headers and parameters that are listed here are kept. So a new header that has a secret is not shown by mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

SENT = ("Accept", "Range", "Content-Type", "Content-Range", "Content-Length")
RECEIVED = (
    *("Content-Type", "Content-Length", "Content-Range", "Docker-Content-Digest", "Docker-Distribution-Api-Version"),
    *(
        "WWW-Authenticate",
        "Location",
        "Link",
        "Range",
        "Retry-After",
        "Server",
        "RateLimit-Limit",
        "RateLimit-Remaining",
    ),
)
ADDRESSES = ("Location", "Link")  # headers whose value has an address, which may be signed
PARAMETERS = ("service", "scope", "mount", "from", "digest", "n", "last")  # of an address; see `address`
HIDDEN = "(not shown)"
LONGEST = 2000  # characters of one value


class Exchange(NamedTuple):
    """One request and its answer: *url* is an `address`, *sent* and *received* are headers.

    *at* is the time of the request by CLOCK_MONOTONIC, and *took* the time until the headers of the answer, in
    nanoseconds.
    """

    method: str
    url: str
    status: int
    sent: dict[str, str]
    received: dict[str, str]
    at: int
    took: int


def told(
    method: str, url: str, status: int, sent: Mapping[str, str], received: Mapping[str, str], at: int, took: int
) -> Exchange:
    """Return what may be shown of a request and its answer."""
    shown = {name: sent[name][:LONGEST] for name in SENT if name in sent}
    if "Authorization" in sent:
        shown["Authorization"] = f"{sent['Authorization'].partition(' ')[0]} {HIDDEN}"
    found = {name: str(received[name])[:LONGEST] for name in RECEIVED if name in received}
    for name in ADDRESSES:
        if name in found:
            found[name] = address(found[name].partition("<")[2].partition(">")[0] or found[name])
    return Exchange(method, address(url), status, shown, found, at, took)


def address(url: str) -> str:
    """Return *url* without a user, and with only those parameters of its query that have no secret: ``...`` for others.

    A signed address is a key: it opens what is there to every program that has it.
    """
    try:
        scheme, host, path, query, _ = urlsplit(url)
        fields = parse_qsl(query, keep_blank_values=True)
    except ValueError:
        return HIDDEN
    kept = [f"{name}={value}" for name, value in fields if name in PARAMETERS]
    kept += ["..."] * (len(kept) < len(fields))
    base = f"{scheme}://{host.rpartition('@')[2]}{path}" if host else path
    return f"{base}?{'&'.join(kept)}"[:LONGEST] if kept else base[:LONGEST]
