"""Stages: names and numbers, what a target needs, ARG before FROM, errors."""

from __future__ import annotations

import pytest

from tinybox.build import stages
from tinybox.build.containerfile import parse
from tinybox.errors import UsageError


def split(text: str, given: dict[str, str] | None = None, platform: dict[str, str] | None = None) -> stages.Stages:
    """Split *text*."""
    return stages.split(parse(text.encode(), "F"), given or {}, platform or {})


def test_names_and_numbers() -> None:
    """A base may be an image, scratch, or an earlier stage by name (in any case) or by number."""
    found = split("FROM img AS One\nRUN a\nFROM one\nFROM scratch AS s\nFROM 0 AS t\nFROM other:1\n").stages
    assert [stage.base for stage in found] == ["img", 0, "scratch", 0, "other:1"]
    assert [stage.title for stage in found] == ["one", "stage-1", "s", "t", "stage-4"]
    assert [each.name for each in found[0].body] == ["RUN"]


def test_a_target_needs_what_it_builds_on_copies_and_mounts() -> None:
    """All others are not built."""
    text = (
        "FROM a AS base\nFROM a AS copied\nFROM a AS mounted\nFROM a AS unused\n"
        "FROM base\nCOPY --from=copied x y\nRUN --mount=type=bind,from=2,target=/m z\nFROM a AS later\n"
    )
    found = split(text).stages
    assert [each.number for each in stages.needed(found, stages.target(found, "4"))] == [0, 1, 2, 4]
    assert stages.target(found, "").title == "later"
    assert stages.target(found, "COPIED").number == 1
    with pytest.raises(UsageError, match="there is no such stage"):
        stages.target(found, "nosuch")


def test_a_stage_is_seen_only_from_below() -> None:
    """A name of a later stage, or of the own one, is the name of an image."""
    found = split("FROM b AS a\nCOPY --from=b x y\nFROM x AS b\n").stages
    assert found[0].base == "b"
    assert stages.needs(found, found[0]) == []


def test_arguments_before_from() -> None:
    """They have their default, or the given value; FROM sees them, and the platform, and no other given values."""
    text = "ARG TAG=1\nARG NONE\nARG P=${TAG}x\nFROM --platform=$TARGETPLATFORM i:$TAG-$P-$NONE$SECRET\n"
    found = split(text, {"TAG": "2", "SECRET": "s"}, {"TARGETPLATFORM": "linux/amd64"})
    assert (found.stages[0].base, found.stages[0].platform) == ("i:2-2x-", "linux/amd64")
    assert found.arguments == {"TARGETPLATFORM": "linux/amd64", "TAG": "2", "P": "2x"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("RUN x\nFROM a", "F:1: RUN: it stands before the first FROM"),
        ("ARG x", "there is no FROM"),
        ("FROM a b", "F:1: FROM: it takes one image"),
        ("FROM a AS 1x", "is no name of a stage"),
        ("FROM a AS x\nFROM b AS X", "F:2: FROM: there is a stage x already"),
        ("FROM $x", "its image is empty"),
        ("FROM --foo=1 a", "unknown flag: --foo"),
        ("FROM ${x", "is not closed"),
    ],
)
def test_errors(text: str, says: str) -> None:
    """File, line and cause."""
    with pytest.raises(UsageError) as caught:
        split(text)
    assert says in str(caught.value)
