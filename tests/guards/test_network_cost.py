"""A box on a bridge costs few milliseconds more than one without: what its processes execute, load and wait for.

Timing is noisy; the system calls of one run, as strace(1) records them, are not.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.slowness import SLOWNESS
from tests.support.strace import calls_of, strace
from tinybox.linux.sockets import nftables

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command
    from tests.support.strace import Call

pytestmark = pytest.mark.root
CALLS = "execve,openat,sendto,sendmsg,clone,clone3,fork,vfork,exit_group"
DELETION = "nlmsg_type=(0x11|RTM_DELLINK)"


def processes(tinybox: Command, folder: Path, *words: str) -> list[list[Call]]:
    """Run a command under strace, which waits for all processes; return the calls of each, the command's own first."""
    tracing = [strace(), "-ff", "-s", "99", "-e", f"trace={CALLS}", "-o", f"{folder}/calls"]
    subprocess.run([*tracing, tinybox.path, *words], env=tinybox.environment, check=True, timeout=60 * SLOWNESS)
    return [calls_of(path.read_text()) for path in sorted(folder.iterdir(), key=lambda path: int(path.suffix[1:]))]


@pytest.fixture(scope="module")
def seen(store_root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[Call]]:
    """Run one box on the bridge, and return the calls of its processes."""
    from tests.conftest import Command

    command = Command(store_root)
    command.environment["TINYBOX_NETWORK"] = "bridge"
    return processes(command, tmp_path_factory.mktemp("calls"), "run", "--rm", "busybox", "true")


def lines(calls: list[Call], pattern: str) -> list[str]:
    """Return the calls that *pattern* finds, as strace wrote them."""
    return [call.line for call in calls if re.search(pattern, call.line)]


def test_no_other_program_is_executed(seen: list[list[Call]]) -> None:
    """Only tinybox and the box's program: no nft, although libnftables is loaded, by the link maker and at the end."""
    executed = [line for calls in seen for line in lines(calls, r"^execve\(.* = 0$")]
    assert executed
    assert lines_without(executed, r'execve\("(/[^"]*/tinybox|/proc/self/fd/\d+|/bin/true)"') == []
    assert sum(bool(lines(calls, nftables.LIBRARY)) for calls in seen) == 2


def lines_without(found: list[str], pattern: str) -> list[str]:
    """Return the lines in which *pattern* finds nothing."""
    return [line for line in found if not re.search(pattern, line)]


def test_no_library_packs_the_messages(seen: list[list[Call]]) -> None:
    """No process opens a file of pyroute2; the control: the codec of the house is opened."""
    assert not [line for calls in seen for line in lines(calls, r"/pyroute2/")]
    assert [line for calls in seen for line in lines(calls, r"/link_requests\.")]


def test_the_command_does_not_wait_for_the_end_of_links(seen: list[list[Call]]) -> None:
    """Exactly one message deletes links, the bridge with all its ports; another process than the command sends it."""
    deletions = [lines(calls, DELETION) for calls in seen]
    assert deletions[0] == []
    assert sorted(map(len, deletions))[-2:] == [0, 1]
