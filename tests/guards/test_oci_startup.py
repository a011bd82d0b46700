"""An engine starts the OCI runtime once for each verb: so each verb loads few modules and makes few system calls.

One container lives while Python reports the modules of each command (PYTHONPROFILEIMPORTTIME), and another one while
strace(1) reports the calls. Neither depends on how busy the machine is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.guards.plain_run import loaded
from tests.guards.test_startup import NEVER_IN_RUN, unwanted
from tests.support import strace
from tests.support.engine_directories import RUNTIME
from tests.support.oci_runtimes import TIMEOUT, Runtime
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

LIFE = ("create", "state", "start", "exec", "kill", "delete")  # in this order
MORE = {"create": ["box"], "exec": ["box", "true"], "kill": ["box", "KILL"]}
# The most modules of tinybox that a verb may load, packages among them, and the most system calls that its command may
# make, without those of its children and of a bare interpreter, on a host with both versions of control groups.
MODULES = {"create": 98, "state": 24, "start": 28, "exec": 90, "kill": 26, "delete": 31}
CALLS = {"create": 1000, "state": 330, "start": 360, "exec": 970, "kill": 350, "delete": 390}
# What a verb that makes no process does without: ctypes, and so each module that calls the kernel by it; cost in ms
LIGHT = ("state", "start", "kill", "delete")
NEVER_IN_LIGHT = NEVER_IN_RUN | {
    "collections": 2,
    "contextlib": 2,
    "ctypes": 3,
    "functools": 1,
    "tinybox.container.config": 2,
    "tinybox.container.planning": 5,
    "tinybox.container.records": 1,
    "tinybox.linux.filesystem.files": 1,
}


class Life:
    """What each verb of one container's life has loaded, and how many calls it has made in another one."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.bare = self._count([sys.executable, "-c", "pass"])
        self.modules = {verb: self._modules(verb) for verb in LIFE}
        self.calls = {verb: self._calls(verb) for verb in LIFE}

    def _words(self, verb: str) -> list[str]:
        bundle = ["--bundle", str(self.runtime.bundle)] if verb == "create" else []
        return ["--root", str(self.runtime.root), verb, *bundle, *MORE.get(verb, ["box"])]

    def _modules(self, verb: str) -> set[str]:
        done = self.runtime.through([], self._words(verb), env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"})
        assert done.returncode == 0, done.stderr
        self._end_of(verb)
        return loaded(done.stderr)

    def _calls(self, verb: str) -> int:
        calls = self._count([RUNTIME, *self._words(verb)])
        self._end_of(verb)
        return calls - self.bare

    def _count(self, words: list[str]) -> int:
        log = self.runtime.folder / "calls"
        null, command = subprocess.DEVNULL, [strace.strace(), "-qq", "-o", str(log), *words]
        subprocess.run(command, check=True, stdin=null, stdout=null, stderr=null, timeout=TIMEOUT)
        return len(strace.calls_of(log.read_text()))

    def _end_of(self, verb: str) -> None:
        if verb == "kill":
            self.runtime.until("box", "stopped")


@pytest.fixture(scope="module")
def life(store_root: Path) -> Iterator[Life]:
    """Let a container live under Python's report, and another one under strace."""
    folder = Path(tempfile.mkdtemp(prefix="tinybox-oci-", dir="/var/tmp"))
    runtime = Runtime(folder, Store(str(store_root)).image("busybox").layers)
    try:
        yield Life(runtime)
    finally:
        runtime.close()
        shutil.rmtree(folder)


def own(modules: set[str]) -> set[str]:
    """Choose tinybox's own modules."""
    return {name for name in modules if name.partition(".")[0] == "tinybox"}


@pytest.mark.parametrize("verb", LIFE)
def test_a_verb_loads_few_modules(life: Life, verb: str) -> None:
    """Each verb loads its own file and what it uses; the control: its own file is among them."""
    modules = own(life.modules[verb])
    assert {"tinybox.oci.command_line", "tinybox.oci.record"} <= modules
    assert len(modules) <= MODULES[verb], sorted(modules)


@pytest.mark.parametrize("verb", LIGHT)
def test_a_light_verb_loads_no_part_of_the_engine(life: Life, verb: str) -> None:
    """state, start, kill and delete do without ctypes, and so without each module that makes a container."""
    assert not unwanted(life.modules[verb], NEVER_IN_LIGHT)
    assert unwanted(life.modules["create"], NEVER_IN_LIGHT)  # the control: the list is really read


@pytest.mark.parametrize("verb", LIFE)
def test_a_verb_makes_few_calls(life: Life, verb: str) -> None:
    """The calls of the command, without those of a bare interpreter; the control: they are counted."""
    assert 100 < life.calls[verb] <= CALLS[verb]
