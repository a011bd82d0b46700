"""Make a root file system from Debian packages: apt-get downloads and verifies them, and their files are packed.

apt-get gets a status file of a system with only the packages that the recipe lists as *assumed*; so it finds all other
dependencies, with this machine's own sources and keys. No script of a package is run: a user or a link that a script
would make is in the recipe. See apt-get(8) and dpkg-deb(1).
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
from tinybox.images.recipes import programs
from tinybox.images.recipes.pack import Pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.intake import Workspace

    Report = Callable[[str], None]

INSTALLS = re.compile(r"^Inst (\S+) \((\S+) ", re.MULTILINE)  # the line of apt-get --simulate for each package
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # links into usr/; some packages still have files in bin/
ASSUMED = (
    "Package: {}\nStatus: install ok installed\nVersion: 999\nArchitecture: all\nMaintainer: -\nDescription: -\n\n"
)


def archive(source: dict[str, Any], work: Workspace, report: Report) -> str:
    """Pack the files of the packages that *source* lists, and of their dependencies; return the archive's path."""
    apt, dpkg = programs.find("apt-get", "apt"), programs.find("dpkg-deb", "dpkg")
    report(f"fetching {', '.join(source['packages'])} with apt-get")
    _download(apt, source, work, report)
    packages = sorted(glob.glob(f"{work.path}/*.deb"))
    report(f"taking the files of {len(packages)} packages")
    with Pack(f"{work.path}/debian.tar") as pack:
        tree = _Tree(pack, source.get("without", []))
        for directory in MERGED:
            tree.link(directory, f"usr/{directory}")
        for package in packages:
            tree.take(dpkg, package)
        _add_own(source, pack, tree)
    return pack.path


def _download(apt: str, source: dict[str, Any], work: Workspace, report: Report) -> None:
    """Download the packages and their dependencies; if that fails, update the package lists and try once more."""
    with open(f"{work.path}/status", "w", encoding="ascii") as file:
        file.writelines(ASSUMED.format(name) for name in source["assumed"])
    usual = _settings({"Dir::State::status": "status"}, work)
    try:
        _fetch(apt, usual, source["packages"], work)
    except ImageError as error:
        report(f"apt-get: {error.cause}; once more, with fresh lists")
        os.makedirs(f"{work.path}/lists/partial")
        fresh = [*usual, *_settings({"Dir::State::lists": "lists"}, work)]
        programs.run(work, apt, *fresh, "-o", "APT::Update::Error-Mode=any", "update")
        _fetch(apt, fresh, source["packages"], work)


def _fetch(apt: str, settings: list[str], packages: list[str], work: Workspace) -> None:
    """Download the packages that apt-get would install; its command `download` copies from local mirrors, too."""
    output = programs.run(work, apt, *settings, "--simulate", "--no-install-recommends", "install", *packages)
    needed = [f"{name}={version}" for name, version in INSTALLS.findall(output)]
    programs.run(work, apt, *settings, "download", *needed)


def _settings(folders: dict[str, str], work: Workspace) -> list[str]:
    """Return options by which apt-get keeps its files in the workspace, and takes no locks of the host's apt."""
    options = {key: f"{work.path}/{name}" for key, name in folders.items()}
    options |= {"Debug::NoLocking": "1", "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": ""}
    options |= {"APT::Sandbox::User": "root", "Acquire::Languages": "none", "Acquire::Retries": "1"}
    return [argument for key, value in options.items() for argument in ("-o", f"{key}={value}")]


class _Tree:
    """The files of several packages in one archive, each path once, except paths that match a pattern in *without*."""

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
        """Return whether *path* is not in the archive yet, and remember that it is now."""
        if path in self._seen:
            return False
        self._seen.add(path)
        return True

    def link(self, path: str, target: str) -> None:
        """Add the symbolic link *path*, if nothing with this path was added before."""
        if self.is_new(path):
            self._pack.symlink(path, target)


def merged(path: str) -> str:
    """Return *path* for a system where /bin, /sbin and /lib are links into /usr: ``./bin/sh`` is usr/bin/sh."""
    name = os.path.normpath(path).lstrip("/")
    return f"usr/{name}" if name.split("/")[0] in MERGED else name


def _add_own(source: dict[str, Any], pack: Pack, tree: _Tree) -> None:
    """Add the directories, files and links that the recipe itself contains."""
    for path, mode in source.get("directories", {}).items():
        if tree.is_new(path):
            pack.directory(path, int(mode, 8))
    for path, text in source.get("files", {}).items():
        pack.file(path, text.encode())
    for path, target in source.get("links", {}).items():
        tree.link(path, target)
