"""The facts of /proc about a process, while it runs and when it has ended."""

from __future__ import annotations

import os

from tinybox.seeing import snapshot


def test_an_ended_process_is_distinguished_from_a_running_one() -> None:
    """A zombie still has two namespaces, and no links: the missing ones were not removed by a step."""
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
