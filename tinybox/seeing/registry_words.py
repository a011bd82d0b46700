"""What a request to a registry is for, and what its answer means, in the words of the OCI distribution-spec."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.images.registry.exchange import Exchange

SPEC, TOKENS, HTTP = "OCI distribution-spec", "distribution: Token Authentication", "RFC 9110"
_PATH = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>manifests|blobs/uploads|blobs|tags)/(?P<rest>[^?]*)")
_REDIRECTS, _BUSY = {301, 302, 303, 307, 308}, {408, 429, 500, 502, 503, 504}


class Words:
    """The words for the exchanges of one pull or push; *names* are those of the blobs, by digest, as far as known."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._targets: dict[str, str] = {}  # the digest of what another host sends, by the address of a redirect

    def learn(self, manifest: dict[str, Any]) -> None:
        """Learn from a manifest what its blobs are."""
        self.names[manifest["config"]["digest"]] = "the config"
        for number, layer in enumerate(manifest["layers"], 1):
            self.names.setdefault(layer["digest"], f"layer {number}")

    def blob(self, exchange: Exchange) -> str:
        """Return the digest of the blob that *exchange* is about, also if another host sends it; "": of none."""
        found = _PATH.search(exchange.url)
        digest = found["rest"] if found and found["kind"] == "blobs" else self._targets.get(exchange.url, "")
        if exchange.status in _REDIRECTS:
            self._targets[exchange.received.get("Location", "")] = digest
        return digest

    def of(self, exchange: Exchange) -> tuple[str, str]:
        """Return a sentence about *exchange*, and the document with its section that describes it."""
        found = _PATH.search(exchange.url)
        if exchange.status in _BUSY:
            return f"The server is busy ({exchange.status}): wait, and ask again", f"{HTTP}, 15.6"
        if found is None:
            return self._elsewhere(exchange)
        what = self.names.get(self.blob(exchange), "a blob") if found["kind"] == "blobs" else ""
        if exchange.status == 401:
            return _challenge(exchange), f"{HTTP}, 11.6.1"
        if exchange.status in _REDIRECTS:
            cause = f"The registry sends us to another address for {what or 'this'}; no token goes to another host"
            return cause, f"{HTTP}, 15.4"
        kinds: dict[str, Callable[[], tuple[str, str]]] = {
            "manifests": lambda: _of_manifest(exchange),
            "tags": lambda: ("The registry lists the tags of the repository", f"{SPEC}, Listing Tags"),
            "blobs": lambda: self._of_blob(exchange, what),
            "blobs/uploads": lambda: self._of_upload(exchange),
        }
        return kinds[found["kind"]]()

    def _elsewhere(self, exchange: Exchange) -> tuple[str, str]:
        """Return the words for an address that is not one of the API: a token server, or the target of a redirect."""
        if exchange.url in self._targets:
            what = self.names.get(self._targets[exchange.url], "it")
            return f"The other host sends {what}", f"{HTTP}, 15.4"
        if exchange.url.partition("?")[0].endswith("/v2/"):
            says = "The server knows the API" if exchange.status == 200 else _challenge(exchange)
            return says, f"{SPEC}, Determining Support"
        if exchange.status == 200:
            return "The token server gives a token for this repository, which goes with each later request", TOKENS
        return f"The token server refuses ({exchange.status})", TOKENS

    def _of_blob(self, exchange: Exchange, what: str) -> tuple[str, str]:
        if exchange.method == "HEAD":
            has = "has" if exchange.status == 200 else "does not have"
            return f"The registry {has} {what}", f"{SPEC}, Checking if content exists"
        if exchange.status == 206:
            return f"The connection had broken: the rest of {what} comes", f"{SPEC}, Pulling blobs"
        if exchange.status == 200:
            return f"The bytes of {what} come; size and digest are checked while they do", f"{SPEC}, Pulling blobs"
        return f"The registry does not send {what} ({exchange.status})", f"{SPEC}, Pulling blobs"

    def _of_upload(self, exchange: Exchange) -> tuple[str, str]:
        pieces, mounts = f"{SPEC}, Pushing a blob in chunks", f"{SPEC}, Mounting a blob"
        if exchange.method == "POST" and exchange.status == 201:
            return "The registry shares the blob of another repository: nothing has to be sent", mounts
        said = {
            ("POST", 202): "An upload begins; Location is where its bytes go",
            ("PATCH", 202): f"A piece has arrived: bytes {exchange.sent.get('Content-Range', '')}",
            ("PATCH", 416): "The piece does not begin where the registry is",
            ("GET", 204): "The registry says how many bytes it has",
            ("DELETE", 204): "The upload is given up",
            ("PUT", 201): f"The upload ends; the registry has checked the digest of {self._digest_of(exchange)}",
        }
        default = f"The registry refuses ({exchange.status})"
        return said.get((exchange.method, exchange.status), default), pieces

    def _digest_of(self, exchange: Exchange) -> str:
        return self.names.get(exchange.url.partition("digest=")[2].partition("&")[0], "the blob")


def _challenge(exchange: Exchange) -> str:
    asks = exchange.received.get("WWW-Authenticate", "")
    if asks.lower().startswith("bearer"):
        return "The registry does not know who asks: its challenge names a token server"
    return "The registry does not know who asks: it wants a user and a password"


def _of_manifest(exchange: Exchange) -> tuple[str, str]:
    if exchange.method == "PUT":
        done = "The manifest comes last: from now on the name means this image"
        said = done if exchange.status == 201 else f"The registry refuses the manifest ({exchange.status})"
        return said, f"{SPEC}, Pushing Manifests"
    if exchange.status != 200:
        return f"The registry has no such manifest ({exchange.status})", f"{SPEC}, Pulling manifests"
    kind = exchange.received.get("Content-Type", "")
    if "index" in kind or "manifest.list" in kind:
        return "The name means an index: a manifest for each platform", f"{SPEC}, Pulling manifests"
    return "The manifest lists the config and the layers of the image", f"{SPEC}, Pulling manifests"
