"""Give images that are in a registry another name there, or make an index of several, without fetching their layers.

See "Pushing manifests" and "Mounting a blob from another repository" of the distribution-spec, and image-index.md.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import ImageError, UsageError
from tinybox.images.registry import manifests
from tinybox.images.registry.manifests import Descriptor, Manifest
from tinybox.images.registry.repository import repositories
from tinybox.linux import quick_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.images.reference import Reference
    from tinybox.images.registry.repository import Repository

_NOTHING = Descriptor("", "", 0)
_CONFIG = {"architecture": str, "os": str, "variant": str}
_INDEX = {"manifests!": [{"digest!": str, "size!": int, "mediaType": str}]}


class Found(NamedTuple):
    """A manifest or an index, its *content* and media type *kind*, and the repository and the name that it has."""

    content: bytes
    kind: str
    repository: Repository
    reference: Reference

    @property
    def manifest(self) -> Manifest | None:
        """Return the manifest; None for an index. ImageError: it is neither."""
        return manifests.read_manifest(self.content, f"image {self.reference}", self.kind)

    def entries(self) -> list[dict[str, Any]]:
        """Return what an index says about this image: its descriptor with its platform, or all those of an index."""
        manifest = self.manifest
        if manifest is None:
            document = quick_json.loads(self.content.decode())
            if wrong := quick_json.misfit(document, _INDEX):
                raise ImageError(f"image {self.reference}", f"its index is damaged: {wrong}", manifests.CURE)
            listed: list[dict[str, Any]] = document["manifests"]
            return listed
        config = quick_json.loads(self.repository.small_blob(manifest.config).decode())
        if wrong := quick_json.misfit(config, _CONFIG):
            raise ImageError(f"image {self.reference}", f"its config is damaged: {wrong}", manifests.CURE)
        platform = {key: config[key] for key in _CONFIG if config.get(key)}
        digest = manifests.digest_of(self.content)
        return [{"mediaType": manifest.kind, "digest": digest, "size": len(self.content), "platform": platform}]


def found(reference: Reference) -> Found:
    """Return the manifest or the index that *reference* names in its registry; ImageError: there is none."""
    *_, repository = repositories(reference, "pull")
    content, header = repository.manifest(reference.digest or reference.tag)
    kind = header.partition(";")[0].strip()
    return Found(content, kind, repository, reference)


def joined(sources: Sequence[Reference], former: Reference | None = None) -> tuple[list[Found], bytes, str]:
    """Return the *sources*, the document that names them all, and its media type.

    One source is that document itself; more, or a *former* index that they are added to, become an index.
    """
    known = [found(each) for each in ([former] if former else []) + list(sources)]
    if len(known) == 1:
        return known, known[0].content, known[0].kind
    entries = {entry["digest"]: entry for each in known for entry in each.entries()}
    index = {"schemaVersion": 2, "mediaType": manifests.INDEXES[0], "manifests": list(entries.values())}
    return known, json.dumps(index, indent=2).encode(), manifests.INDEXES[0]


def store(target: Reference, known: Sequence[Found], content: bytes, kind: str) -> None:
    """Give the document *content* the name *target*; the images that it names are shared with its repository before.

    UsageError: *target* is in another registry than one of the images, so their layers would have to be copied.
    """
    for each in known:
        if each.reference.host != target.host:
            cause = f"{each.reference} is in another registry"
            raise UsageError(f"--tag {target}", cause, "tinybox pull, tag and push copy an image")
    [repository] = repositories(target, "pull,push")
    for each in known:
        if each.reference.repository != target.repository:
            _share(repository, each)
    repository.put_manifest(target.tag, Manifest(content, kind, _NOTHING, []))


def _share(repository: Repository, source: Found) -> None:
    """Let *repository* have the image, or each image of the index, *source*, of another repository of its registry."""
    manifest = source.manifest
    if manifest is None:
        for entry in source.entries():
            content, header = source.repository.manifest(entry["digest"])
            _share(repository, Found(content, header.partition(";")[0].strip(), source.repository, source.reference))
        return
    for blob in (manifest.config, *manifest.layers):
        if not repository.has_blob(blob.digest) and not repository.mount(blob.digest, source.reference.repository):
            cause = f"its registry does not share blob {blob.digest[7:19]} between repositories"
            raise ImageError(f"image {source.reference}", cause, "tinybox pull, tag and push copy an image")
    repository.put_manifest(manifest.digest, manifest)
