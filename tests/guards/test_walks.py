"""Trees of others may have any depth: filesystem/files.py walks them, and no function that recurses once a level."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.guards.sources import Source, complaints

if TYPE_CHECKING:
    from collections.abc import Iterator

# Functions of the standard library that recurse, or hold a descriptor, once a level, or that need whole paths.
RECURSIVE = {
    "os": {"fwalk", "removedirs", "walk"},
    "shutil": {"copytree", "move", "rmtree"},
    "glob": {"glob", "iglob"},
}
CURE = "files.walk and files.remove_tree go to any depth with one descriptor"

# Files where glob reads only directories of tinybox's own.
ALLOWED = {("tinybox/images/recipes/debian.py", "glob.glob")}


def shallow_walks(source: Source) -> Iterator[str]:
    """Complain about functions that fail on a deep tree, called by their module or imported by name."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, names = node.value.id, [node.attr]
        elif isinstance(node, ast.ImportFrom):
            module, names = node.module or "", [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name in RECURSIVE.get(module, ()) and (source.path, f"{module}.{name}") not in ALLOWED:
                yield f"{node.lineno}: {module}.{name} fails in a deep tree; {CURE}"


def test_no_walk_recurses() -> None:
    """No code in tinybox/ walks, removes or copies a tree by functions that fail on a deep one."""
    assert complaints(shallow_walks, "tinybox") == ""


@pytest.mark.parametrize("text", ["import shutil\nshutil.rmtree(p)", "from os import fwalk", "import os\nos.walk(p)"])
def test_a_recursive_walk_is_found(text: str) -> None:
    """The guard works: by the module, and by a name imported from it."""
    assert list(shallow_walks(Source("tinybox/x.py", text)))


def test_other_functions_are_accepted() -> None:
    """The control: other functions of those modules."""
    assert not list(shallow_walks(Source("tinybox/x.py", "import os, shutil\nos.scandir(p)\nshutil.which('nft')")))
