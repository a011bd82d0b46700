"""The directory that a step has changed becomes the layer itself: it is right for every kind of box."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

REPLACED = """\
FROM busybox
RUN mkdir -p /d/sub /e && touch /d/old /d/sub/old /e/gone /e/stays
RUN rm -r /d /e/gone && mkdir /d && touch /d/new
"""


@pytest.mark.parametrize("options", [(), ("--userns", "private")])
def test_a_replaced_directory_hides_the_former_one(built: Command, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Also in a box with a user namespace, for which overlayfs has another mark."""
    (tmp_path / "Containerfile").write_text(REPLACED)
    assert built("build", "-t", "case", str(tmp_path)).returncode == 0
    seen = built("run", "--rm", "--network", "none", *options, "case", "find", "/d", "/e")
    assert seen.stdout.split() == ["/d", "/d/new", "/e", "/e/stays"], seen.stderr


def test_the_layers_of_a_build_are_saved_with_their_digests(built: Command, tmp_path: Path) -> None:
    """`save` computes the digest of each layer from the stored files: they are whole."""
    (tmp_path / "Containerfile").write_text(REPLACED)
    assert built("build", "-t", "case", str(tmp_path)).returncode == 0
    saved = built("save", "-o", str(tmp_path / "saved.tar"), "case")
    assert saved.returncode == 0, saved.stderr
    again = built("load", "-i", str(tmp_path / "saved.tar"))
    assert again.returncode == 0, again.stderr


def test_a_context_that_changes_during_a_build_gives_no_wrong_layer_later(built: Command, tmp_path: Path) -> None:
    """A file has two contents in turns, many times while it is read and copied; then each build has the right one.

    The cache must not have one content under the key of the other one.
    """
    (tmp_path / "Containerfile").write_text("FROM scratch\nCOPY . /\n")
    for number in range(300):  # they are read before `word`, and copied before it
        (tmp_path / f"file-{number}").write_text("x")
    for number in range(5):
        texts = (f"one {number}", f"two {number}")
        change(tmp_path, texts[0])
        with built.start("build", "-q", "-t", "case", str(tmp_path)) as process:
            while process.poll() is None:
                for text in texts:
                    change(tmp_path, text)
            assert process.returncode == 0
        for text in texts:
            change(tmp_path, text)
            assert built("build", "-q", "-t", "case", str(tmp_path)).returncode == 0
            assert built("save", "-o", str(tmp_path.parent / "saved.tar"), "case").returncode == 0
            assert content(tmp_path.parent / "saved.tar", "word") == text


def change(folder: Path, text: str) -> None:
    """Give the file `word` another content, in one step."""
    (folder.parent / "draft").write_text(text)
    (folder.parent / "draft").rename(folder / "word")


def content(saved: Path, name: str) -> str:
    """Return the content of a file in the only layer of a saved image."""
    with tarfile.open(saved) as tar:
        [manifest] = json.load(tar.extractfile("manifest.json") or io.BytesIO())
        with tarfile.open(fileobj=tar.extractfile(manifest["Layers"][0])) as layer:
            file = layer.extractfile(name)
            assert file is not None
            return file.read().decode()
