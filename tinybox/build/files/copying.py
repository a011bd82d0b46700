"""COPY and ADD: what they copy, its digest for the cache, and the copy itself.

`read` gives the request. `digest` is its part of a key of the cache: content alone counts, times do not. `copy` copies
into the root file system of the image, and then `is_unchanged` tells whether the copy is still the one of the digest.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tinybox.build.files import content_key
from tinybox.build.files.context import is_directory
from tinybox.build.files.copy_request import PIVOT, CopyRequest, read
from tinybox.build.files.patterns import Patterns, cleaned, has_wildcard
from tinybox.build.files.placing import Placing
from tinybox.build.files.selection import FILE, Choice, Entry, walk
from tinybox.container.config import user_option
from tinybox.errors import TinyboxError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinybox.build.files.context import Context, Found
    from tinybox.build.files.fetching import Download

__all__ = ["CopyRequest", "copy", "digest", "read"]


class Item(NamedTuple):
    """One thing to copy: a *found* file, or with a *choice* what that takes of a found directory."""

    found: Found
    choice: Choice | None

    @property
    def entry(self) -> Entry:
        """Return the single file."""
        return _entry(self.found.name, self.found.fd)


def digest(request: CopyRequest, source: Context) -> str:
    """Return a digest of all that the request copies from *source*, as hexadecimal digits: the same for the same files.

    Names, types, modes, attributes, contents and targets of links count, and owners if they are kept; times do not. A
    URL is fetched for it, unless it has a --checksum. UsageError: a source is not there, with the line.
    """
    key = content_key.Key(keeps_owners=source.owner is None and not request.chown)
    key.words(request.target, str(request.into_directory), request.chown, request.chmod, str(request.unpack))
    with _placed(request):
        _add_items(key, request, source)
        request.stamps[:] = [key.stamp()]
        for heredoc in request.heredocs:
            key.words("heredoc", heredoc.name, heredoc.text)
        for url in request.urls:
            key.words("url", url, request.checksum or _fetched(request, url, source).digest)
    return key.hexdigest()


def is_unchanged(request: CopyRequest, source: Context) -> bool:
    """Return whether no file of *source* was changed since `digest`: so a copy made meanwhile is the one of that key.

    A stage and an image do not change.
    """
    if source.owner is None:
        return True
    key = content_key.Key(keeps_owners=False, reads=False)
    try:
        _add_items(key, request, source)
    except (OSError, TinyboxError):
        return False
    return request.stamps == [key.stamp()]


def _add_items(key: content_key.Key, request: CopyRequest, source: Context) -> None:
    for item in _items(request, source):
        key.words("item", item.found.name)
        for entry in [item.entry] if item.choice is None else _walk(item):
            key.entry(entry)


def copy(request: CopyRequest, source: Context, root: int) -> list[str]:
    """Copy into the root file system, open as the directory *root*; return the sockets and devices that were left out.

    UsageError, with the line of the instruction: a source is not there, or does not fit its target. Then a part may
    have been copied.
    """
    with _placed(request):
        owner = source.owner
        if request.chown:
            owner = user_option.owner("--chown", request.chown, [f"/proc/self/fd/{root}"])
        placing = Placing(root, request.target, is_directory=request.into_directory, owner=owner, chmod=request.chmod)
        _check_target(request, source, placing)
        for item in _items(request, source):
            _copy_item(request, item, placing, root)
        for heredoc in request.heredocs:
            _copy_heredoc(heredoc.name, heredoc.text, placing)
        for url in request.urls:
            _copy_url(request, url, source, placing, root)
        return placing.left_out


def _check_target(request: CopyRequest, source: Context, placing: Placing) -> None:
    """Raise UsageError if several files would get the same name."""
    count = len(request.heredocs) + len(request.urls)
    count += len(request.sources) if request.parents else sum(len(source.expand(each)) for each in request.sources)
    if count > 1 and not request.parents and not placing.is_directory():
        cause = f"{request.target}: {count} sources need a directory as their target"
        raise request.instruction.wrong(cause, f"{request.target}/")


def _copy_item(request: CopyRequest, item: Item, placing: Placing, root: int) -> None:
    if item.choice is not None:
        fd = _readable(item.found.fd)
        try:
            placing.tree(fd, item.choice)
        finally:
            os.close(fd)
        return
    entry = item.entry
    if request.unpacks and stat.S_ISREG(entry.info.st_mode):
        fd = entry.open()
        try:
            if _unpacked(fd, request, placing, root):
                return
        finally:
            os.close(fd)
    placing.file(item.found.name, entry)


def _unpacked(fd: int, request: CopyRequest, placing: Placing, root: int) -> bool:
    """Unpack the file into the target if it is an archive; return whether it is one."""
    from tinybox.build.files import unpacking

    if not unpacking.is_archive(fd):
        return False
    os.close(placing.directory())
    owner = placing.owner if request.chown else None
    placing.left_out += unpacking.add_archive(fd, root, request.target.strip("/"), owner)
    return True


def _copy_heredoc(name: str, text: str, placing: Placing) -> None:
    fd = os.memfd_create("heredoc", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        os.fchmod(fd, 0o644)
        placing.file(name, _entry(name, fd))
    finally:
        os.close(fd)


def _copy_url(request: CopyRequest, url: str, source: Context, placing: Placing, root: int) -> None:
    from tinybox.build.files import fetching

    name = fetching.name_of(url)
    if not name and placing.is_directory():
        raise UsageError(url, "there is no name of a file in it", "give the target a name")
    fd = _fetched(request, url, source).fd
    if not (request.unpack and _unpacked(fd, request, placing, root)):
        placing.file(name, _entry(name, fd))


def _fetched(request: CopyRequest, url: str, source: Context) -> Download:
    """Return the file of the *url*, which is fetched once for a request."""
    from tinybox.build.files import fetching

    if url not in request.downloads:
        request.downloads[url] = fetching.fetch(url, request.checksum, source.folder)
    return request.downloads[url]


def _items(request: CopyRequest, source: Context) -> Iterator[Item]:
    """Yield what the request copies, each open until the next one; UsageError: a file is not there."""
    count = 0
    for path in request.sources:
        for item in _with_parents(request, source, path) if request.parents else _plain(request, source, path):
            count += 1
            yield item
    if not count and request.sources and not (request.heredocs or request.urls):
        raise UsageError(" ".join(request.sources), f"no file of the {source.thing} fits")


def _plain(request: CopyRequest, source: Context, path: str) -> Iterator[Item]:
    for found in source.find(path):
        if is_directory(found):
            where = f"{found.path}/" if found.path else ""
            yield Item(found, Choice(source.ignored, where, request.excluded))
        elif not request.excluded.leave_out(found.name):
            yield Item(found, None)


def _with_parents(request: CopyRequest, source: Context, path: str) -> Iterator[Item]:
    """Yield the directory from which --parents begins, with the choice of the files that *path* means below it."""
    begin, pivot, pattern = path.partition(PIVOT)
    if not pivot:
        begin, pattern = "", path
    wanted = cleaned(f"/{pattern}")
    for found in source.find(begin):
        if not is_directory(found):
            raise UsageError(begin, "is no directory: --parents begins there", "put the /./ elsewhere")
        where = f"{found.path}/" if found.path else ""
        choice = Choice(source.ignored, where, request.excluded, Patterns([wanted], path))
        item = Item(found, choice)
        if next(iter(_walk(item)), None) is not None:
            yield item
        elif wanted and not has_wildcard(wanted) and not has_wildcard(begin):
            raise UsageError(path, f"no such file or directory in the {source.thing}")
        elif not wanted:
            yield item._replace(choice=choice._replace(wanted=Patterns()))


def _walk(item: Item) -> Iterator[Entry]:
    fd = _readable(item.found.fd)
    try:
        yield from walk(fd, item.choice or Choice())
    finally:
        os.close(fd)


def _entry(name: str, fd: int) -> Entry:
    return Entry(FILE, name, f"/proc/self/fd/{fd}", -1, os.fstat(fd), {})


def _readable(fd: int) -> int:
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)


@contextmanager
def _placed(request: CopyRequest) -> Iterator[None]:
    """Give the errors of the block the place of the instruction."""
    place = f"{request.instruction.file}:{request.instruction.line}"
    try:
        yield
    except UsageError as error:
        raise error if error.thing.startswith(f"{place}: ") else request.wrong(error) from error
    except TinyboxError as error:
        error.thing = f"{place}: {request.instruction.name}: {error.thing}"
        raise
    except OSError as error:
        thing = f"{place}: {request.instruction.name}"
        name = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        raise TinyboxError(thing, f"{name}{(error.strerror or str(error)).lower()}") from error
