"""Pull an image from its registry: resolve its name to a manifest, then fetch, check and unpack what is not here yet.

    name -> manifest (of an index: the one for this platform) -> config -> layers, several at once -> image

Of an image that is here already only the manifest is asked for. fetching.py brings the layers. The image appears last.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tinybox.errors import HostError, ImageError, nearest
from tinybox.images import content, image_events
from tinybox.images.reference import DEFAULT_TAG, Reference, parse
from tinybox.images.registry import manifests
from tinybox.images.registry.layers import Layer, is_here
from tinybox.images.registry.repository import Repository, repositories
from tinybox.images.store import RECORD
from tinybox.linux import quick_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.registry.layers import Report
    from tinybox.images.registry.manifests import Manifest, Platform
    from tinybox.images.registry.transport import Listener
    from tinybox.images.store import Image, Store

Result = TypeVar("Result")


class Pulled(NamedTuple):
    """The *image*, the *digest* of its name in the registry (of the index, if it has one), and if it is new here."""

    image: Image
    digest: str
    is_new: bool


def pull(
    store: Store,
    reference: Reference,
    wanted: Platform,
    report: Report,
    *,
    verify: bool | None = None,
    listen: Listener = lambda _: None,
) -> Pulled:
    """Bring the image *reference* for the platform *wanted* into the store; it is named there by tag and by digest.

    ImageError: there is no such image, access to it is denied, or it is damaged. HostError: the registry cannot be
    reached, or answers with an error. *verify* False allows plain HTTP and any certificate.
    """
    servers = repositories(reference, "pull", verify=verify, listen=listen)
    try:
        repository, digest, manifest = _first(
            servers, lambda server: (server, *_manifest(server, reference, wanted, report))
        )
    except (HostError, ImageError) as error:
        error.near = lambda: _nearest(store, reference)
        raise
    former = store.named(reference)
    record = _config(store, repository, manifest)
    layers = _layers(reference, manifest, record)
    names = list(dict.fromkeys((reference, Reference(reference.name, "", digest))))
    if _name(store, manifest, layers, names, record):
        report.resolved(reference, [])
    else:
        report.resolved(reference, [layer.blob for layer in layers])
        _bring(store, repository, manifest, layers, names, record, report)
    image = store.image(str(reference))
    image_events.emit_of_name(store.root, "pull", reference, image.id)
    return Pulled(image, digest, image.id != former)


def _nearest(store: Store, reference: Reference) -> str:
    """Return the name of a stored image, or of a recipe, for which *reference* may be a slip of the pen, or "".

    Its host must be the same. "" also if the store has the name itself: then it is not the name that is wrong.
    """

    def path(of: Reference) -> str:
        return str(of).removeprefix(f"{of.host}/").removesuffix(f":{DEFAULT_TAG}")

    def known() -> list[str]:
        from tinybox.images.recipes import recipe  # late: only for an error

        here = map(parse, [*store.short_names(), *recipe.names()])
        return [path(each) for each in here if each.host == reference.host]

    near, word = nearest(path(reference), known), str(reference).removesuffix(f":{DEFAULT_TAG}")
    return word.removesuffix(path(reference)) + near if near not in ("", path(reference)) else ""


def tags(reference: Reference, *, verify: bool | None = None, listen: Listener = lambda _: None) -> list[str]:
    """Return all tags of the repository of *reference*, from its first server that has it; errors as in `pull`."""
    return _first(repositories(reference, "pull", verify=verify, listen=listen), lambda repository: repository.tags())


def _first(servers: list[Repository], ask: Callable[[Repository], Result]) -> Result:
    """Return the answer of the first server that has one; of a mirror's errors none counts."""
    for server in servers[:-1]:
        with contextlib.suppress(HostError, ImageError):
            return ask(server)
    return ask(servers[-1])


def _name(store: Store, manifest: Manifest, layers: list[Layer], names: list[Reference], record: bytes) -> bool:
    """Give the image its *names* and return True, if the whole image is in the store already, with this *record*."""
    image_id = manifest.config.digest.removeprefix("sha256:")
    with store.locked():
        if not content.has_manifest(store.root, manifest.digest) or image_id not in store.ids():
            return False
        if store.content(image_id) != record or not all(is_here(store, layer) for layer in layers):
            return False
        for name in names:
            if store.named(name) != image_id:
                store.point(name, image_id)
    return True


def _bring(
    store: Store,
    repository: Repository,
    manifest: Manifest,
    layers: list[Layer],
    names: list[Reference],
    record: bytes,
    report: Report,
) -> None:
    """Fetch what the store does not have of the image, and put it there under its *names*; after an error, nothing."""
    from tinybox.images import intake, removal  # here: most pulls find that nothing is new
    from tinybox.images.registry import fetching

    with intake.workspace(store) as work, removal.collected(store, work.path):
        content.want(work.path, [part for layer in layers for part in (layer.diff_id, layer.blob.digest)])
        fetching.fetch(store, work, repository, layers, report)
        with store.locked():
            content.keep_manifest(store.root, manifest.digest, manifest.content)
            intake.put(store, work, quick_json.loads(record.decode()), names, content=record)


def _manifest(repository: Repository, reference: Reference, wanted: Platform, report: Report) -> tuple[str, Manifest]:
    thing = f"image {reference}"
    text, header = repository.manifest(reference.digest or reference.tag)
    digest = manifests.digest_of(text)
    manifest = manifests.read_manifest(text, thing, header)
    if manifest is None:
        chosen = manifests.choose(text, wanted, thing)
        report.document(manifests.INDEX, digest, text, chosen.digest)
        text, header = repository.manifest(chosen.digest)
        manifest = manifests.read_manifest(text, thing, header)
    if manifest is None:
        raise ImageError(thing, "its index lists another index", manifests.CURE)
    report.document(manifests.MANIFEST, manifest.digest, manifest.content)
    return digest, manifest


def _config(store: Store, repository: Repository, manifest: Manifest) -> bytes:
    """Return the image's config, from the store if it is there, and not damaged."""
    image_id = manifest.config.digest.removeprefix("sha256:")
    with contextlib.suppress(FileNotFoundError):
        record = store.content(image_id)
        if manifests.digest_of(record) == manifest.config.digest:
            return record
    return repository.small_blob(manifest.config)


def _layers(reference: Reference, manifest: Manifest, record: bytes) -> list[Layer]:
    """Return the layers, each one once; ImageError: config and manifest do not fit together."""
    thing = f"image {reference}"
    try:
        document: dict[str, Any] = quick_json.loads(record.decode())
        wrong = quick_json.misfit(document, RECORD)
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise ImageError(thing, f"its config is damaged: {wrong}", manifests.CURE)
    diff_ids = document["rootfs"]["diff_ids"]
    if len(diff_ids) != len(manifest.layers):
        cause = f"its config has {len(diff_ids)} layers, its manifest {len(manifest.layers)}"
        raise ImageError(thing, cause, manifests.CURE)
    pairs = zip(manifest.layers, diff_ids, strict=True)
    return list(dict.fromkeys(Layer(blob, diff_id) for blob, diff_id in pairs))
