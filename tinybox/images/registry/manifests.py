"""Manifests and indexes of registries: check them, and choose the image of an index that is for one platform.

A manifest lists the config and the layers of one image. An index (docker: manifest list) lists manifests, one for each
platform. See the OCI image-spec, manifest.md and image-index.md.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import ImageError, UsageError
from tinybox.images.reference import is_digest
from tinybox.images.store import this_architecture
from tinybox.linux import quick_json

if TYPE_CHECKING:
    from collections.abc import Iterator

OCI, DOCKER = "application/vnd.oci.image", "application/vnd.docker"
MANIFESTS = (f"{OCI}.manifest.v1+json", f"{DOCKER}.distribution.manifest.v2+json")
INDEXES = (f"{OCI}.index.v1+json", f"{DOCKER}.distribution.manifest.list.v2+json")
CONFIGS = (f"{OCI}.config.v1+json", f"{DOCKER}.container.image.v1+json")
LAYER = f"{OCI}.layer.v1.tar"
LAYERS = frozenset(
    [f"{kind}{end}" for kind in (LAYER, f"{OCI}.layer.nondistributable.v1.tar") for end in ("", "+gzip", "+zstd")]
    + [
        f"{DOCKER}.image.rootfs.{kind}"
        for kind in ("diff.tar", "diff.tar.gzip", "diff.tar.zstd", "foreign.diff.tar.gzip")
    ]
)
INDEX, MANIFEST = "index", "manifest"  # the kinds of documents
ACCEPT = ", ".join((*MANIFESTS, *INDEXES))
LAYERS_MOST = 128  # of one image, as for `tinybox load`
PLATFORMS_MOST = 10_000  # in one index
OLDER_ARM = {"v8": ("v8", "", "v7", "v6"), "v7": ("v7", "", "v6", "v5"), "v6": ("v6", "", "v5"), "v5": ("v5", "")}
CURE = "it was pushed by a program with a fault; ask its owner"

_NAME = re.compile("[a-z0-9_.-]+")
_PLATFORM = {"architecture!": str, "os!": str, "variant": str}
_DESCRIPTOR: dict[str, Any] = {"mediaType": str, "digest!": str, "size!": int, "urls": [str]}
_MANIFEST = {"mediaType": str, "config!": _DESCRIPTOR, "layers!": [_DESCRIPTOR]}
_INDEX = {"mediaType": str, "manifests!": [{**_DESCRIPTOR, "platform": _PLATFORM}]}


class Platform(NamedTuple):
    """An operating system, the OCI name of a processor, and its *variant* or ""."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, self))


class Descriptor(NamedTuple):
    """The description of a blob: its media type, ``sha256:HEX`` and its *size* in bytes."""

    kind: str
    digest: str
    size: int


class Manifest(NamedTuple):
    """A manifest: its text as the registry sent it, and what it says."""

    content: bytes
    kind: str
    config: Descriptor
    layers: list[Descriptor]

    @property
    def digest(self) -> str:
        """Return the digest by which the registry knows this manifest."""
        return digest_of(self.content)


