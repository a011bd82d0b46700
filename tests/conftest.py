"""What all tests share: the installed command, a store with images, and facts about this host."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support import no_trace
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester", "tests.support.privileged", "tests.support.own_network"]

IMAGES = ("busybox", "alpine")
PREPARED = "TINYBOX_TEST_STORE"  # a store that has the images already, for machines without a network
TIMEOUT = 120.0 * SLOWNESS


def pytest_configure() -> None:
    """Restore signals that a shell ignores for background jobs (SIGINT, SIGQUIT, SIGHUP); children would inherit it."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL),
                            (signal.SIGHUP, signal.SIG_DFL)):  # fmt: skip
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


class Host(NamedTuple):
    """Facts about this machine, for tests whose claim depends on them."""

    cgroups: str  # "v2" alone, "hybrid" (v1 controllers beside a v2 mount) or "v1"
    kernel: tuple[int, int]
    machine: str


class Started(subprocess.Popen[str]):
    """A command that a test has started: if the test fails in its ``with`` block, it is killed, not awaited."""

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind and self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        super().__exit__(kind, *rest)  # type: ignore[arg-type]


class Command:
    """The installed ``tinybox`` command: call it with its arguments; it ends in a bounded time."""

    def __init__(self, root: Path | str) -> None:
        self.path = str(Path(sys.executable).with_name("tinybox"))
        self.root = str(root)
        # A box gets no network unless the network is what the test is about: so it starts sooner.
        self.environment = {**os.environ, "TINYBOX_ROOT": self.root, "TINYBOX_NETWORK": "none"}

    def start(self, *words: str, **options: object) -> subprocess.Popen[str]:
        """Start ``tinybox WORDS`` in a process group of its own, with pipes, and return at once."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        settings = {"text": True, "process_group": 0, "env": self.environment, **pipes, **options}
        return Started([self.path, *words], **settings)  # type: ignore[call-overload,no-any-return]

    def __call__(self, *words: str, text: str = "", timeout: float = TIMEOUT) -> subprocess.CompletedProcess[str]:
        """Run ``tinybox WORDS`` with *text* as its input; after *timeout* seconds kill it and fail the test."""
        with self.start(*words, stdin=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(text, timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, err = process.communicate()
                pytest.fail(f"tinybox {' '.join(words)} took more than {timeout} s\n{out}\n{err}")
        return subprocess.CompletedProcess(["tinybox", *words], process.returncode, out, err)


def cgroup_mode() -> str:
    """Return the cgroup versions that this host uses, read from its mounts."""
    kinds = {line.partition(" - ")[2].split(" ")[0] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    if "cgroup" not in kinds:
        return "v2"
    return "hybrid" if "cgroup2" in kinds else "v1"


@pytest.fixture(scope="session")
def host() -> Host:
    """Read the facts about this machine once."""
    major, minor = platform.release().split(".")[:2]
    return Host(cgroup_mode(), (int(major), int("".join(filter(str.isdigit, minor)))), platform.machine())


@pytest.fixture(scope="session")
def store_root() -> Iterator[Path]:
    """Make one store for the whole session, with the images ready; its containers are watched for traces."""
    from tests.support import own_network

    prepared = os.environ.get(PREPARED)
    # Not /tmp: overlayfs refuses an upper directory that lies on another overlay, and on some machines /tmp is one.
    root = Path(prepared or tempfile.mkdtemp(prefix="tinybox-test-", dir="/var/tmp"))
    root.chmod(0o755)
    no_trace.STATE.extend(f"{root}/{name}" for name in ("run", "containers", "container-names", "networks", "tmp"))
    command = Command(root)
    for name in IMAGES:
        if not command("images", "-q", name).stdout.strip():
            with own_network.of_the_machine():
                done = command("pull", name, timeout=300 * SLOWNESS)
            assert done.returncode == 0, f"tinybox pull {name}: {done.stderr}"
    yield root
    if not prepared:
        shutil.rmtree(root)


@pytest.fixture
def tinybox(store_root: Path) -> Command:
    """Give the installed command, with the store of this session."""
    return Command(store_root)
