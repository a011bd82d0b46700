"""HTTP with one server: time limits, retries with back-off, and redirects that never take a secret to another host.

urllib3 does the protocol. It is imported by this file alone, and only by commands that talk to a registry.
"""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import urllib3
from urllib3 import exceptions

from tinybox.errors import HostError, ImageError
from tinybox.images.registry import hosts
from tinybox.images.registry.deadline import deadline
from tinybox.images.registry.exchange import told
from tinybox.images.registry.proxies import proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.registry.exchange import Exchange
    from tinybox.images.registry.hosts import Place

    Response = urllib3.BaseHTTPResponse
    Listener = Callable[[Exchange], None]

CONNECT, READ = 10.0, 30.0  # seconds without any progress
ANSWER = 60.0  # seconds for a request until its whole answer, or until the headers of one that is read as a stream ...
SLOWEST = 20_000  # ... and one more for so many bytes of the request's body
FINISH = 300.0  # seconds for the last request of an upload: the registry may copy the whole blob before it answers
TRIES = 8
PAUSE, PAUSE_MOST = 0.25, 8.0  # seconds before a new try: the first, and the longest
RETRY_AFTER_MOST = 120.0  # seconds that a registry may ask for
FOUND = frozenset({200, 206})  # an answer with the content that was asked for
BUSY = frozenset({408, 429, 500, 502, 503, 504})  # the same request may succeed later
REDIRECTS = frozenset({301, 302, 303, 307, 308})
REDIRECTS_MOST = 5
BODY_MOST = 4 << 20  # bytes of an answer that is read as a whole: a manifest, a token, an error
BROKEN = (exceptions.HTTPError, OSError)  # what a server that breaks off, stalls or speaks no HTTP leads to
AGENT = "tinybox"


