"""`layers --html FILE`: one file, without a network, that a browser shows layer by layer, readable in a room."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support import image_archives as tar
from tests.support.boxes import named
from tests.support.browser import Browser, chromium

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["chromium"]

pytestmark = [pytest.mark.root, pytest.mark.slow]

SIZES = [(1280, 800), (1920, 1080)]
NOW = "Number(document.body.dataset.layer)"
NASTY = "</script><script>document.title='led astray'</script><b>"
LAYERS = [
    [tar.regular("app/big", b"1" * 50_000), tar.regular("app/tool", b"2" * 20_000, mode=0o644)],
    [tar.regular("app/big", b"3" * 30_000), tar.regular("app/tool", b"2" * 20_000, mode=0o755)],
    [tar.regular("app/.wh.tool", b""), tar.regular(f"app/{NASTY.replace('/', '')}", b"x")],
]


@pytest.fixture
def layered(tinybox: Command, tmp_path: Path) -> Iterator[str]:
    """Give the name of an image with the three layers LAYERS."""
    tar.saved(tmp_path / "image.tar", list(map(tar.archive, LAYERS)), "drawn:1")
    assert tinybox("load", "-qi", str(tmp_path / "image.tar")).returncode == 0
    yield "drawn:1"
    assert tinybox("rmi", "drawn:1").returncode == 0


def written(tinybox: Command, folder: Path, name: str) -> Path:
    """Return the page of the layers of *name*."""
    path = folder / "page.html"
    done = tinybox("layers", "--html", str(path), name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    return path


def text(chromium: Browser, selector: str) -> str:
    """Return the text of the first element that matches."""
    return str(chromium.value(f"document.querySelector('{selector}').textContent"))


def pixels(chromium: Browser, selector: str) -> float:
    """Return the font size of the first element that matches."""
    return float(chromium.value(f"parseFloat(getComputedStyle(document.querySelector('{selector}')).fontSize)"))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_can_be_read_in_a_room(
    tinybox: Command, chromium: Browser, tmp_path: Path, layered: str, width: int, height: int
) -> None:
    """Nothing is cut off at the right or below, letters grow with the screen, and the console has no errors."""
    chromium.open(written(tinybox, tmp_path, layered), width, height)
    for at in range(3):
        chromium.value(f"go({at})")
        overflow = (
            "document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight"
        )
        assert chromium.value(f"Math.max({overflow})") <= 0, at
        assert chromium.value("document.querySelector('#stack').scrollWidth - stack.clientWidth") <= 0, at
    assert pixels(chromium, "#title") >= width / 60
    assert pixels(chromium, "#tiles b") >= width / 60
    assert pixels(chromium, "#files li") >= width / 90
    assert pixels(chromium, "#stack .by") >= width / 100
    (tmp_path / "page.png").write_bytes(chromium.picture())
    assert (tmp_path / "page.png").stat().st_size > 20_000  # an empty page has 5 000
    assert chromium.complaints == []


def test_the_keys_put_layers_on_and_take_them_off(
    tinybox: Command, chromium: Browser, tmp_path: Path, layered: str
) -> None:
    """It begins with the whole stack; Home is the bottom layer, right the next one; at the ends the keys do nothing."""
    chromium.open(written(tinybox, tmp_path, layered), *SIZES[0])
    seen = [chromium.value(NOW)]
    for key in ("ArrowRight", "Home", "ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home", "ArrowLeft"):
        chromium.press(key)
        seen.append(chromium.value(NOW))
    assert seen == [3, 3, 1, 2, 3, 2, 3, 1, 1]
    assert chromium.value("document.querySelectorAll('#stack .above').length") == 2  # the layers that are not on yet


def test_a_layer_shows_what_it_covers(tinybox: Command, chromium: Browser, tmp_path: Path, layered: str) -> None:
    """The numbers are those of `layers --json`: bytes below that the layer covers, and why, as of that layer."""
    chromium.open(written(tinybox, tmp_path, layered), *SIZES[0])
    chromium.value("go(0)")
    assert chromium.value("document.querySelectorAll('#stack .lost').length") == 0  # the control: nothing covers it yet
    assert text(chromium, "#tiles .adds b") == "3"
    chromium.value("go(1)")
    assert text(chromium, "#tiles .covers b") == "70 kB"
    assert text(chromium, "#stack .lost") == "70 kB covered by layer 2"
    files = text(chromium, "#files")
    assert "/app/big · covers 50 kB of layer 1" in files
    assert "/app/tool · covers 20 kB of layer 1 · same content, other mode, owner or time" in files
    chromium.value("go(2)")
    assert "/app/tool · a whiteout of layer 2" in text(chromium, "#files")
    known = json.loads(tinybox("layers", "--json", layered).stdout)
    assert [layer["Covered"] for layer in known["Layers"]] == [0, 20_000, 70_000]


def test_a_box_has_its_own_layer_on_top(tinybox: Command, chromium: Browser, tmp_path: Path) -> None:
    """The layer of the box has another colour, and the file that was copied up is named with its cost."""
    with named(tinybox) as box:
        assert tinybox("run", "--name", box, "busybox", "chmod", "600", "/etc/group").returncode == 0
        chromium.open(written(tinybox, tmp_path, box), *SIZES[0])
    assert text(chromium, "#facts .child") == "the container's writable layer"
    assert "/etc/group · copied up: 61 B of layer 1" in text(chromium, "#files")
    colours = chromium.value("[...document.querySelectorAll('#stack button')].map(one => getComputedStyle(one).color)")
    assert len(set(colours)) == 2


def test_markup_is_shown_as_text(tinybox: Command, chromium: Browser, tmp_path: Path, layered: str) -> None:
    """A file whose name is markup with a script is shown, and not executed."""
    chromium.open(written(tinybox, tmp_path, layered), *SIZES[0])
    assert chromium.value("document.title") == "tinybox: layers"
    assert NASTY.replace("/", "") in text(chromium, "#files")
    assert chromium.complaints == []
