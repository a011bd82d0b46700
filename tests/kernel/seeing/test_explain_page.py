"""`run --explain=html -o FILE`: one file, without a network, that a browser shows step by step, readable in a room."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import one_line
from tests.support.browser import Browser, chromium

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

__all__ = ["chromium"]

pytestmark = [pytest.mark.root, pytest.mark.slow]

RUN = ("run", "--rm", "--network", "none")
SIZES = [(1280, 800), (1920, 1080)]
NOW = "document.body.dataset.step"
NASTY = "</script><script>document.title='led astray'</script><b>"


def written(tinybox: Command, folder: Path, *words: str) -> Path:
    """Return the page of a run, after checking the program's output."""
    path = folder / "page.html"
    done = tinybox(*RUN, "--explain=html", "-o", str(path), *words)
    assert (done.returncode, done.stderr) == (0, ""), done
    return path


def pixels(chromium: Browser, selector: str) -> float:
    """Return the font size of the first element that matches."""
    return float(chromium.value(f"parseFloat(getComputedStyle(document.querySelector('{selector}')).fontSize)"))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_can_be_read_in_a_room(tinybox: Command, chromium: Browser, tmp_path: Path, width: int, height: int) -> None:
    """Nothing is cut off at the right or below, letters grow with the screen, and the console has no errors."""
    chromium.open(written(tinybox, tmp_path, "busybox", "true"), width, height)
    for at in range(chromium.value("steps.length")):
        chromium.value(f"go({at})")
        overflow = (
            "document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight"
        )
        assert chromium.value(f"Math.max({overflow})") <= 0, at
    chromium.value("go(steps.findIndex(step => step.name === 'pivot') - 1)")
    assert pixels(chromium, "#title") >= width / 48  # 40 of 1920
    assert pixels(chromium, "#calls li") >= width / 90
    assert pixels(chromium, "#mounts li") >= width / 100
    (tmp_path / "page.png").write_bytes(chromium.picture())
    assert (tmp_path / "page.png").stat().st_size > 20_000  # an empty page has 5 000
    assert chromium.complaints == []


def test_arrow_keys_move_step_by_step(tinybox: Command, chromium: Browser, tmp_path: Path) -> None:
    """Right and left are one step, Home and End the first and the last; at the ends the keys do nothing."""
    chromium.open(written(tinybox, tmp_path, "busybox", "true"), *SIZES[0])
    names = chromium.value("steps.map(step => step.name)")
    seen = [chromium.value(NOW)]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home", "ArrowLeft"):
        chromium.press(key)
        seen.append(chromium.value(NOW))
    assert seen == [names[at] for at in (0, 1, 2, 1, -1, -1, 0, 0)]


def test_a_step_shows_the_state_after_it(tinybox: Command, chromium: Browser, tmp_path: Path) -> None:
    """Before pivot the mounts are the host's and the box's, after it the box's; capabilities go at their step."""
    chromium.open(written(tinybox, tmp_path, "busybox", "true"), *SIZES[0])

    def shown(step: str, selector: str, later: int = 0) -> str:
        chromium.value(f"go(steps.findIndex(step => step.name === '{step}') + {later})")
        return str(chromium.value(f"document.querySelector('{selector}').textContent"))

    assert "copied from the host" in shown("pivot", "#mounts", -1)
    assert "the host's mounts are gone" in shown("pivot", "#mounts")
    assert "copied from the host" not in shown("masked-paths", "#mounts")
    assert "not made yet" in shown("clone", "#rights", -1)
    assert ", 1 in the box" in shown("clone", "#rights")
    assert "14 effective" not in shown("capabilities", "#rights", -1)
    assert "14 effective" in shown("capabilities", "#rights")


def test_markup_is_shown_as_text(tinybox: Command, chromium: Browser, tmp_path: Path) -> None:
    """A program's name with a script in it is shown, and not executed."""
    chromium.open(written(tinybox, tmp_path, "-e", f"A={NASTY}", "busybox", "sh", "-c", f": '{NASTY}'"), *SIZES[0])
    assert chromium.value("document.title") == "tinybox: how a box is made"
    assert NASTY in chromium.value("document.getElementById('command').textContent")
    assert chromium.complaints == []


def test_errors_of_the_page_are_noticed(chromium: Browser, tmp_path: Path) -> None:
    """The control: an error of a script, and a request to the network, are errors on the console."""
    page = tmp_path / "bad.html"
    page.write_text("<script>nosuch()</script><img src='http://127.0.0.1:9/x.png'>")
    chromium.open(page, *SIZES[0])
    heard, chromium.complaints = "".join(chromium.complaints), []
    assert "nosuch is not defined" in heard
    assert "127.0.0.1:9" in heard


