"""A store in which the kernel refuses overlays: marks are names there, and layers can be copied and compared."""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from tinybox.images.archives import layers
from tinybox.images.archives.tree import Tree
from tinybox.images.layer_changes import OPAQUE, WHITEOUT, Stack
from tinybox.images.layer_report import Source
from tinybox.images.layer_versions import DELETED, HIDES, versions
from tinybox.isolation import copied_layers
from tinybox.isolation.merged import Merged
from tinybox.isolation.overlay_changes import changes
from tinybox.linux.filesystem import overlay_marks

if TYPE_CHECKING:
    from pathlib import Path

MARK = "user.overlay.opaque"
CHANGES = [("C", "/d"), ("A", "/d/new"), ("D", "/d/old"), ("D", "/gone"), ("A", "/new")]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process one whose store refuses overlays."""
    monkeypatch.setattr(overlay_marks, "refused", True)


def made(place: Path, *names: str) -> str:
    """Make the files *names* below *place*, with their name as the content and one time; return the path of *place*."""
    for name in names:
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("" if ".wh." in name else name)
        os.utime(file, ns=(1, 1_234_567_891))
    return str(place)


@pytest.fixture
def stack(tmp_path: Path) -> list[str]:
    """Give a layer, and one that hides a file of it, and replaces a directory."""
    lower = made(tmp_path / "lower", "gone", "kept", "d/old", "e/same")
    return [lower, made(tmp_path / "upper", ".wh.gone", "new", "d/.wh..wh..opq", "d/new")]


@pytest.mark.usefixtures("refused")
def test_names_hide_files(stack: list[str]) -> None:
    """diff, layers, layers --which and a look-up in the layers see the same as with the kernel's marks."""
    lower, upper = stack
    assert list(changes(upper, [lower], MARK)) == CHANGES
    with Merged(stack) as image:
        assert image.names(image.root, b"") == {"kept", "new", "d", "e"}
        assert image.names(image.levels(b"d"), b"d") == {"new"}
        assert image.stat(b"gone") is None
        assert image.stat(b"d/old") is None
        assert image.stat(b"kept") is not None
    report = Stack()
    report.add(lower, 1)
    hidden = {change.path: change.how for change in report.add(upper, 2) if change.kind == "D"}
    assert hidden == {"/gone": WHITEOUT, "/d": OPAQUE}
    sources = [Source(tree, "", {}, 0, 0) for tree in stack]
    assert versions(sources, b"gone")[0].state == DELETED
    assert versions(sources, b"d/old")[0].state == HIDES


def test_elsewhere_such_a_name_is_a_file(stack: list[str]) -> None:
    """The control: where the kernel makes overlays, the same files hide nothing."""
    lower, upper = stack
    assert ("A", "/.wh.gone") in list(changes(upper, [lower], MARK))
    with Merged(stack) as image:
        assert image.stat(b"gone") is not None


@pytest.mark.usefixtures("refused")
def test_a_layer_keeps_its_names(stack: list[str], tmp_path: Path) -> None:
    """The archive of such an upper directory has the marks of the OCI image-spec, and unpacked it hides the same."""
    lower, upper = stack
    assert layers.pack(upper, str(tmp_path / "tar"), f"SCHILY.xattr.{MARK}", pytest.fail)
    target = tmp_path / "again"
    target.mkdir()
    with tarfile.open(tmp_path / "tar") as archive, Tree(str(target)) as tree:
        assert {".wh.gone", "d/.wh..wh..opq", "d/new"} <= set(archive.getnames())
        for member in archive:
            data = archive.extractfile(member)
            tree.add(member, [data.read()] if data else [])
        tree.end()
    assert (target / "d/.wh..wh..opq").exists()
    assert list(changes(str(target), [lower], MARK)) == CHANGES


@pytest.mark.usefixtures("refused")
def test_layers_are_copied_and_compared(stack: list[str], tmp_path: Path) -> None:
    """A copy has all that is seen, with times and links, and no file of a layer; its changes are an upper directory."""
    os.link(f"{stack[0]}/kept", f"{stack[0]}/link")
    os.symlink("../kept", f"{stack[0]}/e/symlink")
    with open(f"{stack[0]}/holes", "wb") as file:
        file.truncate(1 << 30)
    root, upper = tmp_path / "root", tmp_path / "changed"
    for folder in (root, upper):
        folder.mkdir()
    copied_layers.copy(stack, str(root))
    names = {str(path.relative_to(root)) for path in root.rglob("*")}
    assert names == {"new", "d", "d/new", "kept", "link", "e", "e/same", "e/symlink", "holes"}
    assert (root / "kept").stat().st_mtime_ns == 1_234_567_891
    assert (root / "kept").stat().st_ino == (root / "link").stat().st_ino != os.stat(f"{stack[0]}/kept").st_ino
    assert (root / "holes").stat().st_blocks == 0
    assert os.readlink(root / "e/symlink") == "../kept"
    copied_layers.upper(stack, str(root), str(upper))
    assert os.listdir(upper) == []  # the control: nothing has changed
    (root / "e/same").unlink()
    (root / "d/added").write_text("added")
    (root / ".wh.kept").write_text("a name that no layer can have")
    os.rename(root / "link", root / "e/link")
    copied_layers.upper(stack, str(root), str(upper))
    found = list(changes(str(upper), stack, MARK))
    assert found == [("C", "/d"), ("A", "/d/added"), ("C", "/e"), ("A", "/e/link"), ("D", "/e/same"), ("D", "/link")]
    assert (upper / "d/added").stat().st_ino == (root / "d/added").stat().st_ino
