"""The source and the target of `cp`: open paths on the host or in a container, and apply docker's rules for names.

In a container, the kernel keeps every link and every ``..`` inside its root; see openat2(2).
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from tinybox.errors import UsageError
from tinybox.images.archives.members import members
from tinybox.images.archives.metadata import XATTR
from tinybox.images.archives.tree import Tree, parts_of
from tinybox.images.archives.whiteouts import REPLACED
from tinybox.linux.filesystem import files, inside
from tinybox.linux.mount import AT_FDCWD

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

    from tinybox.images.archives.members import Member

_CAPABILITY = f"{XATTR}security.capability"
_INSIDE = files.RESOLVE_IN_ROOT | files.RESOLVE_NO_MAGICLINKS


class Side:
    """The files of the host, or with *root* (an fd) those of a container; no path leads out of that root."""

    def __init__(self, root: int | None = None) -> None:
        self._root, self._resolve = (AT_FDCWD, 0) if root is None else (root, _INSIDE)
        self.is_host = root is None

    def open(self, path: str, flags: int) -> int:
        """Open *path* on this side; UsageError states why it cannot be opened; see openat2(2)."""
        try:
            return files.openat2(self._root, os.fsencode(path), flags, self._resolve)
        except OSError as error:
            where = "on the host" if self.is_host else "in the container"
            raise UsageError(path, f"{(error.strerror or '').lower()} {where}") from error

    def open_below(self, directory: bytes, path: bytes, flags: int) -> int:
        """Open *path* below *directory*, where a link may lead to another place on this side; see openat2(2)."""
        return files.openat2(self._root, directory + b"/" + path, flags, self._resolve)

    def make_below(self, directory: bytes, path: bytes, before: Callable[[], None]) -> None:
        """Make the missing directories of *path* below *directory* of the container; see mkdirat(2)."""
        inside.make(self._root, directory + b"/" + path, before=before)

    def settle(self, path: str) -> tuple[str, int]:
        """Follow the links at the end of *path*; return the final path and its mode, or mode 0 if it does not exist.

        The final path has no slash and no ``/.`` at its end, so that its last part is the name of the file.
        """
        for _ in range(inside.LINKS_MAX):
            path = _bare(path)
            try:
                fd = files.openat2(self._root, os.fsencode(path), os.O_PATH | os.O_NOFOLLOW, self._resolve)
            except FileNotFoundError:
                return path, 0
            except OSError as error:
                raise UsageError(path, (error.strerror or "").lower()) from error
            try:
                mode = os.fstat(fd).st_mode
                if not stat.S_ISLNK(mode):
                    return path, mode
                path = os.path.join(os.path.dirname(path), os.fsdecode(os.readlink(b"", dir_fd=fd)))
            finally:
                os.close(fd)
        raise UsageError(path, "too many links")

    def members(self, path: str, *, follow: bool, skipped: Callable[[str], None]) -> Iterator[Member]:
        """Yield the files at *path* as members of an archive.

        A link is yielded as a link unless *follow* is true or *path* ends in a slash.
        """
        contents = means_contents(path)
        through = follow or contents or path.endswith("/")
        fd = self.open(path, os.O_PATH | (0 if through else os.O_NOFOLLOW))
        try:
            if _is_special(mode := os.fstat(fd).st_mode) or stat.S_ISSOCK(mode):
                raise UsageError(path, "is a device or a socket, which cannot be copied")
            for member in members(fd, "." if contents else self._name_of(path, fd), skipped):
                if member.header.ischr() or member.header.isblk():
                    skipped(member.header.name)
                else:
                    yield member
        finally:
            os.close(fd)

    def _name_of(self, path: str, fd: int) -> str:
        """Return the name that a copy of *path*, opened as *fd*, has; ``.`` if it is the root.

        A path that ends in ``..`` does not contain the name of its directory. The kernel knows it: see proc_pid_fd(5).
        """
        name = os.path.basename(_bare(path))
        if name not in ("", "..", "."):
            return name
        root = files.openat2(self._root, b"/", os.O_PATH, self._resolve)
        try:
            is_root = os.path.sameopenfile(root, fd)
        finally:
            os.close(root)
        return "." if is_root else os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))


def _is_special(mode: int) -> bool:
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def means_contents(path: str) -> bool:
    """Return whether *path* means a directory's content, not the directory: it ends in ``/.``, or is the root."""
    return os.path.basename(path.rstrip("/")) in ("", ".")


def _bare(path: str) -> str:
    """Return *path* without the slashes and the ``/.`` at its end; no other part of it is changed."""
    while len(path) > 1 and path.endswith(("/", "/.")):
        path = path[:-1]
    return path


