"""An error about a wrong name asks if the nearest one was meant: of containers, images, networks and volumes."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.stored_boxes import home_at, store
from tinybox.container.network import definitions
from tinybox.container.records import naming
from tinybox.container.storage import volumes
from tinybox.errors import HostError, NoSuchError, NoSuchImageError, nearest
from tinybox.images.reference import parse
from tinybox.images.registry import layers, manifests, pull
from tinybox.images.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from tinybox.container.records.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Give a store with the container, the image and the volume `webserver`, and its predefined networks."""
    paths = home_at(tmp_path)
    store(paths, "webserver", created=1)
    os.makedirs(f"{paths.volumes}/webserver")
    for folder in ("names", "images"):
        os.makedirs(f"{paths.root}/{folder}", exist_ok=True)
    os.symlink("../images/x", f"{paths.root}/names/webserver:latest")
    return paths


def test_the_nearest_name_is_in_the_line(paths: Paths) -> None:
    """Each kind has its own; the first words stay as they are."""
    with pytest.raises(NoSuchError) as error:
        naming.find(paths, "websrver")
    said = "container websrver: no such container (did you mean webserver? tinybox ps -a lists them)"
    assert str(error.value) == said
    with pytest.raises(NoSuchError, match=r"no such volume \(did you mean webserver\?"):
        volumes.find(paths, "webservr")
    with pytest.raises(NoSuchError, match=r"not found \(did you mean bridge\?"):
        definitions.find(paths, "brigde")
    with pytest.raises(NoSuchImageError, match=r"did you mean webserver\?"):
        Store(paths.root).image("wbserver")


def test_a_pull_that_fails_asks_for_the_nearest_image(paths: Paths) -> None:
    """Of the same registry; none is offered for a name of which only the host is alike, or that the store has."""
    os.symlink("../images/x", f"{paths.root}/names/localhost:1%team%webserver:latest")
    team = "localhost:1/team"
    meant = {f"{team}/webservr": f"{team}/webserver", f"{team}/webserver": "", f"{team}/database": ""}
    for word, near in (meant | {"localhost:2/webservr": ""}).items():
        with pytest.raises(HostError) as error:
            pull.pull(Store(paths.root), parse(word), manifests.this_platform(), layers.Report())
        assert str(error.value).partition("did you mean ")[2].partition("?")[0] == near, word


def test_a_name_far_from_all_has_none(paths: Paths) -> None:
    """The control: nothing is offered for a name that is like no other, nor if there are none."""
    for word in ("database", "", "\N{ESCAPE}[2J"):
        with pytest.raises(NoSuchError) as error:
            naming.find(paths, word)
        assert "did you mean" not in str(error.value)


def test_a_caught_error_looks_for_nothing(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names are read when the line is printed: `inspect`, which looks for each kind of thing, does not pay."""
    asked: list[str] = []
    real = os.listdir
    with pytest.raises(NoSuchError) as error:
        naming.find(paths, "websrver")

    def listed(path: str) -> list[str]:
        asked.append(path)
        return real(path)

    monkeypatch.setattr(os, "listdir", listed)
    assert asked == []
    assert "webserver" in str(error.value)
    assert asked == [paths.names]


def test_a_million_names_cost_little() -> None:
    """Only the first thousand names are compared, and only the first letters of a long word."""
    numbers = itertools.count()
    assert nearest("some-bx-of-many-777", lambda: (f"some-box-of-many-{n}" for n in numbers)).startswith("some-box")
    assert next(numbers) == 1000
    assert nearest("some-box" * 100_000, lambda: ["some-box" * 16]) == "some-box" * 16
