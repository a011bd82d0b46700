"""Random layers, made by overlayfs itself: the report and `--which` agree with what overlayfs shows of them."""

from __future__ import annotations

import os
import random
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.mount_namespaces import alone
from tinybox.images.layer_changes import Node, Stack
from tinybox.images.layer_report import Source
from tinybox.images.layer_versions import SEEN, versions
from tinybox.isolation import overlay, overlay_changes
from tinybox.linux import mount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.root

TREES = 1000 if os.environ.get("TINYBOX_SOAK") else 25
LAYERS, CALLS = 5, 14
NAMES = ("a", "b", "c")
Facts = tuple[int, int, int]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a directory where overlayfs can have an upper directory."""
    with tempfile.TemporaryDirectory(prefix="tinybox-test-", dir="/var/tmp") as place:
        yield Path(place)


def change(top: Path, chance: random.Random) -> None:
    """Do one random thing to a random file below *top*; calls that fail, because of the file's type, do nothing."""
    path = top.joinpath(*(chance.choice(NAMES) for _ in range(chance.randint(1, 3))))
    calls: list[Callable[[], object]] = [
        lambda: path.write_bytes(chance.randbytes(chance.randint(0, 200))),
        lambda: path.open("ab").write(b"+"),
        lambda: path.chmod(chance.choice((0o600, 0o644, 0o755))),
        path.unlink,
        path.mkdir,
        lambda: path.mkdir(parents=True),
        lambda: shutil.rmtree(path),
        lambda: make_again(path),
        lambda: path.symlink_to(chance.choice(NAMES)),
        lambda: path.rename(top / chance.choice(NAMES)),
    ]
    try:
        chance.choice(calls)()
    except OSError:
        return


def make_again(path: Path) -> None:
    """Remove a directory and make it again: overlayfs marks it as opaque."""
    shutil.rmtree(path)
    path.mkdir()


def made(place: Path, chance: random.Random) -> list[str]:
    """Make layers, bottom first: each is the upper directory of an overlay on those below it."""
    trees = [str(place / "0")]
    os.mkdir(trees[0])
    for number in range(1, LAYERS):
        upper, work, merged = (place / f"{name}{number}" for name in ("", "work", "merged"))
        for path in (upper, work, merged):
            path.mkdir()
        overlay.mount_overlay(trees, str(upper), str(work), str(merged))
        for _ in range(CALLS):
            change(merged, chance)
        mount.umount2(os.fsencode(merged), 0)
        trees.append(str(upper))
    return trees


def shown(place: Path, trees: list[str]) -> dict[str, Facts]:
    """Return what overlayfs shows of the layers: the mode, owner and size of each file; of a directory no size."""
    merged = place / "merged"
    merged.mkdir()
    overlay.mount_merged(trees, str(merged))
    infos = {str(path.relative_to(merged)): path.lstat() for path in merged.rglob("*")}
    mount.umount2(os.fsencode(merged), 0)
    return {path: (info.st_mode, info.st_uid, info.st_size if stat.S_ISREG(info.st_mode) else 0)
            for path, info in infos.items()}  # fmt: skip


def flat(node: Node, path: str = "") -> Iterator[tuple[str, Facts]]:
    """Yield the files of the report's merged tree, in the form of `shown`."""
    for name, below in (node.children or {}).items():
        where = f"{path}/{name}".lstrip("/")
        yield where, (below.facts[0], below.facts[1], below.size)
        yield from flat(below, where)


def compare(place: Path, seed: int) -> tuple[int, int]:
    """Compare the report of random layers with overlayfs; return the number of files, and of covered bytes."""
    trees = made(place, random.Random(seed))  # noqa: S311  the same trees for the same seed
    stack, expected = Stack(), shown(place, trees)
    for number, tree in enumerate(trees, 1):
        found = stack.add(tree, number)
        if number > 1:
            diff = set(overlay_changes.changes(tree, trees[: number - 1], overlay.opaque_mark(userns=False)))
            assert {("A", change.path) for change in found if change.kind == "A"} == {
                (kind, path) for kind, path in diff if kind == "A"}, seed  # fmt: skip
    assert dict(flat(stack.root)) == expected, seed
    covered = sum(sum(by.values()) for by in stack.covered.values())
    assert sum(stack.sizes.values()) - covered == sum(size for _, _, size in expected.values()), seed
    sources = [Source(tree, "", {}) for tree in trees]
    paths = {str(path.relative_to(tree)) for tree in trees for path in Path(tree).rglob("*")}
    for path in paths:
        seen = [version for version in versions(sources, os.fsencode(path)) if version.state == SEEN]
        assert len(seen) == (path in expected), (seed, path)
        if seen and seen[0].info:
            assert seen[0].info.st_mode == expected[path][0], (seed, path)
    return len(expected), covered


def test_the_report_agrees_with_overlayfs(folder: Path) -> None:
    """The merged tree, the covered bytes, what is new in each layer, and which version of each file is seen."""

    def act() -> None:
        results = []
        for seed in range(TREES):
            place = folder / str(seed)
            place.mkdir()
            results.append(compare(place, seed))
            shutil.rmtree(place)
        assert sum(files for files, _ in results) > 2 * TREES  # the control: there was something to compare
        assert sum(covered for _, covered in results) > 10 * TREES

    alone(act)
