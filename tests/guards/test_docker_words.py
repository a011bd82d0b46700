"""Each command and option of docker's is there, or is left out with a reason: docker's help against our commands."""

from __future__ import annotations

import sys

import pytest

from tests.guards.sources import CHECKOUT
from tinybox.cli import app
from tools import docker_words


def test_each_word_of_dockers_is_there_or_left_out() -> None:
    """Each command, other name, option, letter and kind of value is tinybox's, too; or LEFT_OUT has the reason."""
    shares = docker_words.shares()
    for kind in ("commands", "options", "compose_commands", "compose_options"):
        sys.stdout.write(f"{kind}: {shares[kind]} of {shares[f'all_{kind}']}, {shares[f'{kind}_share']} %\n")
    assert docker_words.wrong() == []


def test_the_facts_are_there() -> None:
    """The table is docker's: it has all groups, and more than a hundred commands and six hundred options."""
    known = docker_words.FACTS["commands"]
    assert {"container run", "image ls", "volume prune", "network connect", "system df", "swarm"} <= set(known)
    assert len(known) > 120
    assert sum(len(each.get("options", ())) for each in known.values()) > 600
    assert {"compose up", "compose run", "compose watch", "compose convert"} <= set(known)


def test_the_page_is_up_to_date() -> None:
    """`make docs` would write what is there."""
    page = (CHECKOUT / "docs/docker-words.md").read_text()
    assert page == docker_words.document(), "docs/docker-words.md is stale: make docs"


@pytest.mark.parametrize(
    ("name", "known", "complaint"),
    [
        ("frobnicate", {"options": {}}, "frobnicate: missing"),
        ("ps", {"options": {"colour": ["", "string"]}}, "ps --colour: missing"),
        ("ps", {"options": {"all": ["x", ""]}}, "ps --all: has no -x"),
        ("ps", {"options": {"all": ["a", "string"]}}, "ps --all: takes no value"),
        ("ps", {"options": {"filter": ["f", ""]}}, "ps --filter: takes a value"),
        ("container ls", {"same_as": "images"}, "container ls: is another command than images"),
        ("ps", {"group": True, "options": {}}, "ps: is a group on one side only"),
        ("compose frobnicate", {"options": {}}, "compose frobnicate: missing"),
        ("compose up", {"options": {"wait": ["w", ""]}}, "compose up --wait: has no -w"),
    ],
)
def test_a_difference_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, known: dict[str, object], complaint: str
) -> None:
    """The guard works: a missing command or option, another letter, another kind of value, another command."""
    monkeypatch.setitem(docker_words.FACTS["commands"], name, known)
    assert complaint in docker_words.wrong()


def test_a_reason_that_is_not_needed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard works: a word that is left out and there, and one that docker does not have."""
    for name in ("ps --all", "ps --nothing"):
        monkeypatch.setitem(docker_words.LEFT_OUT, name, "because")
        assert f"{name}: is left out and there, or not docker's" in docker_words.wrong()


def test_words_for_many_machines_have_a_cure() -> None:
    """Each group of docker's that tinybox does not have says in one line what to use."""
    assert all(cure and "\n" not in cure for cure in app.ELSEWHERE.values())
