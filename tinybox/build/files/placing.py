"""Put copied files into the root file system of an image; files that are there already follow the rules of docker.

A file replaces another file or a link. A directory is merged with a directory. A file never replaces a directory, and a
directory never replaces a file. Links on the way to the target lead to where they lead in a system with this root.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from tinybox.build.files import permissions
from tinybox.build.files.selection import CAPABILITY, ENTER, LEAVE, Entry, attributes, walk
from tinybox.errors import UsageError
from tinybox.images.archives.metadata import set_attribute_if_possible
from tinybox.linux.filesystem import files, holes, inside

if TYPE_CHECKING:
    from tinybox.build.files.selection import Choice

    Owner = tuple[int, int]

ROOT = (0, 0)


class Placing:
    """Copies files to the target of one instruction.

    *root* is an fd of the image's root, *target* an absolute path in it, *is_directory* tells that the target must be a
    directory. *owner* is that of every file; None: each keeps its own. *chmod* is the value of --chmod, or "".
    `left_out` has the paths of sockets and devices, which no image has.
    """

    def __init__(self, root: int, target: str, *, is_directory: bool, owner: Owner | None, chmod: str) -> None:
        self._root, self._target, self._is_directory = root, target, is_directory
        self.owner, self._chmod = owner, chmod
        self.left_out: list[str] = []

    def is_directory(self) -> bool:
        """Return whether the target is a directory already, or by the instruction."""
        if self._is_directory:
            return True
        try:
            flags = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS
            os.close(files.openat2(self._root, os.fsencode(self._target), os.O_PATH | os.O_DIRECTORY, flags))
        except OSError:
            return False
        return True

    def file(self, name: str, entry: Entry) -> None:
        """Copy one file, whose *name* it gets if the target is a directory."""
        parent, name = self._place(name)
        try:
            self._put(parent, name, entry, {}, -1)
        finally:
            os.close(parent)

    def tree(self, top: int, choice: Choice) -> int:
        """Copy what *choice* takes below the open directory *top* into the target; return how many files that are."""
        target = self.directory()
        links: dict[tuple[int, int], str] = {}
        count = 0
        try:
            with files.Descent(target) as here:
                for entry in walk(top, choice):
                    count += 1
                    if entry.kind == ENTER:
                        self._enter(here, entry)
                    elif entry.kind == LEAVE:
                        self._finish(here.fd, entry.info, entry.attributes)
                        here.up()
                    else:
                        self._put(here.fd, entry.name, entry, links, target)
        finally:
            os.close(target)
        return count

    def directory(self) -> int:
        """Open the target as a directory, which is made if it is missing; UsageError: it is another file."""
        try:
            return inside.open_directory(self._root, os.fsencode(self._target), made=self._made)
        except OSError as error:
            raise self._unfit(error) from error

    def _place(self, name: str) -> tuple[int, str]:
        """Open the directory for a single file, and return its fd and the file's name there."""
        if self.is_directory():
            if "/" in name or name in {"", ".", ".."}:  # of a heredoc or a URL: it must not lead out
                raise UsageError(self._target, f"{name!r} is no name of a file", "give the target a name")
            return self.directory(), name
        try:
            parent, last = inside.open_parent(self._root, os.fsencode(self._target), made=self._made)
        except OSError as error:
            raise self._unfit(error) from error
        return parent, os.fsdecode(last) or name

    def _unfit(self, error: OSError) -> OSError | UsageError:
        if error.errno == errno.ENOTDIR:
            return UsageError(self._target, "a file is in its path there, where a directory must be")
        if error.errno == errno.ELOOP:
            return UsageError(self._target, "the links in its path form a loop")
        return error

    def _made(self, fd: int) -> None:
        """Give a new directory of the target's path its owner."""
        os.fchown(fd, *(self.owner or ROOT))

    def _enter(self, here: files.Descent, entry: Entry) -> None:
        """Go down to the directory of *entry*, and make it if it is missing; UsageError: another file is there."""
        with suppress(FileExistsError):
            os.mkdir(entry.name, 0o700, dir_fd=here.fd)
        if not here.down(entry.name):
            path = f"{self._target.rstrip('/')}/{entry.path}"
            raise UsageError(path, "is no directory there: a directory cannot replace it")

    def _put(self, parent: int, name: str, entry: Entry, links: dict[tuple[int, int], str], top: int) -> None:
        """Make the file *name* in the open directory *parent*, as a hard link if *links* has it below *top* already."""
        info = entry.info
        if stat.S_ISSOCK(info.st_mode) or stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
            self.left_out.append(entry.path)
            return
        self._clear(parent, name)
        first = links.setdefault((info.st_dev, info.st_ino), entry.path) if info.st_nlink > 1 and top >= 0 else ""
        if first not in ("", entry.path):
            os.link(first, name, src_dir_fd=top, dst_dir_fd=parent, follow_symlinks=False)
        elif stat.S_ISREG(info.st_mode):
            self._put_regular(parent, name, entry)
        elif stat.S_ISLNK(info.st_mode):
            os.symlink(entry.target(), name, dir_fd=parent)
            os.chown(name, *self._owner_of(info), dir_fd=parent, follow_symlinks=False)
            os.utime(name, ns=(info.st_mtime_ns,) * 2, dir_fd=parent, follow_symlinks=False)
        else:
            os.mkfifo(name, 0o600, dir_fd=parent)
            fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                self._finish(fd, info, {})
            finally:
                os.close(fd)

    def _put_regular(self, parent: int, name: str, entry: Entry) -> None:
        source = entry.open()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            target = os.open(name, flags, 0o600, dir_fd=parent)
            try:
                holes.copy(source, target)
                self._finish(target, entry.info, attributes(source))
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _finish(self, fd: int, info: os.stat_result, found: dict[str, bytes]) -> None:
        """Set owner, attributes, mode and time, in this order: chown(2) removes set-id bits and capabilities."""
        os.fchown(fd, *self._owner_of(info))
        for name, value in found.items():
            if name == CAPABILITY:
                os.setxattr(fd, name, value)
            else:
                set_attribute_if_possible(fd, name, value)
        mode = stat.S_IMODE(info.st_mode)
        if self._chmod:
            mode = permissions.changed(self._chmod, mode, is_directory=stat.S_ISDIR(info.st_mode))
        os.fchmod(fd, mode)
        os.utime(fd, ns=(info.st_mtime_ns,) * 2)

    def _owner_of(self, info: os.stat_result) -> Owner:
        return (info.st_uid, info.st_gid) if self.owner is None else self.owner

    def _clear(self, parent: int, name: str) -> None:
        """Remove the file *name*; a link is removed, never followed. UsageError: it is a directory."""
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError) as error:
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                cause = f"{name} is a directory there: a file cannot replace it"
                raise UsageError(self._target, cause) from error
            raise
