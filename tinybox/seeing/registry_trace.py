"""`tinybox pull --explain` and `push --explain`: the events of a pull or a push, in the order of time.

Each request with its answer is an event, then each layer as it is in the store. docs/images.md describes the events.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from tinybox.images.registry import manifests
from tinybox.images.registry.layers import Report
from tinybox.linux import quick_json
from tinybox.seeing.registry_words import Words

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from tinybox.images.reference import Reference
    from tinybox.images.registry.exchange import Exchange
    from tinybox.images.registry.manifests import Descriptor
    from tinybox.images.store import Store

    Event = dict[str, Any]

VERSION = 1
FILES_MOST = 200  # of one layer: the first ones; an image may have 100,000
DOCUMENT_MOST = 1 << 16  # characters of a manifest that are shown


class Trace(Report):
    """Hands every event to *show*, and the progress on to *progress*; the context's end is the last event.

    *verb* is ``pull`` or ``push``.
    """

    def __init__(
        self, verb: str, reference: Reference, platform: str, progress: Report, show: Callable[[Event], object]
    ) -> None:
        self._progress, self._show, self._words = progress, show, Words()
        self._start, self._number = time.monotonic_ns(), 0
        system = os.uname()
        self._show(
            {
                "event": "begin",
                verb: VERSION,
                "command": ["tinybox", *sys.argv[1:]],
                "name": str(reference),
                "host": reference.host,
                "repository": reference.repository,
                "reference": reference.digest or reference.tag,
                "platform": platform,
                "kernel": system.release,
                "machine": system.machine,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._show({"event": "end", "at": self._now(), "error": str(error) if error else None})

    def exchange(self, exchange: Exchange) -> None:
        """Show a request and its answer; this is the listener of the registry's side."""
        self._number += 1
        says, spec = self._words.of(exchange)
        found = exchange._asdict() | {"at": exchange.at - self._start, "blob": self._words.blob(exchange)}
        self._show({"event": "exchange", "number": self._number, "says": says, "spec": spec, **found})

    def document(self, kind: str, digest: str, content: bytes, chosen: str = "") -> None:
        """Show an index, with the entry that was *chosen*, or a manifest."""
        document = quick_json.loads(content.decode())
        event: Event = {"event": "document", "kind": kind, "digest": digest, "at": self._now()}
        if kind == manifests.INDEX:
            event["entries"] = [_entry(entry) for entry in document["manifests"]]
            for entry in [it for it in event["entries"] if it["digest"] == chosen][:1]:
                entry["chosen"] = True
        else:
            self._words.learn(document)
            event["config"] = {key: document["config"][key] for key in ("digest", "size")}
            event["layers"] = [{key: layer[key] for key in ("digest", "size")} for layer in document["layers"]]
        event["text"] = content.decode()[:DOCUMENT_MOST]
        self._show(event)

    def resolved(self, reference: Reference, layers: list[Descriptor]) -> None:
        """Pass it on."""
        self._progress.resolved(reference, layers)

    def layer(self, digest: str, state: str, current: int = 0, total: int = 0) -> None:
        """Pass it on, and show a state that is not about bytes on the way."""
        self._progress.layer(digest, state, current, total)
        if not current or current == total:
            self._show({"event": "state", "digest": digest, "state": state, "at": self._now()})

    def stored(self, store: Store, image_id: str) -> None:
        """Show the layers of the image as they are in the store: what each changes, and its directory."""
        from tinybox.images import layer_report

        sources = layer_report.sources_of(store, image_id)
        for layer in layer_report.layers_of(sources):
            found = layer_report.as_dict(layer)
            files = found.pop("Files")
            record = quick_json.read_own(f"{os.path.dirname(found['Directory'])}/layer.json", {}) or {}
            self._number += 1
            self._show(
                {
                    "event": "layer",
                    "number": self._number,
                    "at": self._now(),
                    "layer": found,
                    "blob": record.get("blob", ""),
                    "place": len(sources)
                    - layer.number
                    + 1,  # among the lowerdirs of the overlay: the top one is first
                    "files": files[:FILES_MOST],
                    "rest": max(0, len(files) - FILES_MOST),
                }
            )
        lower = ":".join(source.tree for source in reversed(sources))
        self._show({"event": "image", "id": image_id, "lowerdir": lower, "at": self._now()})

    def _now(self) -> int:
        return time.monotonic_ns() - self._start


def _entry(entry: dict[str, Any]) -> Event:
    """Return what is shown of an entry of an index; an attestation has no platform that could be run."""
    platform = entry.get("platform") or {}
    parts = [platform.get(key) or "" for key in ("os", "architecture", "variant")]
    return {
        "platform": "/".join(filter(None, parts)),
        "digest": entry["digest"],
        "size": entry["size"],
        "chosen": False,
    }
