"""One repository of one registry, in the words of the OCI distribution-spec: its manifests and its blobs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from tinybox.errors import HostError, ImageError
from tinybox.images.reference import is_tag
from tinybox.images.registry import challenge, credentials, hosts, manifests
from tinybox.images.registry.blob_stream import BlobStream
from tinybox.images.registry.deadline import deadline
from tinybox.images.registry.exchange import Exchange
from tinybox.images.registry.transport import ANSWER, SLOWEST, Transport
from tinybox.linux import quick_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from tinybox.images.reference import Reference
    from tinybox.images.registry.credentials import Credentials
    from tinybox.images.registry.hosts import Place
    from tinybox.images.registry.layers import Report
    from tinybox.images.registry.manifests import Descriptor, Manifest
    from tinybox.images.registry.transport import Listener, Response

CHUNK = 8 << 20  # bytes of one PATCH request: so much is in memory, and so much is sent again after a broken connection
UPLOAD_TRIES = 8
EXCHANGE = "exchange"  # the key of a child's message about one
TAGS_OF_PAGE, TAGS_MOST = 1000, 10_000  # of a list of tags: a page, and all pages


class Repository:
    """A repository on one server; *actions* are ``pull`` or ``pull,push``. The token is fetched when it is needed."""

    def __init__(
        self, place: Place, actions: str, known: Credentials | None, listen: Listener = lambda _: None
    ) -> None:
        self.place, self.name = place, place.repository
        self._known, self._listen = known, listen
        self._transport = Transport(place, listen)
        self._scopes = [f"repository:{self.name}:{actions}"]
        self._authorization = ""

    def in_child(self, tell: Callable[[Any], None]) -> Repository:
        """Return this repository with connections of its own: two processes cannot read one connection.

        Each exchange there is a message of the child, for `take` in the parent; see workers.py.
        """
        place = self.place._replace(schemes=(self._transport.scheme,))
        found = Repository(place, "", self._known, lambda exchange: tell({EXCHANGE: list(exchange)}))
        found._scopes, found._authorization = [*self._scopes], self._authorization
        found._transport.wait_for_it = True
        return found

    def take(self, message: Any, report: Report) -> None:
        """Pass a message of a child on: an exchange to the listener, the progress of a layer to *report*."""
        if isinstance(message, dict):
            self._listen(Exchange(*message[EXCHANGE]))
        else:
            report.layer(*message)

    def manifest(self, key: str) -> tuple[bytes, str]:
        """Return the content of the manifest with the tag or digest *key*, and its media type; ImageError: none."""
        answer = self._call("GET", f"/manifests/{key}", {"Accept": manifests.ACCEPT})
        if answer.status == 404:
            cause = f"registry {self.place.name} has no such image"
            raise ImageError(self._named(key), cause, "is its name right? a private one needs tinybox login")
        self._expect(answer, {200}, "the manifest")
        if key.startswith("sha256:") and manifests.digest_of(answer.data) != key:
            raise ImageError(self._named(key), "the registry sends a manifest of another digest", manifests.CURE)
        return answer.data, answer.headers.get("Content-Type", "")

    def blob(self, descriptor: Descriptor, copy: BinaryIO, told: Callable[[int], None] = lambda _: None) -> BlobStream:
        """Return the stream of a blob, which also writes it to *copy*; see `BlobStream`."""
        return BlobStream(descriptor, lambda at: self._open(descriptor, at), copy, told)

    def small_blob(self, descriptor: Descriptor) -> bytes:
        """Return the content of a blob that is a document; ImageError: it is too large, or not that of its digest."""
        if descriptor.size > manifests_most():
            raise ImageError(f"blob {descriptor.digest[7:19]}", "the config is larger than 4 MiB", manifests.CURE)
        content = io.BytesIO()
        with self.blob(descriptor, content) as stream:
            stream.finish()
        return content.getvalue()

    def has_blob(self, digest: str) -> bool:
        """Return whether the repository has the blob already."""
        return self._call("HEAD", f"/blobs/{digest}", {}).status == 200

    def mount(self, digest: str, source: str) -> bool:
        """Let the repository share a blob of the repository *source* in the same registry; return whether it does."""
        query = urlencode({"mount": digest, "from": source})
        scope = f"repository:{source}:pull"
        if scope not in self._scopes:
            self._scopes.append(scope)
            self._authorization = ""
        answer = self._call("POST", f"/blobs/uploads/?{query}", {})
        if answer.status == 202 and "Location" in answer.headers:  # it began an upload instead
            self._call("DELETE", self._location(answer), {})
        return answer.status == 201

    def upload(self, descriptor: Descriptor, file: BinaryIO, told: Callable[[int], None] = lambda _: None) -> None:
        """Send the blob in *file* in pieces of CHUNK bytes; after a failure go on where the registry says it is.

        See "Pushing blobs in chunks" of the distribution-spec.
        """
        for _ in range(UPLOAD_TRIES):
            answer = self._call("POST", "/blobs/uploads/", {"Content-Length": "0"})
            self._expect(answer, {202}, "an upload")
            if self._send(descriptor, file, self._location(answer), told):
                return
        cause = f"it loses the upload of blob {descriptor.digest[7:19]}"
        raise HostError(f"registry {self.place.name}", cause, "is its disk full? try again later")

    def put_manifest(self, key: str, manifest: Manifest) -> None:
        """Store *manifest* under the tag or digest *key*."""
        answer = self._call("PUT", f"/manifests/{key}", {"Content-Type": manifest.kind}, manifest.content)
        self._expect(answer, {201, 200, 202}, f"the manifest {key}")

    def tags(self) -> list[str]:
        """Return the tags of the repository; see "Listing tags" of the distribution-spec: each page links to the next.

        ImageError: there is no such repository, or its list has no end.
        """
        found: list[str] = []
        url = f"/v2/{quote(self.name)}/tags/list?n={TAGS_OF_PAGE}"  # a path: the scheme is not known yet
        seen: set[str] = set()
        while url not in seen and len(found) <= TAGS_MOST:
            seen.add(url)
            answer = self._call("GET", url, {})
            if answer.status == 404:
                cause = f"registry {self.place.name} has no such repository"
                raise ImageError(f"image {self.place.name}/{self.name}", cause, "is its name right?")
            self._expect(answer, {200}, "the list of tags")
            found += self._tags_in(answer)
            if "Link" not in answer.headers:
                return list(dict.fromkeys(found))
            url = self._transport.target(self._transport.url("/"), _next_page(answer.headers["Link"]))
        raise ImageError(f"registry {self.place.name}", "its list of tags has no end", "pull the tags that you need")

    def _tags_in(self, answer: Response) -> list[str]:
        try:
            document = quick_json.loads(answer.data.decode())
            wrong = quick_json.misfit(document, {"tags": [str]})
        except ValueError as error:
            document, wrong = {}, str(error)
        tags: list[str] = document.get("tags") or [] if not wrong else []
        if wrong or not all(map(is_tag, tags)):
            cause = f"its list of tags is damaged: {wrong or 'a tag has other characters'}"
            raise ImageError(f"registry {self.place.name}", cause, "it is at fault")
        return tags

    def check(self) -> None:
        """Ask for the root of the API, as `login` does; ImageError: the credentials are refused."""
        answer = self._call("GET", "/v2/", {})
        self._expect(answer, {200}, "a login")

    def _send(self, descriptor: Descriptor, file: BinaryIO, location: str, told: Callable[[int], None]) -> bool:
        """Send *file* to the upload at *location*; False: the registry has lost what it had, and all is sent again."""
        at = refusals = 0
        while at < descriptor.size:
            file.seek(at)
            piece = file.read(CHUNK)
            headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{at}-{at + len(piece) - 1}"}
            answer = self._call("PATCH", location, headers, piece)
            if answer.status == 416:  # a former try of this piece, whose answer was lost, has succeeded
                refusals += 1
                if refusals > UPLOAD_TRIES:
                    return self._lost(answer)
                answer = self._call("GET", location, {})
                at = _received(answer)
            elif answer.status in {202, 204}:
                at += len(piece)
            else:
                return self._lost(answer)
            location = self._location(answer) if "Location" in answer.headers else location
            told(at)
        joint = "&" if "?" in location else "?"
        answer = self._call(
            "PUT", f"{location}{joint}{urlencode({'digest': descriptor.digest})}", {"Content-Length": "0"}
        )
        return answer.status == 201 or self._lost(answer)

    def _lost(self, answer: Response) -> bool:
        if answer.status in {404, 400, 416}:  # unknown upload, or other bytes than were sent
            return False
        self._expect(answer, set(), "the blob")
        return False

    def _open(self, descriptor: Descriptor, at: int) -> Response:
        """Return the bytes of a blob from offset *at* on, as an answer whose body is not read yet."""
        headers = {"Range": f"bytes={at}-"} if at else {}
        answer = self._call("GET", f"/blobs/{descriptor.digest}", headers, stream=True)
        if at and answer.status == 200:  # it does not know Range: skip what is here already
            left = at
            with deadline(ANSWER + at / SLOWEST):
                while left and (piece := answer.read(min(left, 1 << 18))):
                    left -= len(piece)
        elif answer.status not in {200, 206}:
            self._expect(answer, {200, 206}, f"blob {descriptor.digest[7:19]}")
        elif not _is_rest(answer, descriptor.size, at):
            answer.close()
            cause = f"it does not send the {descriptor.size} bytes of its manifest"
            raise ImageError(f"blob {descriptor.digest[7:19]}", cause, manifests.CURE)
        return answer

    def _call(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None, *, stream: bool = False
    ) -> Response:
        """Send a request of the API; on 401 authenticate, and send it again."""
        if path.startswith("/") and not path.startswith("/v2/"):
            path = f"/v2/{quote(self.name)}{path}"
        is_own = "://" not in path or urlsplit(path).netloc == self.place.host  # an upload may go to another host
        for fresh in (False, True):
            send = {**headers, "Authorization": self._authorization} if self._authorization and is_own else headers
            answer = self._transport.send(method, path, send, body, stream=stream)
            if answer.status != 401 or not is_own or self._transport.is_elsewhere:
                return answer
            if fresh:
                break
            scopes = self._scopes if self.name else []
            self._authorization = challenge.authorization(answer, self.place, scopes, self._known, self._listen)
        raise challenge.denied(self.place.name, known=self._known is not None)

    def _location(self, answer: Response) -> str:
        """Return the whole address in the header Location, which may be relative; HostError: there is none."""
        if "Location" not in answer.headers:
            raise HostError(f"registry {self.place.name}", "it names no place for the upload", "it is at fault")
        return self._transport.target(self._transport.url("/"), answer.headers["Location"])

    def _expect(self, answer: Response, statuses: set[int], what: str) -> None:
        """Raise an error with the registry's own words unless the status of *answer* is one of *statuses*."""
        if answer.status in statuses:
            return
        thing = f"registry {self.place.name}"
        if answer.status in {401, 403}:
            raise ImageError(thing, f"{what} is refused{_says(answer)}", f"tinybox login {self.place.name}")
        raise HostError(thing, f"{what}: it answers {answer.status}{_says(answer)}", "see the log of the registry")

    def _named(self, key: str) -> str:
        return f"image {self.place.name}/{self.name}{'@' if ':' in key else ':'}{key}"


