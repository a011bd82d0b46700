"""Events: docker's lines, the filters, and how reading ends; on a file of the real writer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.boxes import PATIENCE, patience
from tests.support.stored_boxes import home_at
from tinybox.container.records import events, naming
from tinybox.container.records.paths import Paths
from tinybox.container.views import event_reader
from tinybox.container.views.event_reader import EventSelection
from tinybox.errors import UsageError
from tinybox.linux.filesystem import event_log

TINYBOX = str(Path(sys.executable).with_name("tinybox"))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Give a store in which three events have happened."""
    paths = home_at(tmp_path)
    events.emit(paths, "a" * 64, "create", image="alpine:3", name="web")
    events.emit(paths, "a" * 64, "die", exitCode=3, image="alpine:3")
    events.emit(paths, "b" * 64, "health_status: healthy", image="busybox:latest")
    return paths


def seen(paths: Paths, *words: str, since: int = 0) -> list[str]:
    """Return the actions that match, up to now."""
    wanted = EventSelection(paths, since, time.time_ns(), words)
    return [event["Action"] for batch in event_reader.read(paths, wanted) for event in batch]


FILTERS = {
    "event=die": ["die"],
    "event=health_status": ["health_status: healthy"],
    "container=web": ["create"],
    f"container={'a' * 12}": ["create", "die"],
    "image=alpine": ["create", "die"],
    "image=alpine:3": ["create", "die"],
    "type=container": ["create", "die", "health_status: healthy"],
    "type=image": [],
    "event=stop": [],
}


@pytest.mark.parametrize("word", FILTERS)
def test_filters(paths: Paths, word: str) -> None:
    """Each key selects its events."""
    assert seen(paths, word) == FILTERS[word]


def test_a_name_finds_its_container(paths: Paths) -> None:
    """A container is found by its name, also where the event does not contain the name."""
    assert seen(paths, "container=other") == []
    naming.reserve(paths, "other", "b" * 64)
    assert seen(paths, "container=other") == ["health_status: healthy"]


def test_filters_together(paths: Paths) -> None:
    """Values of one key are alternatives, keys must all agree."""
    assert seen(paths, "event=die", "event=create") == ["create", "die"]
    assert seen(paths, "event=die", "image=busybox") == []


def test_a_wrong_filter(paths: Paths) -> None:
    """An unknown key is an error."""
    with pytest.raises(UsageError, match="colour"):
        EventSelection(paths, 0, 0, ["colour=red"])


def test_since_and_until(paths: Paths) -> None:
    """Nothing from before --since; with --until in the past it ends at once; damaged lines are skipped."""
    assert seen(paths) == ["create", "die", "health_status: healthy"]
    assert seen(paths, since=time.time_ns()) == []
    with open(paths.events, "a", encoding="utf-8") as file:
        file.write("no json\n")
    events.emit(paths, "c" * 64, "start")
    assert seen(paths)[-1] == "start"


def test_rotation_while_following(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events before and after the rotation of the log are all seen."""
    reading = event_reader.read(paths, EventSelection(paths, 0, None))
    assert [event["Action"] for event in next(reading)] == ["create", "die", "health_status: healthy"]
    monkeypatch.setattr(event_log, "LARGEST", 100)
    for action in ("one", "two"):
        events.emit(paths, "d" * 64, action)
    assert os.path.exists(paths.events + ".1")
    found = [event["Action"] for batch in (next(reading), next(reading)) for event in batch]
    assert found == ["one", "two"]
    reading.close()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_command_follows(paths: Paths) -> None:
    """`tinybox events` prints docker's line at once when an event happens, and goes on waiting."""
    settings = {**os.environ, "TINYBOX_ROOT": paths.root}
    words = [TINYBOX, "events", "--since", "1h"]
    with subprocess.Popen(words, env=settings, stdout=subprocess.PIPE, text=True) as process, patience(PATIENCE):
        assert process.stdout is not None
        first = process.stdout.readline()
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z container create a{64} \(image=alpine:3, name=web\)\n", first
        )
        assert "die" in process.stdout.readline()
        assert "health_status: healthy" in process.stdout.readline()
        events.emit(paths, "e" * 64, "start", image="alpine:3")
        assert "start" in process.stdout.readline()
        assert process.poll() is None  # it came while the command was waiting
        process.kill()


@pytest.mark.slow
def test_the_command_ends_with_until(paths: Paths) -> None:
    """With --until it ends by itself, and not before that time."""
    settings, last = {**os.environ, "TINYBOX_ROOT": paths.root}, int(time.time()) + 2
    words = [TINYBOX, "events", "--since", "1h", "--until", str(last), "--format", "{{.Action}}"]
    done = subprocess.run(words, env=settings, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert time.time() >= last
    assert done.stdout.splitlines() == ["create", "die", "health_status: healthy"]


def test_formats(paths: Paths) -> None:
    """JSON has docker's keys; a template can use all fields of the actor."""
    settings = {**os.environ, "TINYBOX_ROOT": paths.root}
    words = [TINYBOX, "events", "--since", "1h", "--until", "0s", "-f", "event=die", "--format"]
    done = subprocess.run([*words, "json"], env=settings, capture_output=True, text=True, check=True)
    event = json.loads(done.stdout)
    assert (event["Action"], event["Actor"]["ID"], event["Actor"]["Attributes"]["exitCode"]) == ("die", "a" * 64, "3")
    template = "{{.Action}}:{{.Actor.Attributes.exitCode}}:{{.ID}}"
    done = subprocess.run([*words, template], env=settings, capture_output=True, text=True, check=True)
    assert done.stdout == f"die:3:{'a' * 64}\n"


def test_a_full_log_is_rotated_once(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that finds the log already rotated by another one does not rotate it again: no events are lost."""
    monkeypatch.setattr(event_log, "LARGEST", os.path.getsize(paths.events))
    write, began = os.write, False

    def slowly(fd: int, data: bytes) -> int:
        nonlocal began
        written, is_first, began = write(fd, data), not began, True
        if is_first:
            events.emit(paths, "c" * 64, "start")  # the log is full: this call renames it
            events.emit(paths, "d" * 64, "start")  # and this one begins the next file
        return written

    monkeypatch.setattr(os, "write", slowly)
    events.emit(paths, "e" * 64, "stop")
    former, young = (Path(f"{paths.events}{ending}").read_text().splitlines() for ending in (".1", ""))
    assert [json.loads(line)["Action"] for line in former][:3] == ["create", "die", "health_status: healthy"]
    assert [json.loads(line)["id"][0] for line in [*former, *young]][3:] == ["e", "c", "d"]
