"""Imports point down, between rooms and inside them, and no files import one another in a circle."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.guards.sources import CHECKOUT, Source, complaints, sources
from tools.documents import CONTAINER_FLOORS

if TYPE_CHECKING:
    from collections.abc import Iterator

# Packages, from the lowest layer up. Those of one layer do not import each other. "" is tinybox/__init__.py.
FLOORS = [
    {"errors", "explain", "modules", "text_values", "version", "wrapping"},
    {"entry", "linux", "pictures"},
    {"isolation", "images"},
    {"container"},
    {"build"},
    {"oci", "lab", "doctor", "seeing", "compose", "workshop"},
    {"exercises"},
    {"api"},
    {""},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}
# The same inside container/, where "" are the files on top of it, one a verb.
FLOOR_INSIDE = {room: number for number, floor in enumerate(CONTAINER_FLOORS) for room in floor}

# External packages that only one place may import, and whether only functions there may import them.
CONFINED = {
    "click": ("tinybox/cli/", False),
    "pyroute2": ("tinybox/doctor/links.py", True),
    "yaml": ("tinybox/compose/reading/document.py", True),
    "textual": ("tinybox/seeing/watch/terminal.py", False),  # imported by the command watch, in a function
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
    """Name the package of a dotted name below tinybox; a function of the Python API is in the package ""."""
    second = name.split(".")[1] if "." in name else ""
    return second if second in FLOOR else ""


def room_inside(name: str) -> str:
    """Name the folder of container/ in which a dotted name stands; a file on top of container/ stands in ""."""
    third = name.split(".")[2] if name.count(".") > 1 else ""
    return third if third in FLOOR_INSIDE else ""


def upward(source: Source) -> Iterator[str]:
    """Complain about imports that point up, or to a neighbour of the same layer."""
    own = room(source.path.removesuffix(".py").replace("/", "."))
    for line, name, _ in imports(source):
        if name.split(".")[0] != "tinybox":
            continue
        other = room(name)
        if other != own and FLOOR[other] >= FLOOR[own]:
            yield f"{line}: {own or 'tinybox'} must not import {name}: imports point down"


def upward_inside(source: Source) -> Iterator[str]:
    """Complain about imports between the folders of container/ that point up, or across a floor."""
    module = source.path.removesuffix(".py").replace("/", ".")
    own = room_inside(module)
    for line, name, _ in imports(source):
        if not name.startswith("tinybox.container.") or not module.startswith("tinybox.container."):
            continue
        other = room_inside(name)
        if other != own and FLOOR_INSIDE[other] >= FLOOR_INSIDE[own]:
            yield f"{line}: container/{own or module.split('.')[2]} must not import {name}: imports point down"


def circles(files: list[Source]) -> list[list[str]]:
    """Return the files that import one another in a circle, each circle as a sorted list; see Tarjan's algorithm."""
    modules = {source.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__"): source for source in files}
    below = {
        module: {name if name in modules else name.rpartition(".")[0] for _, name, _ in imports(source)}
        & modules.keys()
        for module, source in modules.items()
    }
    found: list[list[str]] = []
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in sorted(below[module]):
            if other not in number:
                visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == number[module]:
            at = stack.index(module)
            circle, stack[at:] = stack[at:], []
            if len(circle) > 1 or module in below[module]:
                found.append(sorted(circle))

    for module in modules:
        if module not in number:
            visit(module)
    return found


def confined(source: Source) -> Iterator[str]:
    """Complain about external packages that are imported in a wrong place."""
    for line, name, late in imports(source):
        place, must_be_late = CONFINED.get(name.split(".")[0], ("", False))
        if not source.path.startswith(place):
            yield f"{line}: {name} belongs into {place} alone"
        elif must_be_late and not late:
            yield f"{line}: {name} is loaded inside functions only"


def test_imports_point_down() -> None:
    """No file imports a package above its own, or beside it."""
    assert complaints(upward, "tinybox") == ""


def test_imports_inside_container_point_down() -> None:
    """No folder of container/ imports one above its own, or beside it."""
    assert complaints(upward_inside, "tinybox") == ""


def test_every_folder_of_container_has_a_floor() -> None:
    """A new folder of container/ has to be given its place in CONTAINER_FLOORS."""
    folders = {path.name for path in (CHECKOUT / "tinybox/container").iterdir() if (path / "__init__.py").is_file()}
    assert folders | {""} == FLOOR_INSIDE.keys()


def test_no_files_import_one_another_in_a_circle() -> None:
    """Imports inside functions and for types count as well: a reader follows them, too."""
    assert circles(list(sources("tinybox"))) == []


def test_a_circle_is_found() -> None:
    """The guard bites: at a circle of three by a late import and one for types, and at a file that imports itself."""
    texts = {
        "a": "from tinybox import b",
        "b": "def f():\n    from tinybox.c import x",
        "c": "if TYPE_CHECKING:\n    from tinybox.a import y",
        "d": "from tinybox import a",
        "e": "from tinybox import e",
    }
    files = [Source(f"tinybox/{name}.py", text) for name, text in texts.items()]
    assert circles(files) == [["tinybox.a", "tinybox.b", "tinybox.c"], ["tinybox.e"]]
    assert circles(files[1:4]) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tinybox/container/records/events.py", "from tinybox.container.network.definitions import Network"),
        ("tinybox/container/process/spawn.py", "from tinybox.container.planning import task"),
        ("tinybox/container/planning/task.py", "from tinybox.container.config import options"),
        ("tinybox/container/config/life.py", "def f():\n    from tinybox.container import lifecycle"),
        ("tinybox/container/control.py", "from tinybox.container.views import listing"),
        ("tinybox/container/files/copy.py", "from tinybox.container.monitor import log"),
    ],
)
def test_an_import_inside_container_that_points_up_is_found(path: str, text: str) -> None:
    """The guard bites: between folders, across a floor, and from a folder to a verb."""
    assert list(upward_inside(Source(path, text)))
    assert not list(
        upward_inside(Source("tinybox/container/views/listing.py", "from tinybox.container import control"))
    )