class Transport:
    """The connections to the server of a `Place`, and to the hosts that it redirects to."""

    def __init__(self, place: Place, listen: Listener = lambda _: None) -> None:
        self.place, self.listen = place, listen
        self.scheme = place.schemes[0]
        self.wait_for_it = False  # a server that has answered once may come back
        self.is_elsewhere = False  # whether the last answer is that of another host, after a redirect
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}

    def url(self, path: str) -> str:
        """Return the address of *path* on the server; its scheme may change after the first request."""
        return f"{self.scheme}://{self.place.host}{path}"

    def send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None, *, stream: bool = False
    ) -> Response:
        """Send a request and return the answer, which is not a redirect; *path* may be a whole address.

        The answer's body is read, up to BODY_MOST bytes, unless *stream*: then that of an answer in FOUND is the
        caller's. If the server is busy or the connection breaks, the request is repeated: the requests of the
        distribution-spec can be. `is_elsewhere` says afterwards whether another host has answered. HostError: the
        server cannot be reached, or does not answer in time.
        """
        pause, last = PAUSE, ""
        patience = FINISH if method == "PUT" else ANSWER + len(body or b"") / SLOWEST
        for _ in range(TRIES):
            try:
                with deadline(patience):
                    answer = self._follow(method, path, headers, body)
                    if not stream or answer.status not in FOUND:
                        self._read(answer)
            except BROKEN as error:
                last = self._lost(error)
                if last:  # "": try the next scheme at once
                    time.sleep(pause)
            else:
                self.wait_for_it = True
                if answer.status not in BUSY:
                    return answer
                last = f"it answers {answer.status}"
                time.sleep(self._retry_after(answer, pause))
            pause = min(2 * pause, PAUSE_MOST)
        raise HostError(f"registry {self.place.name}", f"{last}, after {TRIES} tries", "try again later")

    def _lost(self, error: Exception) -> str:
        """Return the reason for another try; "": with the next scheme. HostError: another try has no use."""
        cause = reason(error)
        if not self.wait_for_it:
            index = self.place.schemes.index(self.scheme) + 1
            if index < len(self.place.schemes) and not _is_certificate(error):
                self.scheme = self.place.schemes[index]
                return ""
            if isinstance(error, exceptions.SSLError) and _is_certificate(error):
                cure = f"put its CA into {hosts.CERTIFICATES[0]}/{self.place.host}/ca.crt, or --tls-verify=false"
                raise HostError(
                    f"registry {self.place.name}", f"its certificate is not trusted: {cause}", cure
                ) from error
            cure = "is its name right, is it running, does a proxy stand between?"
            raise HostError(f"registry {self.place.name}", f"cannot be reached: {cause}", cure) from error
        return cause

    def _follow(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Response:
        """Send one request, and follow its redirects; only the server itself gets the header Authorization, or a body.

        A body may be a secret, too: that of a request for a token.
        """
        url = path if "://" in path else self.url(path)
        start = self.server(url)
        for _ in range(REDIRECTS_MOST):
            answer = self._once(method, url, headers, body)
            if answer.status not in REDIRECTS or "Location" not in answer.headers:
                self.is_elsewhere = self.server(url) != start
                return answer
            self._read(answer)
            target = self.target(url, answer.headers["Location"])
            if self.server(target) != self.server(url):
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
                if body is not None:
                    cause = "it redirects what is sent to another host"
                    raise ImageError(f"registry {self.place.name}", cause, "use that host's name")
            url = target
        raise ImageError(
            f"registry {self.place.name}", f"it redirects more than {REDIRECTS_MOST} times", "try a mirror"
        )

    def server(self, url: str) -> tuple[str, str]:
        """Return the scheme and the host with its port in *url*; ImageError: it is no URL."""
        try:
            scheme, host = urlsplit(url)[:2]
            urlsplit(url).port  # noqa: B018  ValueError if it is no number
        except ValueError as error:
            cause = f"it redirects to {url[:100]!r}, which is no address"
            raise ImageError(f"registry {self.place.name}", cause, "it is at fault") from error
        return scheme, host

    def target(self, url: str, location: str) -> str:
        """Return the address in the header Location of the answer from *url*; ImageError: it may not be used."""
        try:
            found = urljoin(url, location)
        except ValueError:
            found = location
        scheme, host = self.server(found)
        if scheme == "https" or (scheme == "http" and (url.startswith("http:") or hosts.is_loopback(host))):
            return found
        cause = f"it redirects to {scheme}://{host}, which is not encrypted"
        raise ImageError(f"registry {self.place.name}", cause, "--tls-verify=false, if you trust the network")

    def _once(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Response:
        scheme, host = self.server(url)
        send, begun = {"User-Agent": AGENT, **headers}, time.monotonic_ns()
        timeout = urllib3.Timeout(connect=CONNECT, read=FINISH if method == "PUT" else READ)
        try:
            answer = self._pool(scheme, host).request(
                method, url, headers=send, body=body, timeout=timeout,
                redirect=False, retries=False, preload_content=False, decode_content=False,
            )  # fmt: skip
        except ValueError as error:  # urllib3 knows more about addresses and headers than urlsplit
            cause = f"its address {scheme}://{host} cannot be used: {reason(error)}"
            raise ImageError(f"registry {self.place.name}", cause, "is its name right?") from error
        self.listen(told(method, url, answer.status, headers, answer.headers, begun, time.monotonic_ns() - begun))
        return answer

    def _read(self, answer: Response) -> None:
        """Read the body of *answer*, and give its connection back to the pool; ImageError: it is too large."""
        try:
            body = b""
            while piece := answer.read(BODY_MOST + 1 - len(body)):
                body += piece
                if len(body) > BODY_MOST:
                    answer.close()
                    cause = f"its answer is larger than {BODY_MOST >> 20} MiB"
                    raise ImageError(f"registry {self.place.name}", cause, "it is unsafe")
            answer._body = body  # type: ignore[attr-defined]  # noqa: SLF001  so that `data` gives it, which has no limit
        finally:
            answer.release_conn()

    def _retry_after(self, answer: Response, pause: float) -> float:
        """Return how many seconds to wait; see Retry-After in RFC 9110. HostError: longer than a user would wait."""
        try:
            seconds = urllib3.Retry().get_retry_after(answer)
        except (exceptions.InvalidHeader, ValueError, OverflowError):
            seconds = None
        if seconds is not None and seconds > RETRY_AFTER_MOST:
            cause = f"it answers {answer.status}, and asks to come back in {seconds:.0f} seconds"
            cure = "try again later, or log in: a limit may be higher for users"
            raise HostError(f"registry {self.place.name}", cause, cure)
        return pause if seconds is None else max(seconds, 0.0)

    def _pool(self, scheme: str, host: str) -> urllib3.PoolManager:
        """Return the connections to *host*, through the proxy that the environment has for it."""
        if (scheme, host) not in self._pools:
            place = self.place if host == self.place.host else hosts.places(host, "")[-1]
            settings: dict[str, Any] = {"ssl_context": _context(place)} if scheme == "https" else {}
            way = None if hosts.is_loopback(host) else proxy(scheme, host)
            if way is None:
                pool = urllib3.PoolManager(**settings)
            else:
                user = unquote(urlsplit(way).netloc.rpartition("@")[0])
                pool = urllib3.ProxyManager(
                    way, proxy_headers=urllib3.make_headers(proxy_basic_auth=user) if user else None, **settings
                )
            self._pools[scheme, host] = pool
        return self._pools[scheme, host]


def reason(error: Exception) -> str:
    """Return the innermost cause of an error of urllib3 in a few words."""
    inner: BaseException = error
    for _ in range(10):
        below = [getattr(inner, "reason", None), inner.__cause__, *reversed(inner.args)]
        following = next((each for each in below if isinstance(each, BaseException)), None)
        if following is None:
            break
        inner = following
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return " ".join(str(inner).rpartition("): ")[2].split())[:200] or type(inner).__name__


def _is_certificate(error: BaseException | None) -> bool:
    """Return whether *error* comes from the check of a certificate, not from a server without TLS."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _context(place: Place) -> ssl.SSLContext:
    """Return the settings of TLS for *place*; HostError: one of its certificates cannot be read."""
    context = ssl.create_default_context()
    if not place.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for file in (*place.authorities, *place.client[:1]):
        try:
            if file in place.client:
                context.load_cert_chain(*place.client)
            else:
                context.load_verify_locations(file)
        except (OSError, ssl.SSLError) as error:
            raise HostError(
                file, f"is not a certificate that can be used: {error.strerror or error}", "correct it"
            ) from error
    return context
