"""HTTP with one server: time limits, retries with back-off, and redirects that never take a secret to another host.

urllib3 does the protocol. It is imported by this file alone, and only by commands that talk to a registry.
"""

from __future__ import annotations

import ssl
import time
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3 import exceptions

from tinybox.errors import HostError, ImageError
from tinybox.images.registry import hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinybox.images.registry.hosts import Place

    Response = urllib3.BaseHTTPResponse
    Listener = Callable[["Exchange"], None]

CONNECT, READ = 10.0, 30.0  # seconds without any progress
TRIES = 8
PAUSE, PAUSE_MOST = 0.25, 8.0  # seconds before a new try: the first, and the longest
RETRY_AFTER_MOST = 120.0  # seconds that a registry may ask for
BUSY = frozenset({408, 429, 500, 502, 503, 504})  # the same request may succeed later
REDIRECTS = frozenset({301, 302, 303, 307, 308})
REDIRECTS_MOST = 5
BODY_MOST = 4 << 20  # bytes of an answer that is read as a whole: a manifest, a token, an error
BROKEN = (exceptions.ProtocolError, exceptions.TimeoutError, exceptions.SSLError, OSError)
AGENT = "tinybox"


class Exchange(NamedTuple):
    """One request and its answer, for `--explain`: *url* is without its query, which may have a signature."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]


class Transport:
    """The connections to the server of a `Place`, and to the hosts that it redirects to."""

    def __init__(self, place: Place, listen: Listener = lambda _: None) -> None:
        self.place, self.listen = place, listen
        self.scheme = place.schemes[0]
        self.wait_for_it = False  # a server that has answered once may come back
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}

    def url(self, path: str) -> str:
        """Return the address of *path* on the server; its scheme may change after the first request."""
        return f"{self.scheme}://{self.place.host}{path}"

    def send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None, *, stream: bool = False
    ) -> Response:
        """Send a request and return the answer, which is not a redirect; *path* may be a whole address.

        The answer's body is read, up to BODY_MOST bytes, unless *stream*: then it is the caller's. If the server is
        busy or the connection breaks, the request is repeated: the requests of the distribution-spec can be. HostError:
        the server cannot be reached, or does not answer in time.
        """
        pause, last = PAUSE, ""
        for _ in range(TRIES):
            try:
                answer = self._follow(method, path, headers, body)
            except BROKEN as error:
                last = self._lost(error)
                if last:  # "": try the next scheme at once
                    time.sleep(pause)
            else:
                self.wait_for_it = True
                if answer.status not in BUSY:
                    return answer if stream else _read(answer)
                last = f"it answers {answer.status}"
                _read(answer)
                time.sleep(_retry_after(answer, pause))
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
        """Send one request, and follow its redirects; only the server itself gets the header Authorization."""
        url = path if "://" in path else self.url(path)
        for _ in range(REDIRECTS_MOST):
            answer = self._once(method, url, headers, body)
            if answer.status not in REDIRECTS or "Location" not in answer.headers:
                return answer
            _read(answer)
            target = urljoin(url, answer.headers["Location"])
            self._check(url, target)
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            url = target
        raise ImageError(
            f"registry {self.place.name}", f"it redirects more than {REDIRECTS_MOST} times", "try a mirror"
        )

    def _check(self, url: str, target: str) -> None:
        scheme, host = urlsplit(target)[:2]
        if scheme == "https" or (scheme == "http" and (url.startswith("http:") or hosts.is_loopback(host))):
            return
        cause = f"it redirects to {scheme}://{host}, which is not encrypted"
        raise ImageError(f"registry {self.place.name}", cause, "--tls-verify=false, if you trust the network")

    def _once(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Response:
        scheme, host = urlsplit(url)[:2]
        timeout = urllib3.Timeout(connect=CONNECT, read=READ)
        answer = self._pool(scheme, host).request(
            method, url, headers={"User-Agent": AGENT, **headers}, body=body, timeout=timeout,
            redirect=False, retries=False, preload_content=False, decode_content=False,
        )  # fmt: skip
        self.listen(Exchange(method, url.partition("?")[0], answer.status, answer.headers))
        return answer

    def _pool(self, scheme: str, host: str) -> urllib3.PoolManager:
        """Return the connections to *host*, through the proxy that the environment has for it."""
        if (scheme, host) not in self._pools:
            place = self.place if host == self.place.host else hosts.places(host, "")[-1]
            settings: dict[str, Any] = {"ssl_context": _context(place)} if scheme == "https" else {}
            proxy = None if hosts.is_loopback(host) else _proxy(scheme, host)
            if proxy is None:
                pool = urllib3.PoolManager(**settings)
            else:
                user = urlsplit(proxy).netloc.rpartition("@")[0]
                pool = urllib3.ProxyManager(
                    proxy, proxy_headers=urllib3.make_headers(proxy_basic_auth=user) if user else None, **settings
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


def _read(answer: Response) -> Response:
    """Read the body of *answer*, and give its connection back to the pool; ImageError: it is too large."""
    try:
        body = b""
        while piece := answer.read(BODY_MOST + 1 - len(body)):
            body += piece
            if len(body) > BODY_MOST:
                answer.close()
                raise ImageError("registry", f"its answer is larger than {BODY_MOST >> 20} MiB", "it is unsafe")
        answer._body = body  # type: ignore[attr-defined]  # noqa: SLF001  so that `data` gives it; it has no limit itself
    finally:
        answer.release_conn()
    return answer


def _retry_after(answer: Response, pause: float) -> float:
    """Return how many seconds to wait; see Retry-After in RFC 9110. HostError: it is longer than a user would wait."""
    seconds = urllib3.Retry().get_retry_after(answer) if _has_time(answer) else None
    if seconds is not None and seconds > RETRY_AFTER_MOST:
        cause = f"it answers {answer.status}, and asks to come back in {seconds:.0f} seconds"
        raise HostError("registry", cause, "try again later, or log in: a limit may be higher for users")
    return pause if seconds is None else max(seconds, 0.0)


def _has_time(answer: Response) -> bool:
    try:
        return urllib3.Retry().get_retry_after(answer) is not None
    except exceptions.InvalidHeader:
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


def _proxy(scheme: str, host: str) -> str | None:
    """Return the proxy for *host* from HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, unless NO_PROXY has the host."""
    if urllib.request.proxy_bypass_environment(host):  # type: ignore[attr-defined]  # it is not in the stubs
        return None
    found = urllib.request.getproxies_environment()
    proxy = found.get(scheme) or found.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"
