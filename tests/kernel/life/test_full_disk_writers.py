"""Files and links are replaced on a full disk: each former one stays whole, and no draft is left."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.mount_namespaces import alone
from tinybox.container.network import addresses, definitions, pools
from tinybox.container.records import id_ranges, spec, state_file
from tinybox.container.records.paths import Paths
from tinybox.container.storage import etc, volumes
from tinybox.errors import TinyboxError
from tinybox.images import reference, store
from tinybox.isolation import mounts, rootfs
from tinybox.linux.filesystem import files

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.container.records.spec_types import Mount

    Write = Callable[[Paths, str], object]

pytestmark = pytest.mark.root

BOX = "b" * 64
LONG = 6000  # characters: more than one page, the least that a file system has left
SMALL = {"bytes": "size=256k", "inodes": "nr_inodes=80"}  # what runs full first


def _state(paths: Paths, text: str) -> None:
    state_file.write(os.path.join(paths.bundle(BOX), "state.json"), {"error": text})


def _config(paths: Paths, text: str) -> None:
    spec.save({"hostname": text}, paths.bundle(BOX))


def _network(paths: Paths, text: str) -> None:
    definitions.save(paths, definitions.Network("mine", labels={"said": text}))


def _endpoints(paths: Paths, text: str) -> None:
    known = dict.fromkeys("id bridge interface link address gateway mac".split(), "")
    addresses.write(paths, BOX, [addresses.Endpoint(network=text, **known)])


def _etc(paths: Paths, text: str) -> None:
    mount: Mount = {"destination": "/etc/hostname", "type": "bind", "source": etc.HOSTNAME}
    etc.write(paths.bundle(BOX), {"hostname": text, "mounts": [mount]})


def _range(_: Paths, text: str) -> None:
    with id_ranges.Register() as register:
        register.note("100000", text[:3000])


def _lease(_: Paths, text: str) -> None:
    with pools.Pool("tinybox-full") as pool:
        pool.note(".subnet", text[:3000])


def _name(paths: Paths, text: str) -> None:
    store.Store(paths.root).point(reference.parse("box:latest"), text[:3000])


WRITERS: dict[str, Write] = {
    "state.json": _state,
    "config.json": _config,
    "a network": _network,
    "network.json": _endpoints,
    "a file of etc": _etc,
    "a range of ids": _range,
    "an address": _lease,
    "an image's name": _name,
}


def content(top: Path) -> dict[str, str]:
    """Return every file and link below *top*, with what is in it; but for what fills the disk."""
    found = {}
    for path in top.rglob("*"):
        if path.is_symlink():
            found[str(path)] = os.readlink(path)
        elif path.is_file() and path.parent.name != "filling":
            found[str(path)] = path.read_text()
    return found


def fill(top: Path) -> None:
    """Write until there is no more room, and make files until there may be no more."""
    folder = top / "filling"
    folder.mkdir()
    with pytest.raises(OSError, match="No space left"):
        _fill(folder)


def _fill(folder: Path) -> None:
    for number in range(10_000):
        (folder / str(number)).write_bytes(bytes(4096))


def small_disk(top: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Mount a small tmpfs on *top*, with a store in it, and all other places that are written to."""
    options = mounts.Options(("mode=755", SMALL[kind]))
    rootfs.place_over(mounts.new_filesystem(b"tmpfs", b"tmpfs", options), str(top))
    paths = Paths(str(top / "store"))
    paths.prepare()
    for folder in (paths.bundle(BOX), paths.run_directory(BOX), paths.networks, paths.volumes):
        os.mkdir(folder)
    monkeypatch.setattr(id_ranges, "FOLDER", str(top / "ids"))
    monkeypatch.setattr(pools, "POOLS", str(top / "pools"))
    os.mkdir(pools.POOLS)
    store.Store(paths.root).locked()
    return paths


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("what", WRITERS)
def test_the_former_one_stays(what: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written, written on a full disk, which is an error and changes nothing, and written again with room."""

    def act() -> None:
        paths, write = small_disk(tmp_path, kind, monkeypatch), WRITERS[what]
        write(paths, "former" * LONG)
        before = content(tmp_path)
        fill(tmp_path)
        with pytest.raises((OSError, TinyboxError)) as raised:
            write(paths, "later" * LONG)
        cause = raised.value if isinstance(raised.value, OSError) else raised.value.__cause__
        assert isinstance(cause, OSError)
        assert cause.errno == errno.ENOSPC
        assert content(tmp_path) == before
        files.remove_tree(str(tmp_path / "filling"))
        write(paths, "later" * LONG)
        after = content(tmp_path)
        assert after.keys() == before.keys()
        assert after != before

    alone(act)


@pytest.mark.parametrize("kind", SMALL)
def test_a_volume_is_not_half_written(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a volume is written once, when it is made: with no room there is none, and no draft either."""

    def act() -> None:
        paths = small_disk(tmp_path, kind, monkeypatch)
        before = content(tmp_path)
        fill(tmp_path)
        with pytest.raises(OSError, match="No space left"):
            volumes.create(paths, "data", {"said": "what" * LONG})
        assert content(tmp_path) == before
        files.remove_tree(str(tmp_path / "filling"))
        volumes.create(paths, "data", {"said": "what" * LONG})
        assert volumes.find(paths, "data").labels == {"said": "what" * LONG}
        assert not list(tmp_path.rglob("*.new"))

    alone(act)
