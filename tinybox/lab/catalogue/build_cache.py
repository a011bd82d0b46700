"""Build cache: an instruction is carried out again only if it must be.

A build asks the cache before each instruction. The key is the digest of all that the instruction depends on: the layers
below it, its words, and the content of the files that it copies; not their times. If the cache has the key, the layer
is taken from there, and no container runs. So what changes often stands at the end of a Containerfile, and what takes
long before it. Each RUN here writes a number that the kernel draws: the same number means that it did not run again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.build import building
from tinybox.build.files.context import Context
from tinybox.container.records.paths import Paths
from tinybox.images import loading, saved
from tinybox.images.store import Store
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

DRAW = "cat /proc/sys/kernel/random/uuid >"
CONTAINERFILE = f"""\
FROM IMAGE
RUN {DRAW} /above
COPY page /page
RUN {DRAW} /below
"""


class Built:
    """An image that was built: its *id*, and the numbers that the two RUN have drawn."""

    def __init__(self, store: Store, image_id: str) -> None:
        self.id, self._layers = image_id, store.image(image_id).layers
        self.above, self.below = self._number("above"), self._number("below")

    def _number(self, name: str) -> str:
        path = next(f"{layer}/{name}" for layer in reversed(self._layers) if os.path.exists(f"{layer}/{name}"))
        with open(path, encoding="ascii") as file:
            return file.read().strip()


class Steps(building.Report):
    """Notes of each RUN whether its layer was in the cache."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def end(self, step: building.Step, result: building.Result) -> None:
        """Note the end of a step."""
        if step.text.startswith("RUN"):
            self.runs.append("from the cache" if result.cached else "carried out")


def own_store(bench: Bench) -> Store:
    """Return a store for this lab alone, with the bench's image: so nothing of another build is in its cache."""
    store, archive = Store(f"{bench.folder()}/store"), f"{bench.folder()}/image.tar"
    with open(archive, "wb") as file:
        saved.save(Store(Paths().root), [bench.image], file)
    with open(archive, "rb") as file:
        loading.load(store, file)
    return store


def build(bench: Bench, store: Store, folder: str, title: str, *, uses_cache: bool) -> Built:
    """Build the image of CONTAINERFILE, with the files of the directory *folder*, and note what happened."""
    content, steps = CONTAINERFILE.replace("IMAGE", bench.image).encode(), Steps()
    with Context.of_directory(folder) as context:
        wish = building.Wish(content, "Containerfile", context, [], {}, "", {}, "", {}, "none", uses_cache, False)
        built = Built(store, building.build(store, wish, lambda *_: None, steps, None))
    bench.saw(f"{title}: the two RUN", ", ".join(steps.runs), "the report of the build")
    bench.on_host(f"{title}: the numbers", f"{built.above[:8]} {built.below[:8]}", "layers/*/fs/above and below")
    bench.on_host(f"{title}: the image", built.id[:12], "sha256 of the config, images/ID")
    return built


def check(bench: Bench, *, feature: bool) -> None:
    """Build three times: at first, after a file got another time, and after it got another content."""
    store, folder = own_store(bench), bench.folder()
    page = f"{folder}/page"
    with open(page, "w", encoding="ascii") as file:
        file.write("one\n")
    first = build(bench, store, folder, "at first", uses_cache=feature)
    os.utime(page, (0, 0))
    touched = build(bench, store, folder, "another time", uses_cache=feature)
    with open(page, "w", encoding="ascii") as file:
        file.write("two\n")
    changed = build(bench, store, folder, "another content", uses_cache=feature)
    bench.claim("with another time of the file, nothing is carried out: the image is the same", first.id == touched.id)
    bench.claim("with another content, the RUN above COPY is not carried out again", first.above == changed.above)
    bench.claim("the RUN below COPY is carried out again", first.below != changed.below)


LAB = Lab(
    question="A file that COPY copies has changed. Which of the instructions around it are carried out again?",
    answer="COPY and what stands below it. The RUN above it depends on nothing that has changed.",
    control="the cache (--no-cache): every RUN is carried out each time",
    check=check,
)
