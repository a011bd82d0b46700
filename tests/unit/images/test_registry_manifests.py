"""Manifests of registries are checked before anything is fetched, and an index gives the image of a platform."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tinybox.errors import ImageError, UsageError
from tinybox.images.registry import manifests
from tinybox.images.registry.manifests import Platform

DIGEST = "sha256:" + "a" * 64
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": DIGEST, "size": 5}
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 7}
GOOD = {"schemaVersion": 2, "config": CONFIG, "layers": [LAYER]}


def text(document: object) -> bytes:
    """Return *document* as JSON."""
    return json.dumps(document).encode()


def entry(name: str, digit: str) -> dict[str, Any]:
    """Return an entry of an index for the platform *name*, with a digest of *digit*."""
    system, architecture, *variant = name.split("/")
    platform = {"os": system, "architecture": architecture} | ({"variant": variant[0]} if variant else {})
    return {"digest": f"sha256:{digit * 64}", "size": 9, "platform": platform}


def test_a_manifest_is_read() -> None:
    """Its config and its layers are descriptors; the content stays as it came."""
    found = manifests.read_manifest(text(GOOD), "x", "application/vnd.oci.image.manifest.v1+json; charset=utf-8")
    assert found is not None
    assert found.layers == [manifests.Descriptor(str(LAYER["mediaType"]), DIGEST, 5)]
    assert found.kind == manifests.MANIFESTS[0]
    assert found.digest == manifests.digest_of(text(GOOD))


@pytest.mark.parametrize("document", [{"manifests": []}, {"mediaType": manifests.INDEXES[1], "manifests": []}])
def test_an_index_is_no_manifest(document: object) -> None:
    """An index is told from a manifest by its content."""
    assert manifests.read_manifest(text(document), "x") is None


@pytest.mark.parametrize(
    "change",
    [
        {"layers": 5}, {"layers": None}, {"layers": [5]}, {"layers": [{}]}, {"config": None}, {"config": []},
        {"layers": [{**LAYER, "digest": "sha256:x"}]}, {"layers": [{**LAYER, "digest": "md5:" + "a" * 64}]},
        {"layers": [{**LAYER, "size": -1}]}, {"layers": [{**LAYER, "size": "5"}]},
        {"layers": [{**LAYER, "size": True}]},
        {"layers": [LAYER] * 129}, {"layers": [{**LAYER, "mediaType": "text/html"}]},
        {"config": {**CONFIG, "mediaType": "application/vnd.cncf.helm.config.v1+json"}}, {"schemaVersion": 1},
        {"mediaType": 5}, {"config": {**CONFIG, "digest": "../../etc/passwd"}},
    ],
)  # fmt: skip
def test_a_wrong_manifest_is_refused(change: dict[str, Any]) -> None:
    """Each wrong part is an ImageError before anything is fetched."""
    with pytest.raises(ImageError):
        manifests.read_manifest(text({**GOOD, **change}), "image x")


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(content: bytes) -> None:
    """Content that is no JSON object is an ImageError."""
    with pytest.raises(ImageError):
        manifests.read_manifest(content, "image x")


@pytest.mark.parametrize(
    ("wanted", "digit"),
    [
        ("linux/amd64", "1"), ("amd64", "1"), ("linux/x86_64", "1"), ("linux/arm64", "2"), ("linux/arm64/v8", "2"),
        ("linux/aarch64", "2"), ("linux/arm/v7", "3"), ("linux/arm/v6", "4"), ("linux/s390x", "5"),
        ("linux/amd64/v3", "1"),
    ],
)  # fmt: skip
def test_the_image_of_a_platform(wanted: str, digit: str) -> None:
    """The exact variant is best, then the image without a variant, then an older variant."""
    names = {"1": "linux/amd64", "2": "linux/arm64/v8", "3": "linux/arm/v7", "4": "linux/arm/v5", "5": "linux/s390x"}
    index = {"manifests": [entry("unknown/unknown", "0"), *(entry(name, digit) for digit, name in names.items())]}
    found = manifests.choose(text(index), manifests.platform(wanted), "x")
    assert found.digest == f"sha256:{digit * 64}"


def test_a_platform_that_is_missing_lists_those_that_are_there() -> None:
    """The error names the platforms of the index, without the attestations."""
    index = {"manifests": [entry("unknown/unknown", "0"), entry("linux/arm/v7", "1"), entry("windows/amd64", "2")]}
    with pytest.raises(
        ImageError, match=r"no image for linux/amd64 \(it has linux/arm/v7, windows/amd64: --platform\)"
    ):
        manifests.choose(text(index), Platform("linux", "amd64"), "x")


@pytest.mark.parametrize(
    "index",
    [
        {"manifests": 5},
        {"manifests": [5]},
        {"manifests": [{}]},
        {"manifests": [{"digest": DIGEST, "size": 1, "platform": []}]},
    ],
)
def test_a_wrong_index_is_refused(index: object) -> None:
    """Each wrong part is an ImageError."""
    with pytest.raises(ImageError):
        manifests.choose(text(index), Platform("linux", "amd64"), "x")


@pytest.mark.parametrize("name", ["", "a/b/c/d", "windows/amd64", "linux/", "/amd64", "linux/am d"])
def test_a_wrong_platform_is_refused(name: str) -> None:
    """--platform takes os/architecture[/variant] of Linux."""
    with pytest.raises(UsageError):
        manifests.platform(name)
