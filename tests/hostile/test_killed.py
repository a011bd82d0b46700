"""kill -9 while a command adds or removes something: the next command, of whatever kind, leaves nothing of it."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.hostile.conftest import SOAK
from tests.support import strace
from tests.support.boxes import PATIENCE

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from tests.hostile.conftest import Store

pytestmark = pytest.mark.root
KNOWN = ("layers", "images", "names", "tmp", "networks", "volumes", "containers", "container-names", "cache")


@pytest.fixture(scope="module")
def archive(store: Store) -> Iterator[str]:
    """Make an archive of 300 files, a saved image, and a box at rest that has changed a file."""
    path = f"{store.root}/../{Path(store.root).name}.tar"
    with tarfile.open(path, "w") as tar:
        for number in range(300):
            info = tarfile.TarInfo(f"d{number % 7}/f{number}")
            info.size = 3000
            tar.addfile(info, io.BytesIO(bytes(3000)))
    assert store("run", "--name", "rest", "busybox", "sh", "-c", "echo changed >/file").status == 0
    for words in (["commit", "rest", "fresh:1"], ["save", "-o", f"{path}.saved", "fresh:1"], ["rmi", "fresh:1"]):
        assert store(*words).status == 0
    yield path
    store("rm", "rest")
    for name in (path, f"{path}.saved"):
        os.unlink(name)


def names(store: Store) -> dict[str, list[str]]:
    """Return the names in the directories of the store, without hidden ones."""
    return {name: sorted(os.listdir(f"{store.root}/{name}")) for name in KNOWN if os.path.isdir(f"{store.root}/{name}")}


def killed(store: Store, words: list[str], count: int) -> bool:
    """Run ``tinybox WORDS`` in a process that kills itself at its COUNT-th call; return whether it was killed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.command_faults", "cli", str(count), *words],
        env=Command(store.root).environment, cwd=Path(__file__).parents[2], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=PATIENCE * 2,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, -signal.SIGKILL), done
    return done.returncode == -signal.SIGKILL


WORDS = {
    "import": ["import", "ARCHIVE", "fresh:1"],
    "load": ["load", "-q", "-i", "ARCHIVE.saved"],
    "commit": ["commit", "rest", "fresh:1"],
    "tag": ["commit", "rest", "other:1"],
    "network create": ["network", "create", "fresh"],
    "rmi": ["rmi", "gone:1"],
    "save": ["save", "-o", "ARCHIVE.out", "busybox"],
}
NEXT = (["ps"], ["images"], ["volume", "ls"], ["inspect", "rest"], ["run", "--rm", "busybox", "true"], ["stop", "rest"])


@pytest.mark.parametrize("verb", WORDS)
def test_the_next_command_removes_what_a_killed_one_has_left(
    store: Store, archive: str, verb: str, chance: random.Random
) -> None:
    """A command that is killed at any call leaves its result whole, or, after any next command, nothing at all."""
    words = [word.replace("ARCHIVE", archive) for word in WORDS[verb]]
    before = names(store)
    is_long = verb in ("import", "load")  # a call for each file of the archive
    most, step = (1400, 9) if is_long else (60, 1)
    moments = range(1 + chance.randrange(step), 3000, step) if SOAK else sorted(chance.sample(range(1, most), 4))
    for count in moments:
        if verb == "rmi":
            store("commit", "rest", "gone:1")
        was_killed = killed(store, words, count)
        Command(store.root)(*chance.choice(NEXT))
        assert store.leftovers() == [], (verb, count)
        after = names(store)
        assert after.get("networks", []) in ([], ["fresh.json"])
        for name in ("fresh:1", "other:1", "gone:1"):
            if name in after["names"]:
                store("rmi", name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{archive}.out")
        if after.get("networks"):
            store("network", "rm", "fresh")
        folder = os.path.dirname(archive)
        assert [name for name in os.listdir(folder) if name.startswith(f"{Path(archive).name}.out")] == []
        assert {key: value for key, value in names(store).items() if value} == {
            key: value for key, value in before.items() if value
        }, (verb, count)
        if not was_killed:
            break


def test_an_import_that_is_killed_by_the_kernel_leaves_nothing_after_ps(store: Store, archive: str) -> None:
    """SIGKILL in the middle of an archive that comes through a pipe: its workspace is there, and `ps` removes it."""
    command = Command(store.root)
    with command.start("import", "-", "fresh:1", stdin=subprocess.PIPE) as process:
        assert process.stdin
        os.write(process.stdin.fileno(), Path(archive).read_bytes()[:60_000])
        while not store.leftovers():
            time.sleep(0.01)
        assert command("ps").returncode == 0
        assert len(store.leftovers()) == 1  # the control: a living owner keeps its workspace
        process.kill()
    assert len(store.leftovers()) == 1
    assert command("ps").returncode == 0
    assert store.leftovers() == []


def test_the_look_for_leftovers_is_one_system_call(store: Store) -> None:
    """`run` looks into ROOT/tmp by one stat(2); it opens the directory only if there is something in it."""
    program = f"from tinybox.images import tidying; tidying.tidy({store.root!r})"
    command = [strace.strace(), "-e", "trace=%file,getdents64", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert len([line for line in done.stderr.splitlines() if f"{store.root}/tmp" in line]) == 1