def digest_of(content: bytes) -> str:
    """Return the digest of *content*, as OCI writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def this_platform() -> Platform:
    """Return the platform of this machine; see uname(2)."""
    architecture = this_architecture()
    return Platform("linux", architecture, "v8" if architecture == "arm64" else "")


def platform(text: str) -> Platform:
    """Parse ``os/arch[/variant]``, as --platform has it; UsageError: it is none, or not of Linux."""
    parts = text.lower().split("/")
    if len(parts) == 1:
        parts = ["linux", *parts] if parts[0] != "linux" else [*parts, this_platform().architecture]
    if len(parts) > 3 or not all(map(_NAME.fullmatch, parts)):
        raise UsageError(f"platform {text!r}", "this is not os/architecture[/variant]", "such as linux/arm64")
    if parts[0] != "linux":
        raise UsageError(f"platform {text!r}", "tinybox has images of linux alone", f"linux/{parts[1]}")
    names = {
        "x86_64": ("amd64",),
        "x86-64": ("amd64",),
        "aarch64": ("arm64",),
        "armhf": ("arm", "v7"),
        "armel": ("arm", "v6"),
    }
    architecture, *variant = (*names.get(parts[1], (parts[1],)), *parts[2:])
    return Platform("linux", architecture, variant[0] if variant else "v8" if architecture == "arm64" else "")


def fits(text: str, wanted: Platform) -> bool:
    """Return whether an image for the platform *text* is what *wanted* means; "" (not known) fits everything."""
    if not text:
        return True
    parts = [*text.split("/"), "", ""]
    variants = OLDER_ARM.get(wanted.variant, (wanted.variant, ""))
    return parts[:2] == [wanted.os, wanted.architecture] and (not wanted.variant or parts[2] in {*variants, ""})


def read_manifest(content: bytes, thing: str, header: str = "") -> Manifest | None:
    """Return the manifest in *content*, None for an index; ImageError: it is neither. *header* is its Content-Type."""
    document = _object(content, thing, {"mediaType": str})
    kind = document.get("mediaType") or header.partition(";")[0].strip()
    if "manifests" in document or kind in INDEXES:
        return None
    if document.get("schemaVersion") == 1:
        raise ImageError(thing, "it is of version 1 of docker's format, of 2014", "push it again with a newer docker")
    document = _object(content, thing, _MANIFEST)
    config, layers = _descriptor(document["config"], thing), [_descriptor(it, thing) for it in document["layers"]]
    if config.kind not in CONFIGS:
        cause = f"it is no image but an artifact: its config is of type {config.kind[:100]}"
        raise ImageError(thing, cause, "a tool for artifacts, such as oras, reads it")
    if strange := next((layer.kind for layer in layers if layer.kind not in LAYERS), ""):
        raise ImageError(thing, f"a layer of it is of type {strange[:100]}", "tinybox reads tar, gzip and zstd")
    if len(layers) > LAYERS_MOST:
        raise ImageError(thing, f"it has more than {LAYERS_MOST} layers", "make one with fewer")
    return Manifest(content, kind or MANIFESTS[0], config, layers)


def choose(content: bytes, wanted: Platform, thing: str) -> Descriptor:
    """Return the manifest for the platform *wanted* in the index *content*.

    The exact variant is best; then none; then an older one of the same processor. ImageError: there is none of these.
    """
    entries = _object(content, thing, _INDEX)["manifests"]
    if len(entries) > PLATFORMS_MOST:
        raise ImageError(thing, f"it lists more than {PLATFORMS_MOST} images", CURE)
    for variant in OLDER_ARM.get(wanted.variant, (wanted.variant, "")):
        for entry in entries:
            if _platform_of(entry) == (wanted.os, wanted.architecture, variant):
                return _descriptor(entry, thing)
    there = ", ".join(sorted({str(found) for found in map(_platform_of, entries) if found}))[:300]
    raise ImageError(thing, f"it has no image for {wanted}", f"it has {there or 'none at all'}: --platform")


def _platform_of(entry: dict[str, Any]) -> Platform | None:
    found = entry.get("platform")
    if not found or found["os"] == "unknown":  # an attestation, not an image
        return None
    return Platform(found["os"], found["architecture"], found.get("variant") or "")


def _object(content: bytes, thing: str, shape: Any) -> dict[str, Any]:
    try:
        document: dict[str, Any] = quick_json.loads(content.decode())
        wrong = quick_json.misfit(document, shape)
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise ImageError(thing, f"its manifest is damaged: {wrong}", CURE)
    return document


def _descriptor(entry: dict[str, Any], thing: str) -> Descriptor:
    if not is_digest(entry["digest"]):
        raise ImageError(thing, f"{entry['digest'][:100]!r} in its manifest is not a sha256 digest", CURE)
    if entry["size"] < 0:
        raise ImageError(thing, f"its manifest has the size {entry['size']}", CURE)
    return Descriptor(entry.get("mediaType") or "", entry["digest"], entry["size"])


def digests(content: bytes) -> Iterator[str]:
    """Yield the digests of the config and the layers of a manifest that the store has, the config's first."""
    document = quick_json.loads(content.decode())
    yield document["config"]["digest"]
    yield from (layer["digest"] for layer in document["layers"])
