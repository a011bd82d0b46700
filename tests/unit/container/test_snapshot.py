"""The facts of /proc about a process, while it runs and when it has ended."""

from __future__ import annotations

import os
import signal

from tinybox.seeing import snapshot


def test_an_ended_process_is_distinguished_from_a_running_one() -> None:
    """Of a zombie no namespace is taken, so the snapshot is not complete: no step has removed the rest."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        ended = snapshot.take(pid)
    finally:
        os.waitpid(pid, 0)
    assert ended["namespaces"] == {}
    assert not snapshot.is_complete(ended)
    assert snapshot.is_complete(snapshot.take(os.getpid()))


def test_a_process_that_ends_is_not_read() -> None:
    """A zombie has the flag; this process and one that sleeps have not, and a process that is gone counts as ended."""
    assert not snapshot.is_ending(os.getpid())
    child = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
    assert not snapshot.is_ending(child)
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert snapshot.is_ending(child)
    os.waitpid(child, 0)
    assert snapshot.is_ending(child)
