"""Walk a tree that COPY or ADD copies, without the files that .dockerignore or --exclude leave out.

A directory that is left out is there all the same if a file below it is taken in; it comes before that file.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from tinybox.build.files.patterns import Patterns
from tinybox.errors import TinyboxError
from tinybox.images.archives.members import too_long
from tinybox.linux.filesystem import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinybox.build.files.patterns import Flags

    State = tuple[Flags, Flags, Flags]

FILE, ENTER, LEAVE = "file", "enter", "leave"
CAPABILITY = "security.capability"  # the only attribute besides user.* that an image has
NOTHING = Patterns()
_HIDDEN = (errno.ENODATA, errno.EPERM, errno.EACCES, errno.ENOTSUP)
_ALL: State = ((), (), ())


class Entry(NamedTuple):
    """A file, or the begin or the end of a directory, by its *kind*: FILE, ENTER or LEAVE.

    *path* is relative to the tree, *name* is its last part. *folder* is an fd of the directory of a file; without one
    (-1) *name* leads to the file. *attributes* are those of a directory.
    """

    kind: str
    path: str
    name: str
    folder: int
    info: os.stat_result
    attributes: dict[str, bytes]

    def open(self) -> int:
        """Open the regular file for reading, and return the fd; TinyboxError: it is another file now."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        if self.folder < 0:
            fd = os.open(self.name, flags)
        else:
            fd = os.open(self.name, flags | os.O_NOFOLLOW, dir_fd=self.folder)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise TinyboxError(self.path, "another process has just replaced it", "try again")
        return fd

    def target(self) -> str:
        """Return the target of the symbolic link; see readlink(2)."""
        return os.readlink(self.name, dir_fd=self.folder)


class Choice(NamedTuple):
    """The files of a tree that are copied: not the *ignored*, not the *excluded*, and only the *wanted*, if given.

    *where* is the path of the tree in the context, with a slash at its end, or "": .dockerignore begins there.
    """

    ignored: Patterns = NOTHING
    where: str = ""
    excluded: Patterns = NOTHING
    wanted: Patterns = NOTHING

    def at(self, state: State, path: str) -> tuple[bool, bool, State]:
        """Return whether *path* is copied, whether a file below it may be, and its state for `at` with that file."""
        if not (self.ignored or self.excluded or self.wanted):
            return True, True, state
        is_ignored, first = self.ignored.below(state[0], self.where + path)
        is_excluded, second = self.excluded.below(state[1], path)
        is_wanted, third = self.wanted.below(state[2], path) if self.wanted else (True, ())
        taken = is_wanted and not is_ignored and not is_excluded
        enters = (
            (not is_ignored or self.ignored.may_take_in_below(self.where + path))
            and (not is_excluded or self.excluded.may_take_in_below(path))
            and (is_wanted or self.wanted.may_fit_below(path))
        )
        return taken, enters, (first, second, third)

    def start(self) -> State:
        """Return the state of the tree itself."""
        return self.ignored.followed(self.where.rstrip("/"))[1] if self.where else (), (), ()


class _Level:
    """A directory on the way down: its path, the names that are left, its state, and if it was yielded."""

    def __init__(self, fd: int, path: str, state: State, entry: Entry | None) -> None:
        self.names = iter(sorted(os.listdir(fd)))
        self.path, self.state, self.entry = path, state, entry
        self.is_open = entry is None


def walk(top: int, choice: Choice) -> Iterator[Entry]:
    """Yield what *choice* takes of the tree below the open directory *top*, sorted by name.

    The fd of an entry is valid until the next one. TinyboxError: a path is longer than PATH_MAX. See readdir(3).
    """
    with files.Descent(top) as here:
        levels = [_Level(here.fd, "", choice.start(), None)]
        while levels:
            level = levels[-1]
            name = next(level.names, None)
            if name is None:
                yield from _left(levels.pop(), here)
                continue
            path = level.path + name
            if len(path) > files.LONGEST_PATH:
                raise too_long(path)
            info = _info(name, here.fd)
            taken, enters, state = choice.at(level.state, path)
            if info is None or not (taken or enters):
                continue
            if stat.S_ISDIR(info.st_mode):
                if enters and here.down(name):
                    entry = Entry(ENTER, path, name, -1, info, attributes(here.fd))
                    levels.append(_Level(here.fd, f"{path}/", state, entry))
                    yield from _entered(levels) if taken else ()
            elif taken:
                yield from _entered(levels)
                yield Entry(FILE, path, name, here.fd, info, {})


def _entered(levels: list[_Level]) -> Iterator[Entry]:
    """Yield the directories on the way that were not yielded yet."""
    if levels[-1].is_open:
        return
    for level in levels:
        if not level.is_open and level.entry is not None:
            level.is_open = True
            yield level.entry


def _left(level: _Level, here: files.Descent) -> Iterator[Entry]:
    if level.entry is not None:
        if level.is_open:
            yield level.entry._replace(kind=LEAVE)
        here.up()


def _info(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None  # another process has just removed it


def attributes(fd: int) -> dict[str, bytes]:
    """Return the attributes of the open file that an image may have: ``user.*`` and file capabilities; listxattr(2)."""
    found = {}
    for name in os.listxattr(fd):
        if name == CAPABILITY or (name.startswith("user.") and ".overlay." not in name):
            try:
                found[name] = os.getxattr(fd, name)
            except OSError as error:
                if error.errno not in _HIDDEN:
                    raise
    return found
