"""`system df` and `image prune` count the blobs that a registry has sent, which stay beside the unpacked layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinybox.container.views import units

if TYPE_CHECKING:
    from tests.conftest import Command
    from tests.support.registries import PythonRegistry

pytestmark = pytest.mark.root


def sizes(root: str, *folders: str) -> int:
    """Return the bytes of all files in these folders of the store, without layer.json."""
    files = (path for folder in folders for path in Path(root, folder).rglob("*"))
    return sum(path.lstat().st_size for path in files if path.is_file() and path.name != "layer.json")


def test_blobs_are_counted_and_freed(empty_store: Command, registry: PythonRegistry) -> None:
    """The size is that of layers, blobs and manifests; a container of the image keeps all of them; prune frees them."""
    name = f"{registry.host}/box"
    assert empty_store("pull", "-q", name).returncode == 0
    blobs = sizes(empty_store.root, "blobs", "manifests")
    whole = units.decimal_size(sizes(empty_store.root, "layers") + blobs, digits=4)
    assert blobs > 0

    def line() -> dict[str, str]:
        first = empty_store("system", "df", "--format", "json").stdout.splitlines()[0]
        found: dict[str, str] = json.loads(first)
        return found

    assert (line()["Size"], line()["Reclaimable"]) == (whole, f"{whole} (100%)")
    assert empty_store("create", "--name", "user", name, "true").returncode == 0
    assert (line()["Size"], line()["Reclaimable"]) == (whole, "0B (0%)")
    assert empty_store("image", "prune", "-af").stdout == "Total reclaimed space: 0B\n"
    [packed] = {layer["PackedSize"] for layer in json.loads(empty_store("layers", "--json", name).stdout)["Layers"]}
    assert packed == sizes(empty_store.root, "blobs")
    assert empty_store("rm", "user").returncode == 0
    freed = empty_store("image", "prune", "-af").stdout.splitlines()[-1]
    assert freed.removeprefix("Total reclaimed space: ")[:2] == whole[:2]
    assert sizes(empty_store.root, "layers", "blobs", "manifests") == 0
