"""Authentication: answer the challenge of a registry (401) with basic credentials, or with a token of its token server.

See "Token Authentication" of the distribution project: the challenge names a *realm*, the address of the token server,
and a *service*. The token server gives a token for the *scopes* that the client names, such as
``repository:library/alpine:pull``. Without credentials it gives one that may read public repositories.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from tinybox.errors import HostError, ImageError
from tinybox.images.registry import hosts
from tinybox.images.registry.transport import Transport
from tinybox.linux import quick_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.images.registry.credentials import Credentials
    from tinybox.images.registry.hosts import Place
    from tinybox.images.registry.transport import Listener, Response

_TOKEN = {"token": str, "access_token": str, "refresh_token": str}
CLIENT = "tinybox"
_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')  # between two commas; a comma in quotes is a part of it


class Challenge(NamedTuple):
    """A header WWW-Authenticate: its *scheme* in lower case, and its parameters."""

    scheme: str
    parameters: dict[str, str]


def challenges(answer: Response) -> list[Challenge]:
    """Return the challenges in the headers of *answer*; see RFC 9110, section 11.6.1."""
    found: list[Challenge] = []
    for header in answer.headers.getlist("WWW-Authenticate"):
        for item in map(str.strip, _ITEM.findall(header)):
            scheme, space, rest = item.partition(" ")
            if (space and "=" not in scheme) or "=" not in item:
                found.append(Challenge(scheme.lower(), {}))
                item = rest  # noqa: PLW2901  its first parameter follows the scheme
            name, equals, value = item.partition("=")
            if found and equals:
                found[-1].parameters[name.strip().lower()] = value.strip().removeprefix('"').removesuffix('"')
    return found


def authorization(
    answer: Response, place: Place, scopes: Sequence[str], credentials: Credentials | None, listen: Listener
) -> str:
    """Return the header Authorization that the challenge in *answer* asks for, with a new token if it wants one.

    ImageError: the registry refuses the credentials, or wants some and there are none.
    """
    for challenge in challenges(answer):
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            return f"Bearer {_token(challenge.parameters, place, scopes, credentials, listen)}"
        if challenge.scheme == "basic" and credentials is not None and credentials.user:
            return basic(credentials)
    raise denied(place.name, known=credentials is not None)


def basic(credentials: Credentials) -> str:
    """Return the header Authorization with a user and password; see RFC 7617."""
    return "Basic " + base64.b64encode(f"{credentials.user}:{credentials.password}".encode()).decode()


def denied(host: str, *, known: bool) -> ImageError:
    """Return the error for a registry that refuses access."""
    cause = "it refuses these credentials" if known else "access denied: it wants a user and a password"
    return ImageError(f"registry {host}", cause, f"tinybox login {host}")


def _token(
    challenge: dict[str, str], place: Place, scopes: Sequence[str], credentials: Credentials | None, listen: Listener
) -> str:
    host, realm = place.name, challenge["realm"]
    scheme, server = _server(realm, host)
    if scheme != "https" and not (scheme == "http" and (hosts.is_loopback(server) or hosts.is_insecure(server))):
        cause = f"its token server {scheme}://{server} is not encrypted"
        raise ImageError(f"registry {host}", cause, "no password is sent there; use another registry")
    named = [scope for scope in scopes if scope] or [challenge.get("scope", "")]
    fields = [("service", challenge["service"])] if challenge.get("service") else []
    fields += [("scope", scope) for scope in named if scope]
    verify = False if server == place.host and not place.verify else None  # --tls-verify=false is meant for both
    transport = Transport(hosts.places(server, "", verify=verify)[-1]._replace(schemes=(scheme,)), listen)
    if credentials is not None and credentials.token:
        fields = [(name, value) for name, value in fields if name != "scope"] + [("scope", " ".join(named))]
        fields += [("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", credentials.token)]
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = transport.send("POST", realm, kind, urlencode(fields).encode())
    else:
        headers = {}
        if credentials is not None:
            headers["Authorization"] = basic(credentials)
            fields.append(("account", credentials.user))
        answer = transport.send("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(fields)}", headers)
    return _token_in(answer, host, known=credentials is not None)


def _server(realm: str, host: str) -> tuple[str, str]:
    """Return the scheme and the host of a token server; ImageError: *realm* is no URL."""
    try:
        return urlsplit(realm)[:2]
    except ValueError as error:
        cause = f"its token server {realm[:100]!r} is no address"
        raise ImageError(f"registry {host}", cause, "it is at fault") from error


def _token_in(answer: Response, host: str, *, known: bool) -> str:
    if answer.status in {400, 401, 403}:
        raise denied(host, known=known)
    if answer.status != 200:
        raise HostError(f"registry {host}", f"its token server answers {answer.status}", "try again later")
    try:
        document = quick_json.loads(answer.data.decode())
        wrong = quick_json.misfit(document, _TOKEN)
    except ValueError as error:
        wrong = str(error)
    token = "" if wrong else document.get("token") or document.get("access_token") or ""
    if not token or not (token.isascii() and token.isprintable()):  # it goes into a header
        raise HostError(f"registry {host}", f"its token server gives no token {wrong}".rstrip(), "try again later")
    return str(token)
