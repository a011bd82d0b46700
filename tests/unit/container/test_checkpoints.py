"""The parts of checkpoints that need no criu: its protocol, the errors of its log, what leads out of a container."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
from typing import TYPE_CHECKING

import pytest

from tinybox.container.checkpoints import criu, messages, outside
from tinybox.errors import HostError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_request_is_encoded_as_protocol_buffers_have_it() -> None:
    """The bytes are those of protoc: keys, numbers in groups of seven bits, lengths; a list is a repeated field."""
    sent = messages.request(messages.DUMP, {"pid": 300, "leave_running": True, "external": [b"mnt[/a]:/a", b"x"]})
    options = b"\x10\xac\x02\x18\x01\xaa\x02\x0amnt[/a]:/a\xaa\x02\x01x"
    assert sent == b"\x08\x01\x12" + bytes([len(options)]) + options
    assert messages.request(messages.VERSION) == b"\x08\x0a"
    assert messages.agreement() == b"\x08\x06\x18\x01"
    assert messages.inherited("k", 5) == b"\x0a\x01k\x10\x05"


def test_an_answer_is_decoded() -> None:
    """Numbers and bytes by the numbers of their fields; the inner message is bytes."""
    assert messages.decode(b"\x08\x06\x10\x01\x2a\x03\x10\xac\x02") == {1: 6, 2: 1, 5: b"\x10\xac\x02"}


def test_no_bytes_break_the_decoder() -> None:
    """Whatever comes, it is decoded or refused with a HostError; the control: some of it is refused."""
    draw, refused = random.Random(1), 0  # noqa: S311  the same bytes each time
    for _ in range(2000):
        try:
            messages.decode(draw.randbytes(draw.randrange(12)))
        except HostError:
            refused += 1
    assert 0 < refused < 2000
    with contextlib.suppress(HostError):
        messages.decode(b"\x80" * 100)


def test_the_cause_is_taken_from_the_log() -> None:
    """Each error once, without its time; general ones and control characters are left out; other lines are none."""
    log = (
        "(00.01) Dumping\n(00.02) Error (criu/a.c:1): cannot \x1b[2J it\n(00.03)      12: Error (criu/b.c:2): so\n"
        "(00.03) Error (criu/a.c:1): cannot \x1b[2J it\n"
        "(00.04) Error (criu/c.c:3): Dump files (pid: 1) failed with -1\n"
        "(00.05) Error (criu/d.c:4): Dumping FAILED.\n"
    )
    assert criu.errors_in(log) == ["cannot ?[2J it [criu/a.c:1]", "so [criu/b.c:2]"]


@pytest.mark.parametrize(
    ("point", "made_again"),
    [("/data", True), ("/data/below", True), ("/database", False), ("/dev/shm", False), ("/sys/fs/cgroup/cpu", True)],
)
def test_bind_mounts_and_control_groups_are_made_again(point: str, made_again: bool) -> None:
    """So are the mounts below them; tmpfs and its like are criu's, and a longer destination wins."""
    entries = [
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []},
        {"destination": "/sys/fs/cgroup/", "type": "cgroup", "source": "cgroup", "options": ["ro"]},
        {"destination": "/data", "type": "none", "source": "/srv", "options": ["rbind"]},
    ]
    assert outside.is_made_again(outside.entry_of(entries, point)) == made_again  # type: ignore[arg-type]


def test_shared_memory_is_no_file_of_the_host(tmp_path: Path) -> None:
    """Criu dumps shared memory itself, so it is not opened again by a path. Control: a file that has a name is."""
    with (tmp_path / "named").open("w") as named, mmap.mmap(-1, mmap.PAGESIZE):
        memory = os.memfd_create("shared")
        found = [file.path for file in outside.external_files([os.getpid()], []).values()]
        os.close(memory)
        assert named.name in found
    assert not [path for path in found if path.startswith(("/memfd:", "/dev/zero"))]
