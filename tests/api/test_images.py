"""Images as Python objects: built, named, saved, loaded, sent to a registry and back, and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tinybox
from tests.support.boxes import new_name
from tests.support.registries import DockerRegistry
from tinybox.errors import ImageError, NoSuchImageError, TinyboxError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.slow]

FILE = """
FROM busybox
ARG word=none
LABEL shop=1
COPY page /srv/page
RUN --mount=type=secret,id=key cat /run/secrets/key > /srv/key; echo $word > /srv/word
CMD cat /srv/page /srv/key /srv/word
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a directory with a Containerfile and a page."""
    (tmp_path / "Containerfile").write_text(FILE)
    (tmp_path / "page").write_text("a page\n")
    return tmp_path


def test_an_image_from_its_build_to_its_removal(folder: Path) -> None:
    """Build with an argument and a secret, tag, list, inspect, history, save, remove, load: the id stays the same."""
    name = new_name()
    options = {"build_args": {"word": "w"}, "secrets": {"key": b"k\n"}, "labels": {"made": "here"}, "network": "none"}
    with tinybox.Image.build(str(folder), tag=[f"{name}:1", f"{name}:2"], **options) as image:  # type: ignore[arg-type]
        assert (str(image), image.names) == (f"{name}:1", [f"{name}:1", f"{name}:2"])
        assert image.labels == {"shop": "1", "made": "here"}
        assert tinybox.run(image, rm=True, capture_output=True).stdout == b"a page\nk\nw\n"
        assert [each.id for each in tinybox.Image.list(filters=[f"reference={name}"])] == [image.id]
        assert image.inspect()["Config"]["Labels"]["shop"] == "1"
        assert [step["size"] > 0 for step in image.history()[:3]] == [False, True, True]
        with image.tag(f"{name}:3") as third:
            third.save(str(folder / "saved.tar"))
        tinybox.Image.get(f"{name}:2").remove()
        assert image.names == [f"{name}:1"]
    with pytest.raises(NoSuchImageError):
        tinybox.Image.get(image.id)
    [loaded] = tinybox.Image.load(str(folder / "saved.tar"))
    with loaded:
        assert (loaded.id, loaded.names) == (image.id, [f"{name}:3"])
    assert tinybox.Image.list(filters=[f"reference={name}"]) == []


def test_errors_of_images_are_typed(folder: Path) -> None:
    """A failed RUN names its line; no Containerfile; no such image; a name without a registry that answers."""
    (folder / "Containerfile").write_text("FROM busybox\nRUN exit 7\n")
    with pytest.raises(TinyboxError, match="Containerfile:2"):
        tinybox.Image.build(str(folder), network="none")
    with pytest.raises(UsageError, match="has no Containerfile"):
        tinybox.Image.build(str(folder / ".."))
    with pytest.raises(NoSuchImageError):
        tinybox.Image.get("no-such-image")
    with pytest.raises(TinyboxError, match="localhost:1"):
        tinybox.Image.pull("localhost:1/none")


def test_an_image_in_use_is_not_removed() -> None:
    """The image that a box was made from stays, and the error names the box."""
    image = tinybox.Image.get("busybox")
    with tinybox.Container.create("busybox") as box, pytest.raises(ImageError, match=box.id[:12]):
        tinybox.Image.get(image.id).remove()


def test_an_image_goes_to_a_registry_and_back(tmp_path: Path) -> None:
    """Push returns the digest; removed and pulled, the image has its id; a pulled image that was here is left here."""
    busybox = tinybox.Image.get("busybox")
    with DockerRegistry(tmp_path / "registry") as registry:
        name = f"{registry.host}/box:1"
        with busybox.tag(name) as image:
            assert image.push().startswith("sha256:")
            with tinybox.Image.pull(name):
                pass
            assert name in busybox.names
        assert name not in busybox.names
        with tinybox.Container.create(name) as box, tinybox.Image.get(name) as brought:
            assert (brought.id, box.inspect()["Config"]["Image"]) == (busybox.id, name)
        brought.remove()
    with pytest.raises(NoSuchImageError):
        tinybox.Image.get(name)
