"""What /proc shows of a process, while it lives and when it has ended."""

from __future__ import annotations

import os

from tinybox.seeing import snapshot


def test_one_that_has_ended_is_told_from_one_that_lives() -> None:
    """A zombie still has two namespaces, and no links: what is missing then was not taken away by a step."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        ended = snapshot.take(pid)
    finally:
        os.waitpid(pid, 0)
    assert ended["namespaces"]
    assert not snapshot.is_complete(ended)
    assert snapshot.is_complete(snapshot.take(os.getpid()))
