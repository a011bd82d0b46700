"""An image's name follows Docker's grammar: a valid one is parsed, an invalid one is an error with its cause."""

from __future__ import annotations

import pytest

from tinybox.errors import UsageError
from tinybox.images.reference import Reference, parse


@pytest.mark.parametrize(
    ("text", "name", "tag"),
    [
        ("alpine", "alpine", "latest"),
        ("alpine:3.23", "alpine", "3.23"),
        ("a/b/c:v1", "a/b/c", "v1"),
        ("host.example/a:x", "host.example/a", "x"),
        ("localhost:5000/a", "localhost:5000/a", "latest"),
        ("localhost:5000/a:b", "localhost:5000/a", "b"),
        ("HOST/a", "HOST/a", "latest"),
        ("a__b.c-d---e", "a__b.c-d---e", "latest"),
        ("a:_X.y-" + "z" * 120, "a", "_X.y-" + "z" * 120),
        ("f" * 63, "f" * 63, "latest"),
    ],
)
def test_a_name_is_parsed(text: str, name: str, tag: str) -> None:
    """A valid reference gives its name and its tag, and is written as ``name:tag``."""
    reference = parse(text)
    assert (reference.name, reference.tag) == (name, tag)
    assert str(reference) == f"{name}:{tag}"
    assert parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "a:", ":tag", "/a", "a/", "a//b", "A", "a/B", "-a", "a-", "a..b", "a___b", "a._b", "a b", "a:b c"),
        *("a:.b", "a:-b", "a:" + "b" * 129, "a" * 250 + ":latest", "f" * 64, "host:port/a"),
        *("a@", "a@sha256:", "a@sha256:" + "0" * 63, "a@sha256:" + "A" * 64, "a@md5:" + "0" * 32, "a:b@x"),
        "@sha256:" + "0" * 64,
        *("-h.x/a", "h..x/a", "../a", "a/..", "a\n", "a:b\n", "\xe4", "a%b", "h.x:\u0663/a"),
    ],
)
def test_an_invalid_name_is_refused(text: str) -> None:
    """A wrong reference is a UsageError with a cause and a cure."""
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.cause
    assert caught.value.cure


def test_docker_hub_is_the_registry_of_a_name_without_a_host() -> None:
    """The registry's host and its repository are docker's; the same image has one name in the store."""
    places = {text: (parse(text).host, parse(text).repository) for text in ("alpine", "me/app", "h.x:5000/a/b:c")}
    assert places == {
        "alpine": ("docker.io", "library/alpine"),
        "me/app": ("docker.io", "me/app"),
        "h.x:5000/a/b:c": ("h.x:5000", "a/b"),
    }
    assert {str(parse(f"{long}alpine")) for long in ("", "docker.io/", "index.docker.io/library/")} == {"alpine:latest"}
    assert (parse("[::1]:5000/a").host, str(parse("[::1]:5000/a:b"))) == ("[::1]:5000", "[::1]:5000/a:b")


def test_a_digest_wins_over_a_tag() -> None:
    """With a digest the tag says nothing: the reference is ``name@digest``."""
    digest = "sha256:" + "0a" * 32
    for text in (f"a@{digest}", f"a:b@{digest}"):
        reference = parse(text)
        assert (reference.name, reference.tag, reference.digest, str(reference)) == ("a", "", digest, f"a@{digest}")


def test_references_are_values() -> None:
    """Two references with the same text are equal and hash alike; another tag makes another reference."""
    assert parse("a") == Reference("a", "latest")
    assert len({parse("a"), parse("a:latest"), parse("a:b")}) == 2
    assert parse("a") != "a:latest"
