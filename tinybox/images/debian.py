"""A root file system out of Debian packages: apt-get finds and checks them, and their files are all that is taken.

apt-get is told of a system on which nothing is installed but what the recipe *assumed*; so it works out what belongs to
the packages, by this machine's own sources and keys. No script of a package is run: what such a script would have set
up, a user or a link, the recipe says. See apt-get(8) and dpkg-deb(1).
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

from tinybox.errors import ImageError
from tinybox.images import programs
from tinybox.images.pack import Pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.intake import Workspace

    Say = Callable[[str], None]

INSTALLS = re.compile(r"^Inst (\S+) \((\S+) ", re.MULTILINE)  # what apt-get --simulate says of each package
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # links into usr/; some packages still say bin/
ASSUMED = (
    "Package: {}\nStatus: install ok installed\nVersion: 999\nArchitecture: all\nMaintainer: -\nDescription: -\n\n"
)


def archive(source: dict[str, Any], work: Workspace, say: Say) -> str:
    """Pack the files of the packages that *source* lists, and of all they need; return the archive's path."""
    apt, dpkg = programs.find("apt-get", "apt"), programs.find("dpkg-deb", "dpkg")
    say(f"fetching {', '.join(source['packages'])} with apt-get")
    _download(apt, source, work, say)
    packages = sorted(glob.glob(f"{work.path}/*.deb"))
    say(f"taking the files of {len(packages)} packages")
    with Pack(f"{work.path}/debian.tar") as pack:
        tree = _Tree(pack, source.get("without", []))
        for directory in MERGED:
            tree.link(directory, f"usr/{directory}")
        for package in packages:
            tree.take(dpkg, package)
        _add_own(source, pack, tree)
    return pack.path


def _download(apt: str, source: dict[str, Any], work: Workspace, say: Say) -> None:
    """Fetch the packages and what they need; where this host's lists are missing or old, with fresh ones."""
    with open(f"{work.path}/status", "w", encoding="ascii") as file:
        file.writelines(ASSUMED.format(name) for name in source["assumed"])
    usual = _settings({"Dir::State::status": "status"}, work)
    try:
        _fetch(apt, usual, source["packages"], work)
    except ImageError as error:
        say(f"apt-get: {error.cause}; once more, with fresh lists")
        os.makedirs(f"{work.path}/lists/partial")
        fresh = [*usual, *_settings({"Dir::State::lists": "lists"}, work)]
        programs.run(work, apt, *fresh, "-o", "APT::Update::Error-Mode=any", "update")
        _fetch(apt, fresh, source["packages"], work)


def _fetch(apt: str, settings: list[str], packages: list[str], work: Workspace) -> None:
    """Ask apt-get what it would install, and download that; `download` copies from local mirrors, too."""
    told = programs.run(work, apt, *settings, "--simulate", "--no-install-recommends", "install", *packages)
    wanted = [f"{name}={version}" for name, version in INSTALLS.findall(told)]
    programs.run(work, apt, *settings, "download", *wanted)


def _settings(folders: dict[str, str], work: Workspace) -> list[str]:
    """Return the options that keep apt-get's files in our workspace, and its locks and caches out of the host's."""
    words = {key: f"{work.path}/{name}" for key, name in folders.items()}
    words |= {"Debug::NoLocking": "1", "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": ""}
    words |= {"APT::Sandbox::User": "root", "Acquire::Languages": "none", "Acquire::Retries": "1"}
    return [word for key, value in words.items() for word in ("-o", f"{key}={value}")]


class _Tree:
    """The files of several packages in one archive, each once; what is like *without* is left out."""

    def __init__(self, pack: Pack, without: list[str]) -> None:
        self._pack, self._without = pack, without
        self._seen: set[str] = set()

    def take(self, dpkg: str, package: str) -> None:
        """Add the files of *package*, read from dpkg-deb's pipe."""
        with subprocess.Popen([dpkg, "--fsys-tarfile", package], stdout=subprocess.PIPE) as process:
            try:
                with tarfile.open(fileobj=process.stdout, mode="r|") as archived:
                    for member in archived:
                        self._take(member, archived)
            except tarfile.TarError as error:
                raise ImageError(os.path.basename(package), f"cannot be read: {error}") from error
        if process.returncode:
            raise ImageError(os.path.basename(package), "is no Debian package", "fetch it again")

    def _take(self, member: tarfile.TarInfo, archived: tarfile.TarFile) -> None:
        member.name = merged(member.name)
        if member.islnk():
            member.linkname = merged(member.linkname)
        if not self.is_new(member.name) or any(fnmatch.fnmatch(member.name, pattern) for pattern in self._without):
            return
        self._pack.time = max(self._pack.time, int(member.mtime))
        self._pack.copy(member, archived.extractfile(member) if member.isreg() else None)

    def is_new(self, path: str) -> bool:
        """Tell whether nothing is at *path* yet, and note that now something is."""
        if path in self._seen:
            return False
        self._seen.add(path)
        return True

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link, before which nothing is there."""
        if self.is_new(path):
            self._pack.symlink(path, target)


def merged(path: str) -> str:
    """Return *path* as it is where /bin, /sbin and /lib are links into /usr: ``./bin/sh`` is usr/bin/sh."""
    name = os.path.normpath(path).lstrip("/")
    return f"usr/{name}" if name.split("/")[0] in MERGED else name


def _add_own(source: dict[str, Any], pack: Pack, tree: _Tree) -> None:
    """Add the directories, files and links that the recipe says itself."""
    for path, mode in source.get("directories", {}).items():
        if tree.is_new(path):
            pack.directory(path, int(mode, 8))
    for path, text in source.get("files", {}).items():
        pack.file(path, text.encode())
    for path, target in source.get("links", {}).items():
        tree.link(path, target)
