"""ADD of a URL: fetch the file to a place without a name, so that nothing stays if the build is killed."""

from __future__ import annotations

import hashlib
import os
import posixpath
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from tinybox.errors import HostError, ImageError, TinyboxError
from tinybox.images.archives.archive import free
from tinybox.images.registry import hosts
from tinybox.images.registry.transport import BROKEN, Transport, reason
from tinybox.linux.filesystem import unnamed

if TYPE_CHECKING:
    from tinybox.images.registry.transport import Response

MODE = 0o600  # of the file in the image, as docker's reference says
CHUNK = 1 << 18
TRIES = 4
PAUSE = 0.5  # seconds before the second try; it doubles


class Download(NamedTuple):
    """A fetched file: an fd of it, and its digest, ``sha256:HEX``. Its time is that of Last-Modified."""

    fd: int
    digest: str


def name_of(url: str) -> str:
    """Return the file's name in a *url*, "" without one."""
    name = posixpath.basename(unquote(urlsplit(url).path))
    return "" if name in {".", ".."} or "\0" in name else name


def fetch(url: str, checksum: str, folder: str) -> Download:
    """Fetch *url* into a file without a name in *folder*; *checksum* is ``sha256:HEX``, or "" for any content.

    HostError: the server cannot be reached. ImageError: it answers another status than 200, the answer is cut short or
    has another checksum, or there is no room for it.
    """
    pause = PAUSE
    for left in reversed(range(TRIES)):
        try:
            found = _fetch(url, folder)
        except BROKEN as error:
            if not left:
                raise HostError(url, f"it breaks off: {reason(error)}, after {TRIES} tries", "try again") from error
            time.sleep(pause)
            pause *= 2
            continue
        except TinyboxError as error:
            error.thing = url
            raise
        if checksum and found.digest != checksum:
            os.close(found.fd)
            raise ImageError(url, f"its checksum is {found.digest}, not {checksum}", "it is not the file that you mean")
        return found
    raise AssertionError


def _fetch(url: str, folder: str) -> Download:
    parts = urlsplit(url)
    place = hosts.places(parts.netloc, "")[-1]._replace(schemes=(parts.scheme,))
    answer = Transport(place).send("GET", url.partition("#")[0], {"Accept-Encoding": "identity"}, stream=True)
    try:
        if answer.status != 200:
            raise ImageError(url, f"the server answers {answer.status} {answer.reason or ''}".rstrip(), "is it right?")
        return _stored(answer, url, folder)
    finally:
        answer.close()


def _stored(answer: Response, url: str, folder: str) -> Download:
    """Write the body to a file without a name; its time is that of the header Last-Modified, or now."""
    fd = _open_unnamed(folder)
    try:
        digest, left = hashlib.sha256(), free(folder)
        while piece := answer.read(CHUNK):
            left -= len(piece)
            _check_room(left, url, folder)
            digest.update(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(fd, view) :]
        reading = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        os.close(fd)
        fd = reading
        modified = _time(answer.headers.get("Last-Modified", ""))
        if modified is not None:
            os.utime(fd, (modified, modified))
    except BaseException:
        os.close(fd)
        raise
    return Download(fd, f"sha256:{digest.hexdigest()}")


def _check_room(left: int, url: str, folder: str) -> None:
    if left < 0:
        raise ImageError(url, f"it is larger than what is free in {folder}", "make room first")


def _open_unnamed(folder: str) -> int:
    fd = unnamed.open_unnamed(folder)
    return fd if fd >= 0 else os.memfd_create("download", os.MFD_CLOEXEC)


def _time(text: str) -> int | None:
    """Return the seconds since 1970 of an HTTP date; None: it is none, or before 1970."""
    from email.utils import parsedate_to_datetime

    try:
        return max(int(parsedate_to_datetime(text).timestamp()), 0)
    except (ValueError, TypeError, OverflowError):
        return None