def repositories(
    reference: Reference, actions: str, *, verify: bool | None = None, listen: Listener = lambda _: None
) -> list[Repository]:
    """Return the repository of *reference* on each of its servers, mirrors first; mirrors only to pull."""
    known = credentials.find(reference.host, reference.repository)
    found = hosts.places(reference.host, reference.repository, verify=verify)
    return [
        Repository(it, actions, credentials.find(it.host, it.repository) if it.is_mirror else known, listen)
        for it in found
        if not it.is_mirror or actions == "pull"
    ]


def _next_page(header: str) -> str:
    """Return the address in a header Link, ``<URL>; rel="next"``; see RFC 8288."""
    return header.partition("<")[2].partition(">")[0]


def manifests_most() -> int:
    """Return the limit for an image's config, in bytes."""
    return 4 << 20


def _is_rest(answer: Response, size: int, at: int) -> bool:
    """Return whether the headers of *answer* fit a blob of *size* bytes from offset *at* on."""
    length = answer.headers.get("Content-Length", "")
    is_part = answer.status == 200 or answer.headers.get("Content-Range", "").startswith(f"bytes {at}-")
    return is_part and length in {"", str(size - at)}


def _received(answer: Response) -> int:
    """Return how many bytes of an upload the registry has; see Range in the distribution-spec."""
    _, _, last = answer.headers.get("Range", "0-0").partition("-")
    return int(last) + 1 if last.isdecimal() and len(last) < 19 and last != "0" else 0


def _says(answer: Response) -> str:
    """Return the messages in the answer's body, which is an object with `errors`, in a few words."""
    try:
        document = quick_json.loads(answer.data.decode())
    except (ValueError, UnicodeDecodeError):
        return ""
    if quick_json.misfit(document, {"errors!": [{"code": str, "message": str}]}):
        return ""
    words = "; ".join(f"{it.get('code') or ''} {it.get('message') or ''}".strip() for it in document["errors"])
    return f", {words[:200]}" if words else ""
