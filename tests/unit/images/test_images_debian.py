"""Images from Debian packages: from a repository of the test's own, so that no mirror and no root is needed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tinybox.errors import ImageError
from tinybox.images.intake import workspace
from tinybox.images.recipes import debian
from tinybox.images.recipes.pack import Pack
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="apt-get and dpkg-deb are Debian's")


class Repository:
    """A repository of packages in *folder*, trusted as it is, and the only one that apt-get may use."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "repository"
        self.folder.mkdir()
        (folder / "lists/partial").mkdir(parents=True)
        (folder / "sources.list").write_text(f"deb [trusted=yes] file:{self.folder} ./\n")
        settings = {"Etc::sourcelist": "sources.list", "State::lists": "lists"}
        lines = [f'Dir::{key} "{folder}/{name}";\n' for key, name in settings.items()]
        (folder / "apt.conf").write_text("".join([*lines, 'Dir::Etc::sourceparts "-";\n', 'APT::Sandbox::User "";\n']))
        monkeypatch.setenv("APT_CONFIG", str(folder / "apt.conf"))

    def add(self, name: str, files: dict[str, str], *, needs: Iterable[str] = ()) -> None:
        """Build the package *name* with *files*, and add it to the index."""
        tree = self.folder.parent / f"tree-{name}"
        for path, text in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: me <me@here>\nDescription: x\n"
        control += f"Depends: {', '.join(needs)}\n" if needs else ""
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN/control").write_text(control)
        built = self.folder / f"{name}.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, built], check=True, capture_output=True)
        content = built.read_bytes()
        with (self.folder / "Packages").open("a") as index:
            size, digest = len(content), hashlib.sha256(content).hexdigest()
            index.write(f"{control}Filename: ./{name}.deb\nSize: {size}\nSHA256: {digest}\n\n")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Give an empty repository."""
    return Repository(tmp_path, monkeypatch)


def packed(folder: Path, source: dict[str, Any], said: list[str]) -> dict[str, str]:
    """Return the archive of *source*: each path with its text, or its link target; without directories."""
    with (
        workspace(Store(str(folder / "store"))) as work,
        tarfile.open(debian.archive(source, work, said.append)) as tar,
    ):
        return {
            member.name: member.linkname or tar.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in tar
            if not member.isdir() and member.name not in debian.MERGED
        }


def test_packages_come_with_their_dependencies_alone(tmp_path: Path, repository: Repository) -> None:
    """Dependencies are included, assumed packages are not, /bin is merged into /usr, and documents are left out."""
    repository.add("tool", {"bin/tool": "one", "usr/share/doc/tool/x": "-"}, needs=["library", "scripts"])
    repository.add("library", {"lib64/loader": "elf", "etc/conf": "theirs"})
    repository.add("scripts", {"usr/bin/script": "perl"})
    source = {
        "packages": ["tool"],
        "assumed": ["scripts"],
        "without": ["usr/share/doc/*"],
        "files": {"etc/passwd": "root"},
        "links": {"usr/bin/sh": "tool"},
    }
    assert packed(tmp_path, source, []) == {
        "usr/bin/tool": "one",
        "usr/lib64/loader": "elf",
        "etc/conf": "theirs",
        "etc/passwd": "root",
        "usr/bin/sh": "tool",
    }
    assert "usr/bin/script" in packed(tmp_path, source | {"assumed": []}, [])


def test_missing_lists_are_downloaded_into_the_workspace(tmp_path: Path, repository: Repository) -> None:
    """If the host has no list with the package, new lists go to the workspace; the host's own do not change."""
    repository.add("tool", {"usr/bin/tool": "one"})
    said: list[str] = []
    assert packed(tmp_path, {"packages": ["tool"], "assumed": []}, said)["usr/bin/tool"] == "one"
    assert any("once more, with fresh lists" in line for line in said)
    assert [path.name for path in (tmp_path / "lists").iterdir()] == ["partial"]


def test_an_unknown_package_is_named(tmp_path: Path, repository: Repository) -> None:
    """One line: the message of apt-get, and the probable cause."""
    repository.add("tool", {"usr/bin/tool": "one"})
    with pytest.raises(ImageError, match=r"apt-get: .*no-such-package"):
        packed(tmp_path, {"packages": ["no-such-package"], "assumed": []}, [])


def test_a_mirror_that_does_not_answer_is_named(tmp_path: Path, repository: Repository) -> None:
    """Offline, the error asks whether a Debian mirror can be reached, and no half of an image is there."""
    shutil.rmtree(repository.folder)
    with pytest.raises(ImageError, match=r"apt-get: .*\(is a Debian mirror within reach\?\)"):
        packed(tmp_path, {"packages": ["tool"], "assumed": []}, [])
    assert Store(str(tmp_path / "store")).images() == []


def test_a_file_that_is_no_debian_package_is_named(tmp_path: Path) -> None:
    """Another kind of file makes no image."""
    (tmp_path / "broken.deb").write_bytes(b"!<arch>\nnothing")
    with Pack(str(tmp_path / "all.tar")) as pack, pytest.raises(ImageError, match=r"broken\.deb"):
        debian._Tree(pack, []).take("dpkg-deb", str(tmp_path / "broken.deb"))
