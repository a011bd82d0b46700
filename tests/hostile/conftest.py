"""Hostile and broken input. The corpus is in corpus.py; each test gives a part of it to real commands on a real store.

`make test` runs a short form. With TINYBOX_SOAK (`make soak`) each test takes every value, and TINYBOX_SEED repeats a
run whose seed was printed.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.conftest import Command
from tests.support import forked_commands
from tests.support.no_trace import leaves_no_rules, leaves_no_trace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.forked_commands import Outcome

__all__ = ["leaves_no_rules", "leaves_no_trace"]

SOAK = bool(os.environ.get("TINYBOX_SOAK"))


class Store(NamedTuple):
    """A store of its own for hostile input: its directory *root*, and its commands in forked children."""

    root: str

    def __call__(self, *words: str, stdin: bytes = b"") -> Outcome:
        """Run ``tinybox WORDS``; it must end soon, with one line for each error, and without a traceback."""
        done = forked_commands.run(self.root, *words, stdin=stdin, settings={"TINYBOX_NETWORK": "none"})
        assert not done.complaint(), (done.complaint(), done)
        return done

    def refused(self, *words: str, status: int = 125, stdin: bytes = b"") -> str:
        """Run ``tinybox WORDS``, which must fail with *status* and one line; return that line."""
        done = self(*words, stdin=stdin)
        assert (done.status, done.stdout, done.stderr.count("\n")) == (status, "", 1), done
        return done.stderr

    def leftovers(self) -> list[str]:
        """Return what is in the temporary directory of the store: nothing, when no command runs."""
        return os.listdir(f"{self.root}/tmp")


@pytest.fixture(scope="module")
def store(store_root: Path) -> Iterator[Store]:
    """Make a store with the image busybox, which the tests of one file may damage."""
    root = f"{store_root}-hostile"
    assert Command(root)("pull", "busybox").returncode == 0
    yield Store(root)
    shutil.rmtree(root)


@pytest.fixture
def chance() -> random.Random:
    """Give a source of random numbers, whose seed is printed if the test fails."""
    seed = os.environ.get("TINYBOX_SEED") or (os.urandom(4).hex() if SOAK else "1")
    sys.stdout.write(f"TINYBOX_SEED={seed}\n")
    return random.Random(seed)  # noqa: S311  not secret, but repeatable