class CopyTarget(Tree):
    """The target *path* on one *side*, to which the members of one archive are copied; see docker-cp(1) for the rules.

    With *as_is* the user has given the archive, and *path* must be an existing directory. All files get the *owner*; if
    that is None, they keep their owners.
    """

    is_layer = False

    def __init__(self, side: Side, path: str, *, as_is: bool, owner: tuple[int, int] | None) -> None:
        self._side, self._path, self._as_is, self._owner = side, path, as_is, owner
        self._top, self._name, self._open_root = "", "", False
        self._directory = b""

    def __enter__(self) -> Self:
        if self._as_is:
            self._choose("", is_directory=True)
        return self

    def __exit__(self, *unused: object) -> None:
        if self._open_root:
            super().__exit__(*unused)

    def add(self, member: tarfile.TarInfo, data: Iterable[bytes]) -> None:
        """Write *member* to its place; a file never replaces a directory, and a directory never replaces a file."""
        if not self._open_root:
            self._choose(member.name, is_directory=member.isdir())
        self._rename(member)
        parts = parts_of(member.name)
        if not parts:
            return
        self._check_kind(member, parts)
        if self._owner is not None:
            self._give(member, self._owner)
        super().add(member, data)

    def _choose(self, first: str, *, is_directory: bool) -> None:
        """Choose the directory to copy into, and the name that the *first* member gets there."""
        path, mode = self._side.settle(self._path)
        a_directory_is_named = self._path.endswith("/") or means_contents(self._path)
        if stat.S_ISDIR(mode):
            self._open_target(path)
            return
        if mode and (self._as_is or a_directory_is_named):
            raise UsageError(self._path, "is not a directory")
        if mode and is_directory:
            raise UsageError(self._path, "is a file: a directory cannot be copied there")
        if not mode and (self._as_is or (a_directory_is_named and not is_directory)):
            raise UsageError(self._path, "no such directory", "it must exist")
        parent, name = os.path.split(path)
        self._top, self._name = first, name
        self._open_target(parent or ".")

    def _open_target(self, directory: str) -> None:
        fd = self._side.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self._directory = os.fsencode(directory)
        try:
            super().__init__(f"/proc/self/fd/{fd}")
            self._open_root = True
        finally:
            os.close(fd)

    def _open(self, parts: tuple[bytes, ...], flags: int = 0) -> int:
        """Open the directory *parts* below the target; EXDEV: on the host, a link leads out of the target; openat2(2).

        In a container a link may lead out of the target, to anywhere below the container's root.
        """
        flags |= os.O_RDONLY | os.O_DIRECTORY
        path = b"/".join(parts) or b"."
        try:
            return files.openat2(self._root, path, flags, files.RESOLVE_BENEATH | files.RESOLVE_NO_MAGICLINKS)
        except OSError as error:
            if error.errno != errno.EXDEV or self._side.is_host:
                raise
        return self._side.open_below(self._directory, path, flags)

    def _make_missing(self, parts: tuple[bytes, ...]) -> None:
        if self._side.is_host:
            super()._make_missing(parts)
        else:
            self._side.make_below(self._directory, b"/".join(parts), self._count)

    def _rename(self, member: tarfile.TarInfo) -> None:
        if self._name:
            member.name = self._renamed(member.name)
            if member.islnk():
                member.linkname = self._renamed(member.linkname)

    def _renamed(self, name: str) -> str:
        if name == self._top:
            return self._name
        return f"{self._name}/{name if self._top == '.' else name.removeprefix(self._top + '/')}"

    def _give(self, member: tarfile.TarInfo, owner: tuple[int, int]) -> None:
        """Set the *owner* of *member*; remove set-id bits and file capabilities for another owner or for the host.

        These rights were given to a program by its former owner.
        """
        if member.isreg() and (self._side.is_host or (member.uid, member.gid) != owner):
            member.mode &= ~(stat.S_ISUID | stat.S_ISGID)
            member.pax_headers = {key: value for key, value in member.pax_headers.items() if key != _CAPABILITY}
        member.uid, member.gid = owner

    def _check_kind(self, member: tarfile.TarInfo, parts: tuple[bytes, ...]) -> None:
        """Raise UsageError, as docker does, if an existing file there is of another kind than *member*."""
        try:
            parent = self._open(parts[:-1])
        except OSError as error:
            if error.errno in REPLACED:
                return  # the directory is missing, or is not one: writing the member will find that
            raise
        try:
            mode = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        finally:
            os.close(parent)
        if _is_special(mode) and not (member.ischr() or member.isblk()):
            raise UsageError(member.name, "is a device there: a copy cannot replace it")
        if stat.S_ISDIR(mode) and not member.isdir():
            raise UsageError(member.name, "is a directory there: a file cannot replace it")
        if member.isdir() and not stat.S_ISDIR(mode):
            raise UsageError(member.name, "is no directory there: a directory cannot replace it")
