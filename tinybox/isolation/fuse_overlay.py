"""An overlay that the program fuse-overlayfs(1) serves, for a store in which the kernel refuses one of its own.

tinybox opens /dev/fuse and makes the mount, detached, in its own user namespace; then it starts the program, which gets
the open device and answers the kernel's requests: libfuse takes ``/dev/fd/3`` for a mount that exists already. See
fuse(4) and the kernel's documentation of FUSE.

The program lives as long as the mount: when the last mount namespace that has it ends, also by SIGKILL, the kernel ends
the connection, and the program ends. It runs in a mount namespace of its own, made before the mount has a place: in a
namespace that has the mount, each would keep the other. It is no process of the box: the box does not see it.
"""

from __future__ import annotations

import os
import signal
import time

from tinybox.errors import HostError
from tinybox.isolation import rootfs
from tinybox.isolation.mounts import Options, new_filesystem
from tinybox.linux import process, waiting
from tinybox.linux.filesystem import descriptors
from tinybox.linux.filesystem.overlay_refusal import FUSE, PROGRAM, fuse_missing, fuse_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_PATIENCE = 10.0  # seconds from the end of the mount to that of the program
_FUSE_FD = 3  # of the open device, in the program
_WORDS_MAX = 1 << 12  # bytes of what the program says before it fails


class Server:
    """The process that serves one overlay."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def wait(self) -> None:
        """Wait until the process has ended, after its mount has; see waitpid(2). After ten seconds kill it."""
        if self._pid > 0 and not waiting.until(self._is_gone, time.monotonic() + _PATIENCE, 0.001):
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        self._pid = 0

    def _is_gone(self) -> bool:
        return os.waitpid(self._pid, os.WNOHANG)[0] == self._pid


def serve(layers: Sequence[str], upper: str, work: str, *, volatile: bool = False) -> tuple[int, Server]:
    """Make the overlay of *layers*, bottom first, and *upper*; return an fd of its detached mount, and its server.

    HostError: the program or the device is missing, or the program fails.
    """
    cause, cure = fuse_missing()
    if cause:
        raise refused(cause, cure)
    device = os.open(FUSE, os.O_RDWR | os.O_CLOEXEC)
    log = os.memfd_create(PROGRAM)
    try:
        options = [f"fd={device}", "rootmode=40000", "user_id=0", "group_id=0", "default_permissions", "allow_other"]
        tree = new_filesystem(b"fuse", PROGRAM.encode(), Options(options))
        pid = os.fork()
        if pid == 0:
            _become_server(layers, upper, work, device, log, volatile=volatile)
        os.close(device)
        device = -1
        server = Server(pid)
        try:
            os.fstat(tree)  # the kernel asks the program, and answers when it is ready
        except OSError as error:
            os.close(tree)
            server.wait()
            raise HostError(PROGRAM, _said(log) or str(error)) from error
        return tree, server
    finally:
        os.close(log)
        if device >= 0:
            os.close(device)


def mount(layers: Sequence[str], upper: str, work: str, target: str) -> None:
    """Mount such an overlay on *target*, in the mount namespace of this process, which ends with the process."""
    tree, _ = serve(layers, upper, work)
    rootfs.place_over(tree, target)


def refused(cause: str, cure: str) -> HostError:
    """Return the error about a store in which neither the kernel nor fuse-overlayfs can make an overlay."""
    where = "or put the store on ext4, xfs, btrfs or tmpfs: --root DIR or TINYBOX_ROOT"
    return HostError("overlay", f"the file system of the store refuses it, and {cause}", f"{cure}; {where}")


def _become_server(layers: Sequence[str], upper: str, work: str, device: int, log: int, *, volatile: bool) -> NoReturn:
    """Become the program; see execve(2). Ctrl-C in a terminal does not reach it: it is in a session of its own."""
    try:
        os.setsid()
        process.unshare(process.CLONE_NEWNS)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        null = os.open(os.devnull, os.O_RDWR)
        for fd, number in ((null, 0), (null, 1), (log, 2), (device, _FUSE_FD)):
            os.dup2(fd, number)
        os.set_inheritable(_FUSE_FD, True)  # dup2(2) leaves it as it is if it has this number already
        descriptors.close_all_but([_FUSE_FD])
        words = [fuse_program(), "-f", "-o", _options(layers, upper, work, volatile=volatile), f"/dev/fd/{_FUSE_FD}"]
        os.execve(words[0], words, {})
    finally:
        os._exit(1)


def _options(layers: Sequence[str], upper: str, work: str, *, volatile: bool) -> str:
    """Return the program's options, and enter the directory to which their paths are relative; see chdir(2).

    Below a store no name has a comma or a colon, which the program would take for the end of a path.
    """
    common = os.path.commonpath([os.path.dirname(place) for place in (*layers, upper, work)])
    os.chdir(common)
    upper, work, *lower = (os.path.relpath(place, common) for place in (upper, work, *reversed(layers)))
    options = f"lowerdir={':'.join(lower)},upperdir={upper},workdir={work}"
    return options + ",volatile" * volatile


def _said(log: int) -> str:
    lines = os.pread(log, _WORDS_MAX, 0).decode(errors="replace").strip().splitlines()
    return "; ".join(lines)