def test_heavy_packages_stay_in_their_place() -> None:
    """Only cli/ imports click; one file each imports pyroute2, yaml and textual."""
    assert complaints(confined, "tinybox") == ""


def test_every_package_has_a_layer() -> None:
    """A new package must have a place in FLOORS."""
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
        ("tinybox/api/images.py", "from tinybox.cli.commands.image import registry"),
        ("tinybox/compose/up.py", "from tinybox.api.containers import Container"),
        ("tinybox/container/records/spec.py", "from tinybox import run"),
    ],
)
def test_an_import_that_points_up_is_found(path: str, text: str) -> None:
    """The guard works: upward, sideways, relative, hidden in a function or behind TYPE_CHECKING."""
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
def test_an_import_that_points_down_is_accepted(path: str, text: str) -> None:
    """The control: imports that point down, or stay in the package, cause no complaint."""
    assert not list(upward(Source(path, text)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tinybox/container/process/spawn.py", "import click"),
        ("tinybox/isolation/cgroups/group.py", "def f():\n    from pyroute2 import IPRoute"),
        ("tinybox/doctor/links.py", "import pyroute2"),
    ],
)
def test_a_heavy_package_out_of_its_place_is_found(path: str, text: str) -> None:
    """The guard works: click outside cli/, pyroute2 outside doctor/links.py or at its top."""
    assert list(confined(Source(path, text)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tinybox/cli/run.py", "import click"),
        ("tinybox/doctor/links.py", "def f():\n    from pyroute2 import IPRoute"),
    ],
)
def test_a_heavy_package_in_its_place_is_accepted(path: str, text: str) -> None:
    """The control: both are accepted in their own places."""
    assert not list(confined(Source(path, text)))
