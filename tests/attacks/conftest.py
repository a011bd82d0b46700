"""Attacks that have worked on container tools, tried on real boxes: with tinybox whole, and without the guard.

A test with the mark of `guarded` runs twice. In the second run one guard is taken out of the engine, in this process
and in the commands that are forked from it: then the attack must succeed. So the test measures the guard, and not the
inability of the attacker. docs/security.md has a row for each test.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import forked_commands
from tests.support.hostile_images import Images
from tests.support.no_trace import leaves_no_rules, leaves_no_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.forked_commands import Outcome

    Removal = Callable[[pytest.MonkeyPatch], None]

__all__ = ["leaves_no_rules", "leaves_no_trace"]

SECRET = "of the host"  # noqa: S105  the content of a file
SOAK = bool(os.environ.get("TINYBOX_SOAK"))


def guarded(*removals: Removal) -> pytest.MarkDecorator:
    """Run the test with the whole engine (`succeeds` is false), and after all *removals* (`succeeds` is true)."""
    return pytest.mark.parametrize("succeeds", [(), removals], indirect=True, ids=["whole", "without-guard"])


def replaced(owner: object, name: str, value: Any) -> Removal:
    """Return the removal of a guard that puts *value* in the place of an attribute of the engine."""
    return lambda patch: patch.setattr(owner, name, value)


@pytest.fixture
def succeeds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Take the guard out, if this is the second run; return whether the attack must succeed."""
    for remove in request.param:
        remove(monkeypatch)
    return bool(request.param)


class Engine:
    """The commands of tinybox in forked children of this process, where guards may be missing."""

    def __init__(self, root: str) -> None:
        self.root = root

    def __call__(self, *words: str, stdin: bytes = b"") -> Outcome:
        """Run ``tinybox WORDS`` to its end."""
        return forked_commands.run(self.root, *words, stdin=stdin, settings={"TINYBOX_NETWORK": "none"})

    def run(self, *words: str) -> str:
        """Run a box to its end; return all that it and tinybox printed."""
        done = self("run", "--rm", *words)
        return done.stdout + done.stderr


@pytest.fixture
def engine(store_root: Path) -> Engine:
    """Give the commands, with the store of this session."""
    return Engine(str(store_root))


@pytest.fixture
def images(engine: Engine, tmp_path: Path) -> Iterator[Images]:
    """Give a maker of hostile images, which are removed at the end."""
    made = Images(engine, tmp_path)
    yield made
    made.remove()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Make a directory of the host with the file `secret`, which no box may read or change."""
    folder = tmp_path / "outside"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "secret").write_text(f"{SECRET}\n")
    return folder
