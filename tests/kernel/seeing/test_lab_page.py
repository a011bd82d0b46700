"""`lab run --html`: pages with pictures of what this run has measured, readable in a room and on a phone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import Browser, chromium

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

__all__ = ["chromium"]

pytestmark = [pytest.mark.root, pytest.mark.slow]

# Labs with a picture, and its kind; one without a picture.
DRAWN = {"epoll": "curves", "cow-fork": "cells", "states": "moves", "cow-overlay": "layers", "pid-max": "curves"}
LABS = [*DRAWN, "kill9"]
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Keep the pages of this file's labs for all its tests."""
    return {"folder": tmp_path_factory.mktemp("pages") / "labs"}


@pytest.fixture
def folder(tinybox: Command, pages: dict[str, Path]) -> Path:
    """Give the directory that `lab run --html` has written."""
    path = pages["folder"]
    if not path.exists():
        done = tinybox("lab", "run", *LABS, "--json", "--html", str(path))
        assert (done.returncode, done.stderr) == (0, ""), done
        (path / "results.json").write_text(done.stdout)
    return path


def record(folder: Path, name: str) -> dict[str, Any]:
    """Return the record of a lab that its page contains."""
    text = (folder / f"{name}.html").read_text().partition('id="trace">')[2].partition("</script>")[0]
    found: dict[str, Any] = json.loads(text)
    return found


def test_each_lab_has_a_page_and_the_index_leads_to_it(folder: Path) -> None:
    """One page for each lab, with a picture or without; index.html has a link to each, and the verdicts."""
    assert sorted(path.name for path in folder.glob("*.html")) == sorted([*(f"{n}.html" for n in LABS), "index.html"])
    index = (folder / "index.html").read_text()
    assert all(f'href="{name}.html"' in index for name in LABS)
    assert f"{len(LABS)} PASS, 0 FAIL" in index


def test_the_pictures_are_of_this_run(folder: Path) -> None:
    """The pictures have the figures that were measured: those in the JSON, the evidence and the claims of the lab."""
    results = {each["id"]: each for each in json.loads((folder / "results.json").read_text())}
    for name in LABS:
        assert record(folder, name)["pictures"] == results[name]["pictures"]
        assert [each["kind"] for each in results[name]["pictures"]] == list(filter(None, [DRAWN.get(name)]))
    curves = {each["name"]: dict(map(tuple, each["points"])) for each in results["epoll"]["pictures"][0]["curves"]}
    assert max(curves["epoll"]) == max(curves["poll"]) == 10_000
    assert max(curves["select"]) < 1024  # it has no place for more
    noted = next(each["value"] for each in results["epoll"]["evidence"] if each["figure"].startswith("poll"))
    assert float(noted.split()[0]) == pytest.approx(curves["poll"][500] / curves["poll"][10], abs=0.06)
    moments = dict(map(tuple, results["cow-fork"]["pictures"][0]["rows"]))
    assert [letters.count("c") for letters in moments.values()] == [0, 1024, 4096]
    assert all(move["seen"] for move in results["states"]["pictures"][0]["moves"])
    (pids,) = results["pid-max"]["pictures"][0]["curves"]
    numbers = [pid for _, pid in pids["points"]]
    assert numbers[numbers.index(max(numbers)) + 1] == 300


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_it_can_be_read_in_a_room_and_on_a_phone(chromium: Browser, folder: Path, width: int, height: int) -> None:
    """On a wide screen each part fits the screen; on a phone one column, and nothing is cut off at the right."""
    for name in LABS:
        chromium.open(folder / f"{name}.html", width, height)
        for at in range(chromium.value("parts.length")):
            chromium.value(f"go({at})")
            assert chromium.value(OVERFLOW) <= 0, (name, at)
            if width > 760:
                assert chromium.value("document.documentElement.scrollHeight - innerHeight") <= 0, (name, at)
                below = "document.querySelector('main').getBoundingClientRect().bottom - innerHeight"
                assert chromium.value(below) <= 0, (name, at)
        size = "(e => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a)"
        if name in DRAWN:
            chromium.value("go(1)")
            smallest = chromium.value(f"Math.min(...[...document.querySelectorAll('.drawing text')].map({size}))")
            assert smallest >= (width / 75 if width > 760 else 11), name
    assert chromium.complaints == []


def test_keys_turn_the_parts(chromium: Browser, folder: Path) -> None:
    """The arrow keys go from the question to the answer, as on the other pages; one part is seen at a time."""
    chromium.open(folder / "epoll.html", 1280, 800)
    seen = [chromium.value("document.body.dataset.part")]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home"):
        chromium.press(key)
        seen.append(chromium.value("document.body.dataset.part"))
        shown = "[...document.querySelectorAll('article')].filter(e => e.offsetParent).length"
        assert chromium.value(shown) == 1
    picture = "One call that finds nothing ready"
    assert seen == ["Question", picture, "Evidence", picture, "Answer", "Answer", "Question"]


def test_light_and_dark(chromium: Browser, folder: Path) -> None:
    """The page and its pictures follow the browser's scheme, and words differ clearly from their ground in both."""
    luminance = (
        """(text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number); return .2126*r + .7152*g + .0722*b; })"""
    )
    found = {}
    for scheme in ("light", "dark"):
        chromium.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        chromium.open(folder / "epoll.html", 1280, 800)
        ground = chromium.value(f"{luminance}(getComputedStyle(document.body).backgroundColor)")
        word = chromium.value(f"{luminance}(getComputedStyle(document.querySelector('.drawing .tick')).fill)")
        found[scheme] = ground
        assert abs(ground - word) > 100, scheme
    chromium.ask("Emulation.setEmulatedMedia", features=[])
    assert found["light"] > 200
    assert found["dark"] < 60


def test_a_room_on_one_page(tinybox: Command, chromium: Browser, folder: Path, tmp_path: Path) -> None:
    """`lab report` makes a page of results in JSON, with the pictures of each hand-in; a phone shows it whole."""
    page = tmp_path / "room.html"
    for name in ("ana", "ben"):
        (tmp_path / f"{name}.json").write_text((folder / "results.json").read_text())
    done = tinybox("lab", "report", "-o", str(page), str(tmp_path / "ana.json"), str(tmp_path / "ben.json"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for width in (1280, 390):
        chromium.open(page, width, 800)
        assert chromium.value(OVERFLOW) <= 0
    assert chromium.value("document.querySelectorAll('.hand-in').length") == 2 * len(LABS)
    assert chromium.value("document.querySelectorAll('.hand-in svg').length") == 2 * len(DRAWN)
    assert chromium.complaints == []


def test_a_page_that_cannot_be_written_is_refused_before_the_run(tinybox: Command, tmp_path: Path) -> None:
    """One line names the path and the reason; no box is made, and no image."""
    (tmp_path / "file").write_text("kept")
    for path, labs, reason in [
        (tmp_path / "none/page.html", ["pid"], "No such file"),
        (tmp_path, ["pid"], "Is a directory"),
        (tmp_path / "file", ["pid", "fork"], "several labs need a directory"),
    ]:
        done = tinybox("lab", "run", "--html", str(path), *labs)
        assert (done.returncode, done.stdout) == (1, ""), done
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "kept"
