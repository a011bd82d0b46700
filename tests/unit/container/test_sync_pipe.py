"""The sync pipes: parent and child wait for each other, and never for a dead process: four messages over two pipes."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from tinybox.container.process import sync_pipe
from tinybox.errors import NotExecutableError, NotFoundError, StepError, TinyboxError, UsageError
from tinybox.linux.filesystem import descriptors

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def talk() -> sync_pipe.SyncPipes:
    """Give sync pipes with both sides in this process."""
    return sync_pipe.SyncPipes()


def test_messages_arrive_in_order(talk: sync_pipe.SyncPipes) -> None:
    """The parent receives the child's messages one by one; at the end of the pipe there is no message."""
    talk.send(sync_pipe.READY, b"7")
    assert talk.receive() == [b"ready", b"7"]
    os.close(talk.report)
    talk.report = -1
    assert talk.receive() == []
    talk.close()


def test_the_end_of_the_sender_ends_the_wait(talk: sync_pipe.SyncPipes) -> None:
    """Although this process has the other end of the pipe, too; what the sender has sent before its end is received."""
    for sent in ([sync_pipe.BORN, b"7"], []):
        child = os.fork()
        if child == 0:
            talk.send(*sent) if sent else None
            os._exit(0)
        pidfd = os.pidfd_open(child)
        assert talk.receive(pidfd) == sent
        os.waitpid(child, 0)
        assert talk.receive(pidfd) == []
        os.close(pidfd)
    talk.close()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotFoundError('exec "x"', "not found"), NotFoundError),
        (NotExecutableError('exec "x"', "no"), NotExecutableError),
        (UsageError("thing", "cause\nin two lines", "cure"), StepError),
        (ValueError("a bug"), StepError),
    ],
)
def test_an_error_crosses_the_pipe(talk: sync_pipe.SyncPipes, error: Exception, kind: type[TinyboxError]) -> None:
    """The child's error is raised in the parent with its status, thing, cause and cure, on one line."""
    talk.send_error(error)
    with pytest.raises(kind) as caught:
        talk.receive()
    assert "\n" not in str(caught.value)
    if isinstance(error, TinyboxError):
        assert caught.value.status == error.status
        assert caught.value.thing == error.thing
    talk.close()


@pytest.mark.parametrize(
    ("number", "lacking", "status", "line"),
    [
        (errno.ENOENT, "", 127, "no such file or directory (its interpreter is missing)"),
        (errno.ENOENT, "/bin/perl", 127, "no such file or directory (its interpreter /bin/perl is missing)"),
        (errno.ENOENT, "/bin/sh\r", 127, "/bin/sh\\r is missing: the lines of the script end with CRLF; dos2unix"),
        (errno.ENOENT, "/lib/ld-x.so", 127, "the image does not have the C library of this program"),
        (errno.EACCES, "/etc/passwd", 126, "permission denied (its interpreter is /etc/passwd)"),
        (errno.EACCES, "", 126, "permission denied"),
        (errno.ELOOP, "", 126, "its interpreter is a script, too"),
    ],
)
def test_a_refused_program_names_its_interpreter(
    talk: sync_pipe.SyncPipes, number: int, lacking: str, status: int, line: str
) -> None:
    """The interpreter is announced before execve(2), whose errno completes the message; a step's error replaces it."""
    talk.announce("/x", lacking)
    talk.refuse(number)
    with pytest.raises(TinyboxError) as caught:
        talk.receive()
    assert (caught.value.status, str(caught.value).startswith('exec "/x": ')) == (status, True)
    assert line in str(caught.value)
    talk.announce("/x", lacking)
    talk.send_error(UsageError("thing", "cause"))
    with pytest.raises(StepError, match=r"^thing: cause$"):
        talk.receive()
    talk.close()


def test_a_child_whose_parent_is_gone_ends(talk: sync_pipe.SyncPipes) -> None:
    """At the end of the gate pipe the child exits with 1; with the message, it goes on."""
    for word, status in ((b"go", 7), (None, 1)):
        again = sync_pipe.SyncPipes()
        pid = os.fork()
        if pid == 0:
            descriptors.close_all_but([again.gate])
            again.wait(sync_pipe.GO)
            os._exit(7)
        if word:
            again.open_gate(word)
        again.close()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status
    talk.close()


def test_a_named_gate_can_be_opened_by_another_process(tmp_path: Path) -> None:
    """Another process than the parent sends the message, and reads the report; if no child waits, it is refused."""
    with pytest.raises(ProcessLookupError):
        sync_pipe.ReopenedSyncPipes(str(tmp_path))
    talk = sync_pipe.SyncPipes(str(tmp_path))
    pid = os.fork()
    if pid == 0:
        talk.wait(sync_pipe.START)
        os._exit(7)
    talk.close()  # the process that made the child is gone, and a named gate has no end of file
    visit = sync_pipe.ReopenedSyncPipes(str(tmp_path))
    visit.open_gate(sync_pipe.START)
    assert visit.receive() == []
    visit.close()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    with pytest.raises(ProcessLookupError):
        sync_pipe.ReopenedSyncPipes(str(tmp_path))
