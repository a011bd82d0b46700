"""`build --explain`: each instruction with its output, its layer or its change of the config, as text, JSON, a page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import Browser, chromium

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

__all__ = ["chromium"]

pytestmark = pytest.mark.root

NASTY = "</script><script>document.title='led astray'</script><b>"
TEXT = f"""\
FROM busybox AS tools
ARG WHO=world
RUN echo "hello $WHO" > /greeting && \\
    echo "made {NASTY}"

FROM busybox
ENV LANG=C.UTF-8
COPY --from=tools /greeting /etc/
RUN --mount=type=secret,id=word rm /bin/cat && test -s /run/secrets/word
"""


def traced(built: Command, folder: Path, form: str, *options: str, text: str = TEXT) -> tuple[int, Path, str]:
    """Build *text* with --explain=FORM; return the status, the file with the trace, and stderr."""
    (folder / "context").mkdir(exist_ok=True)
    (folder / "context/Containerfile").write_text(text)
    (folder / "word").write_text("s3cret")
    secret = f"id=word,src={folder}/word"
    words = [f"--explain={form}", "-o", str(folder / f"trace.{form}"), "--secret", secret, *options]
    done = built("build", "-q", "-t", "case", *words, str(folder / "context"))
    return done.returncode, folder / f"trace.{form}", done.stderr


def events_of(path: Path) -> list[dict[str, Any]]:
    """Read the events of --explain=json."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def steps_of(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what each step has done, by its text up to the first blank but one."""
    texts = {event["number"]: event["text"] for event in events if event["event"] == "step"}
    return {" ".join(texts[event["number"]].split()[:2]): event for event in events if event["event"] == "done"}


def test_each_instruction_is_told_with_what_it_does(built: Command, tmp_path: Path) -> None:
    """RUN and COPY give a layer with its files, ENV a change of the config; the output of a program is told."""
    status, path, _ = traced(built, tmp_path, "json", "--no-cache")
    assert status == 0
    events = events_of(path)
    assert (events[0]["event"], events[0]["text"], events[-1]) == ("begin", TEXT, {**events[-1], "error": None})
    steps = steps_of(events)
    [run] = steps["RUN echo"]["fresh"]
    assert [(file["Kind"], file["Path"]) for file in run["files"]] == [("A", "/greeting")]
    assert steps["ENV LANG=C.UTF-8"]["fresh"] == []
    assert "LANG=C.UTF-8" in steps["ENV LANG=C.UTF-8"]["config"]["Env"]
    [removed] = next(done for text, done in steps.items() if text.startswith("RUN --mount"))["fresh"]
    assert [(file["Kind"], file["Path"], file["How"]) for file in removed["files"]] == [("D", "/bin/cat", "whiteout")]
    assert [event["line"] for event in events if event["event"] == "output"] == [f"made {NASTY}"]
    [image] = [event for event in events if event["event"] == "image"]
    assert removed["directory"] == image["lowerdir"].split(":")[0]
    assert "s3cret" not in path.read_text()


def test_a_layer_of_the_cache_is_told_as_such(built: Command, tmp_path: Path) -> None:
    """The second build carries nothing out, and tells the same layers; the control is the first one."""
    traced(built, tmp_path, "json", "--no-cache")
    first = steps_of(events_of(tmp_path / "trace.json"))
    traced(built, tmp_path, "json")
    second = steps_of(events_of(tmp_path / "trace.json"))
    for text, done in second.items():
        is_layer = text.startswith(("RUN", "COPY"))
        assert (bool(done["cached"]), bool(first[text]["cached"])) == (is_layer, False)
        assert [layer["digest"] for layer in done["fresh"]] == [layer["digest"] for layer in first[text]["fresh"]]


def test_a_build_that_fails_is_told_to_its_end(built: Command, tmp_path: Path) -> None:
    """The step has no end; the last event has the error, and a page is written as well."""
    text = "FROM busybox\nRUN echo before; false\n"
    status, path, _ = traced(built, tmp_path, "json", text=text)
    events = events_of(path)
    assert status == 1
    assert "ended with the exit status 1" in events[-1]["error"]
    assert [event["event"] for event in events[-3:]] == ["step", "output", "end"]
    status, path, _ = traced(built, tmp_path, "html", text=text)
    assert status == 1
    assert "ended with the exit status 1" in path.read_text()


def test_the_text_has_no_control_characters(built: Command, tmp_path: Path) -> None:
    """What a program prints cannot move the cursor of the terminal."""
    text = "FROM busybox\nRUN printf '\\033[2Jgone\\n'\n"
    _, path, _ = traced(built, tmp_path, "text", "--no-cache", text=text)
    assert "\x1b" not in path.read_text()
    assert "gone" in path.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_the_page_in_a_browser(built: Command, tmp_path: Path, chromium: Browser, size: tuple[int, int]) -> None:
    """The page fits the window, has the keys of the other pages, asks for nothing, and shows words as words."""
    status, path, _ = traced(built, tmp_path, "html", "--no-cache")
    assert status == 0
    chromium.complaints.clear()
    chromium.open(path, *size)
    assert chromium.value("[document.body.scrollWidth, document.body.scrollHeight]") == list(size)
    for _ in range(2):
        chromium.press("ArrowRight")
    assert chromium.value("document.body.dataset.step") == "3"
    assert NASTY in chromium.value("document.getElementById('work').textContent")
    marked = "[...document.querySelectorAll('#source .now i')].map(one => one.textContent).join()"
    assert chromium.value(marked) == "3,4"
    chromium.press("End")
    assert "/bin/cat" in chromium.value("document.getElementById('files').textContent")
    assert chromium.value("document.querySelectorAll('.track').length") == 2
    assert chromium.value("document.title") != "led astray"
    assert chromium.complaints == []
