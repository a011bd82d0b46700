"""Write the tar archive of a recipe's root file system, member by member; it is then imported like any archive."""

from __future__ import annotations

import io
import stat
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO, Self


class Pack:
    """A new tar archive *path*; a member belongs to root by default, and has the present *time* of this object.

    *time* is in seconds since 1970.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.time = 0
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def directory(self, path: str, mode: int = 0o755, owner: tuple[int, int] = (0, 0)) -> None:
        """Add the directory *path*."""
        self._tar.addfile(self._member(path, tarfile.DIRTYPE, stat.S_IMODE(mode), owner))

    def file(self, path: str, content: bytes, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> None:
        """Add the regular file *path* with its *content*."""
        member = self._member(path, tarfile.REGTYPE, stat.S_IMODE(mode), owner)
        member.size = len(content)
        self._tar.addfile(member, io.BytesIO(content))

    def symlink(self, path: str, target: str) -> None:
        """Add the symbolic link *path* that points to *target*."""
        member = self._member(path, tarfile.SYMTYPE, 0o777, (0, 0))
        member.linkname = target
        self._tar.addfile(member)

    def copy(self, member: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        """Add *member* of another archive unchanged, with its *content* if it is a regular file."""
        self._tar.addfile(member, content)

    def _member(self, path: str, kind: bytes, mode: int, owner: tuple[int, int]) -> tarfile.TarInfo:
        member = tarfile.TarInfo(path)
        member.type, member.mode, member.mtime = kind, mode, self.time
        member.uid, member.gid = owner
        return member
