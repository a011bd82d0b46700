"""Make the missing parts of a path inside a root, where each link leads to where it leads for a process with that root.

openat2(2) resolves such a path with RESOLVE_IN_ROOT, but it makes no directory. So here the parts are walked one by
one. No part is opened through a link: a link is read, and the walk goes on at the root, or in the directory of the
link. A process that changes links meanwhile cannot lead the walk out of the root.
"""

from __future__ import annotations

import errno
import os

from tinybox.linux.filesystem.files import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HERE = b"."  # as a root: the working directory, which needs no descriptor of its own
_AT_FDCWD = -100
LINKS_MAX = 40  # as many as the kernel follows; see path_resolution(7)
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Root:
    """A ``with`` block with a descriptor of the directory *root*; for HERE that is AT_FDCWD of openat(2)."""

    def __init__(self, root: bytes) -> None:
        self._root, self._fd = root, _AT_FDCWD

    def __enter__(self) -> int:
        if self._root != HERE:
            self._fd = os.open(self._root, _PLACE)
        return self._fd

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def make(
    root: int, path: bytes, *, directory: bool = True, mode: int = 0o755, before: Callable[[], None] | None = None
) -> None:
    """Make what is missing of *path* inside the directory *root*: at its end a *directory*, or an empty file.

    With any umask, the last directory has the *mode*, others 755, and the file 644. See `open_parent`, mkdirat(2).
    """
    if before is None and _is_made_in_one(root, path, directory=directory, mode=mode):
        return
    parent, name = open_parent(root, path, before)
    try:
        if not name:
            return
        if directory:
            os.close(_entered(parent, name, before, mode))
        else:
            _make_file_unless_there(parent, name, before)
    finally:
        os.close(parent)


def _is_made_in_one(root: int, path: bytes, *, directory: bool, mode: int) -> bool:
    """Make the last part of *path*, if only that is missing, as mostly; the kernel resolves the rest in one call.

    Return False if nothing was made: more is missing, or the last part is there, such as a link that leads nowhere.
    """
    folder, name = os.path.split(path)
    try:
        parent = openat2(root, folder or b".", _PLACE, RESOLVE_IN_ROOT)
    except OSError:
        return False
    try:
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
            os.close(_with_mode(parent, name, mode))
        else:
            _make_file(parent, name)
    except OSError:
        return False
    finally:
        os.close(parent)
    return True


def open_directory(root: int, path: bytes, made: Callable[[int], None] | None = None) -> int:
    """Open the directory *path* inside *root*, and make what is missing of it; return its fd.

    *made* is called with an fd of each new directory. ENOTDIR: a file is there. See `open_parent`, mkdirat(2).
    """
    parent, name = open_parent(root, path, made=made)
    if not name:
        return parent
    try:
        return _entered(parent, name, None, made=made)
    finally:
        os.close(parent)


def open_parent(
    root: int, path: bytes, before: Callable[[], None] | None = None, made: Callable[[int], None] | None = None
) -> tuple[int, bytes]:
    """Open the directory of the file to which *path* leads inside *root*; return its fd and the file's name in it.

    Missing directories are made. Links are followed, also the last one, and a dangling one to the place where it leads.
    Without a name the path leads to that directory itself. *before* is called before a directory is made, *made* with
    an fd of each new one. ELOOP: more than 40 links. See path_resolution(7).
    """
    pending, done, links = _parts(path), list[bytes](), 0
    here = os.open(".", _PLACE, dir_fd=root)
    try:
        while pending:
            name = pending.pop()
            if name == b"..":
                del done[-1:]
                here = _instead(here, _walked(root, done))
            elif (target := _target(here, name)) is not None:
                links = _one_more(links, path)
                pending += _parts(target)
                if target.startswith(b"/"):
                    done.clear()
                    here = _instead(here, _walked(root, done))
            elif not pending:
                return here, name
            else:
                here = _instead(here, _entered(here, name, before, made=made))
                done.append(name)
    except BaseException:
        os.close(here)
        raise
    return here, b""


def _one_more(links: int, path: bytes) -> int:
    if links == LINKS_MAX:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(path))
    return links + 1


def _parts(path: bytes) -> list[bytes]:
    """Return the parts of *path*, the last one first."""
    return [name for name in reversed(path.split(b"/")) if name not in (b"", b".")]


def _instead(former: int, fd: int) -> int:
    os.close(former)
    return fd


def _walked(root: int, names: list[bytes]) -> int:
    """Open the directory that the *names*, none of which is a link, lead to."""
    return openat2(root, b"/".join(names) or b".", _PLACE, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)


def _target(here: int, name: bytes) -> bytes | None:
    """Return the target of the link *name*; None if it is no link, or does not exist."""
    try:
        return os.readlink(name, dir_fd=here)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _entered(
    here: int,
    name: bytes,
    before: Callable[[], None] | None,
    mode: int = 0o755,
    made: Callable[[int], None] | None = None,
) -> int:
    """Open the directory *name*, and make it if it is missing."""
    try:
        return os.open(name, _PLACE | os.O_NOFOLLOW, dir_fd=here)
    except FileNotFoundError:
        if before is not None:
            before()
    try:
        os.mkdir(name, 0o755, dir_fd=here)
    except FileExistsError:  # another process has just made it
        return os.open(name, _PLACE | os.O_NOFOLLOW, dir_fd=here)
    fd = _with_mode(here, name, mode)
    if made is not None:
        made(fd)
    return fd


def _with_mode(here: int, name: bytes, mode: int) -> int:
    """Open the new directory *name*, and give it the *mode*, whatever the umask is."""
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    os.fchmod(fd, mode)
    return fd


def _make_file(here: int, name: bytes) -> None:
    """Make the empty file *name*; FileExistsError: a file has this name."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=here)
    try:
        os.fchmod(fd, 0o644)
    finally:
        os.close(fd)


def _make_file_unless_there(here: int, name: bytes, before: Callable[[], None] | None) -> None:
    if before is not None:
        before()
    try:
        _make_file(here, name)
    except FileExistsError:
        return