def test_a_replay_writes_the_same_page(tinybox: Command, tmp_path: Path) -> None:
    """`replay --html` makes of a trace the page that --explain=html makes of a run: with the same events."""
    trace, page = tmp_path / "trace.json", tmp_path / "page.html"
    assert tinybox(*RUN, "--explain=json", "-o", str(trace), "busybox", "true").returncode == 0
    assert tinybox("replay", "--html", str(page), str(trace)).returncode == 0
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    inside = page.read_text().partition('id="trace">')[2].partition("</script>")[0]
    assert json.loads(inside) == events


def test_events_after_the_end_belong_to_no_step(tinybox: Command, chromium: Browser, tmp_path: Path) -> None:
    """Writes after the end of the box, as to cgroup.kill, are not shown at the last step; a limit is at its own."""
    chromium.open(written(tinybox, tmp_path, "-m", "32m", "busybox", "true"), *SIZES[0])
    paths = chromium.value("steps.flatMap(step => step.written.map(row => row.path))")
    assert any("/memory" in path for path in paths)
    assert not any(path.endswith("/cgroup.kill") for path in paths)


def test_a_page_needs_a_file(tinybox: Command, tmp_path: Path) -> None:
    """--explain=html without -o is refused in one line."""
    one_line(tinybox(*RUN, "--explain=html", "busybox", "true"), 125, "-o FILE")
    for place, said in ((tmp_path / "none" / "x", "No such file or directory"), (tmp_path, "Is a directory")):
        for form in ("--explain=html", "--explain=json", "--explain"):
            done = tinybox(*RUN, form, "-o", str(place), "busybox", "echo", "it ran")
            one_line(done, 125, f"--output {place}: cannot be written: {said}")


def test_it_can_be_read_on_a_phone(tinybox: Command, chromium: Browser, tmp_path: Path) -> None:
    """390 pixels wide, nothing is cut off at the right at any step, and the idea of the step is above its calls."""
    chromium.open(written(tinybox, tmp_path, "busybox", "true"), 390, 844)
    for at in range(chromium.value("steps.length")):
        chromium.value(f"go({at})")
        assert chromium.value("document.documentElement.scrollWidth - innerWidth") <= 0, at
    places = "['idea', 'calls', 'namespaces'].map(id => document.getElementById(id).getBoundingClientRect().top)"
    found = chromium.value(places)
    assert found == sorted(found)
    assert chromium.complaints == []


def test_the_key_k_leads_through_the_key_steps(tinybox: Command, chromium: Browser, tmp_path: Path) -> None:
    """K goes to the next of the steps that matter, with idea and what goes wrong without it; K goes back."""
    chromium.open(written(tinybox, tmp_path, "busybox", "true"), *SIZES[0])
    keys = chromium.value("steps.filter(step => step.key).map(step => step.name)")
    assert {"cgroup", "clone", "pivot", "seccomp", "program"} <= set(keys)
    assert len(keys) < 15
    seen = []
    for _ in keys:
        chromium.value("dispatchEvent(new KeyboardEvent('keydown', {key: 'k'}))")
        seen.append(chromium.value(NOW))
        told = chromium.value("document.getElementById('idea').innerText")
        assert "Without it: " in told, seen[-1]
    assert seen == (keys if chromium.value("steps[0].key") is False else [*keys[1:], keys[-1]])
    chromium.value("dispatchEvent(new KeyboardEvent('keydown', {key: 'K'}))")
    assert chromium.value(NOW) == keys[-2]


def test_light_and_dark(tinybox: Command, chromium: Browser, tmp_path: Path) -> None:
    """The page follows the browser's scheme; words differ clearly from their ground in both."""
    page = written(tinybox, tmp_path, "busybox", "true")
    luminance = "(text => { const [r, g, b] = text.match(/[0-9.]+/g).map(Number); return .2*r + .7*g + .1*b; })"
    grounds = []
    for scheme in ("light", "dark"):
        chromium.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        chromium.open(page, *SIZES[0])
        grounds.append(chromium.value(f"{luminance}(getComputedStyle(document.body).backgroundColor)"))
        for selector in ("#title", "#idea p", "#calls li span", "#namespaces td.host", "#namespaces td.own"):
            chromium.value("go(steps.findIndex(step => step.name === 'clone'))")
            word = chromium.value(f"{luminance}(getComputedStyle(document.querySelector('{selector}')).color)")
            assert abs(word - grounds[-1]) > 90, (scheme, selector)
    chromium.ask("Emulation.setEmulatedMedia", features=[])
    assert grounds[0] > 200
    assert grounds[1] < 60
