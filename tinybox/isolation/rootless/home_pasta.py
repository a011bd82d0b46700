"""pasta(1) as the way out of a home's network, where slirp4netns(1) is not installed.

pasta opens no further port while it runs. So two processes of tinybox stand beside it:

- the binder stays in the host's network; it binds the sockets of published ports, and starts the other two;
- the forwarder is in the home's network; it gets these sockets, and copies what arrives: see port_forwarder.py.

The binder ends when the last user of the network has closed the fifo RUN/.network, or when one of the other two has
ended. The kernel then ends the others: see PR_SET_PDEATHSIG(2const).
"""

from __future__ import annotations

import os
import select
import signal
import socket

from tinybox.isolation import mounts
from tinybox.isolation.rootless import port_forwarder
from tinybox.linux import mount, process
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import descriptors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

TAP, DNS = "tap0", "10.0.2.3"  # as slirp4netns(1) has them
NAMESPACE = ".network.ns"  # in the run directory: a file on which the binder mounts the namespace, for pasta alone
# No traffic from the home's loopback to the host's, in either direction; no IPv6, as with slirp4netns.
_OPTIONS = (
    *("--foreground", "--quiet", "--config-net", "--no-map-gw", "--ipv4-only", "--ns-ifname", TAP, "--mtu", "65520"),
    *("--netmask", "24", "--gateway", "10.0.2.2", "--dns-forward", DNS),
    *("--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none"),
)
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_QUEUE = 128  # connections that wait for accept(2)


def become(program: str, folder: str, owner: int, guest: str, done: int, reader: int) -> None:
    """Be the binder of the network namespace of process *owner*, whose address is *guest*; return when it ends.

    *folder* is the run directory, *reader* its fifo. The forwarder writes a byte to *done* when pasta is ready. This
    process is in the host's network, and has the log as its stderr; see pasta(1), setns(2).
    """
    descriptors.close_all_but((done, reader))  # locks and pipes of the command, which ends before the binder
    namespace = os.open(f"/proc/{owner}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    path = _mounted(namespace, folder)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process.set_name(b"tinybox:binder")
    start(lambda: port_forwarder.serve(namespace, theirs, done))
    for fd in (done, theirs.detach(), namespace):
        os.close(fd)
    words = [program, *_OPTIONS, "--address", guest, "--netns", path]
    pasta = os.pidfd_open(start(lambda: os.execve(program, words, {})))
    serve(ours, pasta, reader)


def start(act: Callable[[], object]) -> int:
    """Start a process that calls *act*, and dies with this one; return its pid; see PR_SET_PDEATHSIG(2const)."""
    parent, pid = os.getpid(), os.fork()
    if pid:
        return pid
    try:
        process.set_parent_death_signal(signal.SIGKILL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and pasta then refuses to start
        if os.getppid() == parent:
            act()
    except OSError as error:
        os.write(2, f"{error}\n".encode())
    finally:
        os._exit(1)


def _mounted(namespace: int, folder: str) -> str:
    """Mount the *namespace* on a file, which only this process and its children see; return its path.

    pasta gives up the right to open /proc/PID/ns/net; see open_tree(2) and ptrace(2).
    """
    path = os.path.join(folder, NAMESPACE)
    process.unshare(process.CLONE_NEWNS)
    mounts.make_private()
    target = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    mount.move_mount(mount.open_tree(namespace, b"", 0), target)
    return path


def serve(ours: socket.socket, pasta: int, reader: int) -> None:
    """Bind sockets for the forwarder, until a process has ended or the fifo has no writer; see poll(2)."""
    poll = select.poll()
    for fd in (ours.fileno(), pasta, reader):
        poll.register(fd, select.POLLIN)
    while [fd for fd, _ in poll.poll()] == [ours.fileno()]:
        asked = ours.recv(4096)
        if not asked:
            return
        try:
            with _bound(**json.loads(asked.decode())) as made:
                socket.send_fds(ours, [b"ok"], [made.fileno()])
        except OSError as error:
            ours.send(os.strerror(error.errno or 0).encode())


def _bound(proto: str, host_addr: str, host_port: int) -> socket.socket:
    """Return a socket of the host's network that is bound to a port; OSError: the port is in use, or not permitted."""
    made = socket.socket(socket.AF_INET, _KINDS[proto] | socket.SOCK_CLOEXEC)
    try:
        if proto == "tcp":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host_addr, host_port))
        if proto == "tcp":
            made.listen(_QUEUE)
    except OSError:
        made.close()
        raise
    return made
