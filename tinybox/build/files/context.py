"""A build context: the files that COPY and ADD may copy.

It is a directory of the host, a tar archive from standard input, or the root file system of a stage or an image. No
link and no ``..`` leads out of it: the kernel resolves each path with the context as its root; see openat2(2).
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple

from tinybox.build.files import patterns
from tinybox.build.files.patterns import Patterns
from tinybox.errors import TinyboxError, UsageError
from tinybox.linux.filesystem import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedReader
    from typing import Self

IGNORE_FILES = (".containerignore", ".dockerignore")  # the first one that is there counts
IGNORE_MOST = 1 << 20  # bytes of such a file
DOWNLOADS = "/var/tmp"
_INSIDE = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS


class Found(NamedTuple):
    """A file of a context: its *name*, its *path* in the context without links, and an O_PATH *fd* of it."""

    name: str
    path: str
    fd: int


class Context:
    """The files below the open directory *root*, which `thing` names in errors; a context manager.

    *owner* is the user and group number that its files get in the image; None: they keep their own. *folder* is a
    directory of the host for downloads.
    """

    def __init__(
        self, root: int, thing: str, ignored: Patterns, owner: tuple[int, int] | None, folder: str = DOWNLOADS
    ) -> None:
        self.thing, self.ignored, self.owner, self.folder = thing, ignored, owner, folder
        self._root = root

    @classmethod
    def of_directory(cls, path: str, ignore_file: str | None = None) -> Context:
        """Return the context of a directory of the host; UsageError: it cannot be opened.

        *ignore_file* is a file of the host with the patterns; None: the .dockerignore in the directory.
        """
        try:
            root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(path, f"cannot be the build context: {(error.strerror or '').lower()}") from error
        with ExitStack() as undo:
            context = undo.enter_context(cls(root, "build context", Patterns(), (0, 0)))
            if ignore_file is None:
                context.read_patterns(IGNORE_FILES)
            else:
                context.ignored = patterns.read(_read(ignore_file), os.path.basename(ignore_file))
            undo.pop_all()
        return context

    @classmethod
    def of_archive(cls, stream: BufferedReader, work: str, ignore_file: str = "") -> Context:
        """Return the context of a tar archive, plain or compressed, which is unpacked to *work*/context.

        *ignore_file* is a path in the archive that counts, if it is there, before .dockerignore. The caller removes
        *work*. ImageError: the archive is damaged or unsafe.
        """
        from tinybox.build.files.unpacking import unpack_context

        unpack_context(stream, f"{work}/context")
        context = cls.of_directory(f"{work}/context", "/dev/null")
        with ExitStack() as undo:
            undo.enter_context(context)
            context.read_patterns((ignore_file, *IGNORE_FILES) if ignore_file else IGNORE_FILES)
            undo.pop_all()
        return context

    @classmethod
    def of_root(cls, root: int, thing: str) -> Self:
        """Return the context of a mounted root file system, such as of ``stage build``; the fd becomes its own."""
        return cls(root, thing, Patterns(), None)

    @classmethod
    def nothing(cls) -> Self:
        """Return a context without files, for a Containerfile that comes from standard input."""
        return cls(-1, "build context", Patterns(), (0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def read(self, path: str, most: int) -> bytes | None:
        """Return the content of a file of at most *most* bytes, left out or not; None: there is no such file.

        UnfitFileError: it is larger, or not a regular file.
        """
        try:
            fd = self._open(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return files.read_regular(fd, path, most)
        finally:
            os.close(fd)

    def read_patterns(self, names: Iterable[str]) -> None:
        """Take the patterns of the first of the files *names* that is in the context."""
        for name in names:
            content = self.read(name, IGNORE_MOST)
            if content is not None:
                self.ignored = patterns.read(content, os.path.basename(name))
                return

    def expand(self, source: str) -> list[str]:
        """Return the paths in the context that *source* means: one, or with wildcards those that it fits, sorted."""
        path = patterns.cleaned(f"/{source}")
        if not patterns.has_wildcard(path):
            return [path]
        found = [""]
        for part in path.split("/"):
            if patterns.has_wildcard(part):
                fits = patterns.compiled(part, source).fullmatch
                found = [f"{above}{name}/" for above in found for name in self._names(above) if fits(name)]
            else:
                found = [f"{above}{patterns.literal(part)}/" for above in found]
        return [each[:-1] for each in found if self._is_there(each[:-1])]

    def find(self, source: str) -> Iterator[Found]:
        """Yield the files that *source* means, open until the next one; a link leads to the file that it names.

        UsageError: a file is not there, or .dockerignore leaves it out. A wildcard may fit nothing.
        """
        for path in self.expand(source):
            fd = self._opened(path)
            try:
                real = path
                if self.ignored:
                    real = self._path_of(fd)
                    if self._is_out(path) or self._is_out(real):
                        cause = f"{self.ignored.thing} leaves it out of the {self.thing}"
                        raise UsageError(path, cause, f"!{path} takes it in")
                yield Found(os.path.basename(path), real, fd)
            finally:
                os.close(fd)

    def _opened(self, path: str) -> int:
        if self._root < 0:
            raise UsageError(
                path or ".", "there is no build context", "give a directory in place of -, or a tar archive"
            )
        try:
            return self._open(path)
        except OSError as error:
            if self._is_there(path):
                cause = f"it is a link that leads to no file in the {self.thing}"
            else:
                cause = f"{(error.strerror or '').lower()} in the {self.thing}"
            raise UsageError(path or ".", cause) from error

    def _open(self, path: str, flags: int = os.O_PATH) -> int:
        return files.openat2(self._root, os.fsencode(path) or b".", flags, _INSIDE)

    def _path_of(self, fd: int) -> str:
        """Return the path in the context of the open file: without links, so that patterns fit it."""
        top, path = (os.readlink(f"/proc/self/fd/{each}") for each in (self._root, fd))
        return path.removeprefix(top.rstrip("/")).lstrip("/")

    def _names(self, path: str) -> list[str]:
        try:
            fd = self._open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return []
        try:
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)

    def _is_there(self, path: str) -> bool:
        """Return whether *path*, or a link of this name, is in the context and not left out."""
        with suppress(OSError):
            os.close(self._open(path, os.O_PATH | os.O_NOFOLLOW))
            return not self._is_out(path)
        return False

    def _is_out(self, path: str) -> bool:
        if not path or not self.ignored.leave_out(path):
            return False
        return not self.ignored.may_take_in_below(path)


def ignore_file_of(containerfile: str) -> str | None:
    """Return the file with patterns for this *containerfile* alone, ``NAME.dockerignore``, if it is there."""
    path = f"{containerfile}.dockerignore"
    return path if os.path.isfile(path) else None


def is_directory(found: Found) -> bool:
    """Return whether the file is a directory."""
    return stat.S_ISDIR(os.fstat(found.fd).st_mode)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(IGNORE_MOST + 1)
    except OSError as error:
        raise UsageError(path, f"cannot be read: {(error.strerror or '').lower()}") from error
    if len(content) > IGNORE_MOST:
        raise TinyboxError(path, f"is larger than {IGNORE_MOST >> 20} MiB", "this is hardly a list of patterns")
    return content
