"""Imports point down: linux/ knows no container, images/ knows no process, and only cli/ knows the command line."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.guards.sources import CHECKOUT, Source, complaints, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

# The rooms, from the ground up. Those on one floor do not know each other. "" is tinybox/__init__.py, the Python API.
FLOORS = [
    {"errors", "explain"},
    {"entry", "linux"},
    {"isolation", "images"},
    {"container"},
    {""},
    {"oci", "lab", "doctor", "seeing", "compose"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}

# Packages of others that only one place may know, and whether only functions there may load them.
CONFINED = {
    "click": ("tinybox/cli/", False),
    "pyroute2": ("tinybox/isolation/network/interfaces.py", True),
    "yaml": ("tinybox/compose/document.py", True),
}


def imports(source: Source) -> Iterator[tuple[int, str, bool]]:
    """List what a file imports: line, the full dotted name, and whether the import stands inside a function."""
    tree = source.tree
    inside = {
        below
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for below in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, node in inside
        elif isinstance(node, ast.ImportFrom):
            above = source.package[: len(source.package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}", node in inside


def room(name: str) -> str:
    """Name the room of a dotted name below tinybox; a function of the API stands in the room ""."""
    second = name.split(".")[1] if "." in name else ""
    return second if second in FLOOR else ""


def upward(source: Source) -> Iterator[str]:
    """Complain about imports that point up, or across a floor."""
    own = room(source.path.removesuffix(".py").replace("/", "."))
    for line, name, _ in imports(source):
        if name.split(".")[0] != "tinybox":
            continue
        other = room(name)
        if other != own and FLOOR[other] >= FLOOR[own]:
            yield f"{line}: {own or 'tinybox'} must not import {name}: imports point down"


def confined(source: Source) -> Iterator[str]:
    """Complain about packages of others that are loaded where they should not be."""
    for line, name, late in imports(source):
        place, must_be_late = CONFINED.get(name.split(".")[0], ("", False))
        if not source.path.startswith(place):
            yield f"{line}: {name} belongs into {place} alone"
        elif must_be_late and not late:
            yield f"{line}: {name} is loaded inside functions only"


def test_imports_point_down() -> None:
    """No file imports a room above its own, or beside it."""
    assert complaints(upward, "tinybox") == ""


def test_heavy_packages_stay_in_their_place() -> None:
    """Click is known to cli/ alone, pyroute2 and yaml to the functions of one file each."""
    assert complaints(confined, "tinybox") == ""


def test_every_room_has_a_floor() -> None:
    """A new package has to be given its place in FLOORS."""
    rooms = {source.package[1] for source in sources("tinybox") if len(source.package) > 1}
    assert rooms <= FLOOR.keys()
    assert (CHECKOUT / "tinybox" / "linux").is_dir()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tinybox/linux/mount.py", "from tinybox.container import plan"),
        ("tinybox/linux/mount.py", "import tinybox.cli"),
        ("tinybox/linux/mount.py", "from tinybox import isolation"),
        ("tinybox/linux/mount.py", "from ..isolation import overlay"),
        ("tinybox/linux/mount.py", "def f():\n    from tinybox.isolation.overlay import Overlay"),
        ("tinybox/linux/mount.py", "if TYPE_CHECKING:\n    from tinybox.isolation.overlay import Overlay"),
        ("tinybox/isolation/rootfs.py", "from tinybox.images.store import Store"),
        ("tinybox/images/store.py", "from tinybox.isolation import overlay"),
        ("tinybox/errors.py", "from tinybox.linux import abi"),
        ("tinybox/oci/main.py", "from tinybox.lab import fork"),
        ("tinybox/container/records/spec.py", "from tinybox import run"),
    ],
)
def test_an_import_that_points_up_is_found(path: str, text: str) -> None:
    """The guard bites: upward, sideways, relative, hidden in a function or behind TYPE_CHECKING."""
    assert list(upward(Source(path, text)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "tinybox/container/process/spawn.py",
            "import os\nfrom tinybox.linux.process import clone3\nfrom . import plan",
        ),
        ("tinybox/isolation/rootfs.py", "from tinybox.isolation import overlay\nfrom ..linux import mount"),
        ("tinybox/cli/run.py", "from tinybox import errors, run"),
        ("tinybox/__init__.py", "from tinybox.container import lifecycle"),
    ],
)
def test_an_import_that_points_down_is_let_be(path: str, text: str) -> None:
    """The control: imports that point down, or stay in the room, are no reason to complain."""
    assert not list(upward(Source(path, text)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tinybox/container/process/spawn.py", "import click"),
        ("tinybox/isolation/cgroups/group.py", "def f():\n    from pyroute2 import IPRoute"),
        ("tinybox/isolation/network/interfaces.py", "import pyroute2"),
    ],
)
def test_a_heavy_package_out_of_its_place_is_found(path: str, text: str) -> None:
    """The guard bites: click outside cli/, pyroute2 outside interfaces.py or at its top."""
    assert list(confined(Source(path, text)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tinybox/cli/run.py", "import click"),
        ("tinybox/isolation/network/interfaces.py", "def f():\n    from pyroute2 import IPRoute"),
    ],
)
def test_a_heavy_package_in_its_place_is_let_be(path: str, text: str) -> None:
    """The control: in their places both are welcome."""
    assert not list(confined(Source(path, text)))
