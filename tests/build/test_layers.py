"""The directory that a step has changed becomes the layer itself: it is right for every kind of box."""

from __future__ import annotations

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
