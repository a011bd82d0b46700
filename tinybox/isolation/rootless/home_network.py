"""The network of a home: one network namespace with all bridges of a user without root, and a way out of it.

Such a user may make bridges, links and firewall rules only in a network namespace of the home. slirp4netns(1) connects
that namespace with the host's network: it reads packets from a TAP device and sends their content by its own sockets,
for which no rights are needed; and it accepts connections to published ports of the host. Where it is not installed,
pasta(1) does so, see home_pasta.py.

The owners of boxes on a bridge enter the namespace, and are found there by a second lock on RUN/.home, as the home is.
Each also holds the fifo RUN/.network open for writing: the program ends when the last of them has ended.
"""

from __future__ import annotations

import _socket
import errno
import os

from tinybox.errors import HostError
from tinybox.isolation import namespaces
from tinybox.isolation.rootless import home
from tinybox.linux import process, user_namespaces
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files
from tinybox.linux.filesystem.locks import Lock
from tinybox.linux.filesystem.unnamed import open_unnamed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GUEST = "10.0.2.100"  # the address of the TAP device, see slirp4netns(1)
FIFO, SOCKET = ".network", ".network.sock"  # in the run directory
_PROGRAMS = [
    f"{folder}/{name}" for name in ("slirp4netns", "pasta") for folder in ("/usr/bin", "/usr/local/bin", "/bin")
]
_OPTIONS = ("--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path", f"--api-socket={SOCKET}")
_ANSWER_MAX = 1 << 16
_users = -1  # the fifo: this process is in the network, as long as it is open


def program() -> str:
    """Return the path of slirp4netns(1), else of pasta(1); "" if neither is installed."""
    return next((path for path in _PROGRAMS if os.access(path, os.X_OK)), "")


def enter(folder: str) -> None:
    """Enter the network namespace of the home, or make it with its way out; see network_namespaces(7).

    *folder* is the run directory. HostError: no program for the way out is installed, or it does not start.
    """
    if _users >= 0:
        return
    with Lock(os.path.join(folder, f"{home.FILE}.lock")):
        if not _join(folder):
            _make(folder)
        user_namespaces.hold_home(user_namespaces.NETWORK)


def is_entered() -> bool:
    """Return whether this process is in the network namespace of the home."""
    return _users >= 0


def join(folder: str) -> bool:
    """Enter the network namespace of the home, if a box is in it; else return False."""
    if _users >= 0:
        return True
    with Lock(os.path.join(folder, f"{home.FILE}.lock")):
        if not _join(folder):
            return False
        user_namespaces.hold_home(user_namespaces.NETWORK)
        return True


def _join(folder: str) -> bool:
    """Join the namespace of a living user of the network; the fifo is opened first, so that the way out stays."""
    global _users  # noqa: PLW0603  one process is in one network
    while (pid := home.holder(user_namespaces.home, user_namespaces.NETWORK)) > 0:
        writer = _open_fifo(folder)
        if home.join(user_namespaces.home, user_namespaces.NETWORK, pid, process.CLONE_NEWNET):
            if writer < 0:
                cause = "its slirp4netns or pasta has been killed, so there is no way out"
                raise HostError("network of the home", cause, "stop the boxes on bridges, then start them again")
            _users = writer
            return True
        if writer >= 0:
            os.close(writer)
    return False


def _open_fifo(folder: str) -> int:
    """Open the fifo for writing; -1 if the program that reads it has ended; see ENXIO in open(2)."""
    try:
        return os.open(os.path.join(folder, FIFO), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ENOENT):
            raise
        return -1


def _make(folder: str) -> None:
    """Move to a new network namespace, and start the way out of it, which runs in the host's: so it is forked before.

    See network_namespaces(7), slirp4netns(1), pasta(1).
    """
    global _users  # noqa: PLW0603
    path = program()
    if not path:
        cause = "a user without root needs slirp4netns or pasta for a network with a way out"
        raise HostError("network", cause, "apt install slirp4netns, or --network none or host")
    files.remove_tree(f"{folder}-networks")  # the records of a former network: no box is on its bridges
    files.discard(os.path.join(folder, SOCKET))
    files.discard(os.path.join(folder, FIFO))
    os.mkfifo(os.path.join(folder, FIFO), 0o600)
    reader = os.open(os.path.join(folder, FIFO), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    log = open_unnamed(folder)
    (gate, go), (ready, done) = os.pipe(), os.pipe()
    owner, middle = os.getpid(), os.fork()
    if middle == 0:
        os.close(go)
        if os.fork():
            os._exit(0)
        _become(path, folder, owner, gate, done, reader, log)
    os.waitpid(middle, 0)
    _users = _open_fifo(folder)
    for fd in (reader, gate, done):
        os.close(fd)
    process.unshare(process.CLONE_NEWNET)
    namespaces.loopback_up()
    os.write(go, b"g")
    os.close(go)
    is_ready = os.read(ready, 1)
    os.close(ready)
    try:
        if not is_ready:
            raise _failure(os.path.basename(path), log)
    finally:
        os.close(log)


def _become(path: str, folder: str, owner: int, gate: int, done: int, reader: int, log: int) -> None:
    """Wait until the process *owner* has its network namespace, and become its way out; see execve(2)."""
    try:
        os.setsid()
        if os.read(gate, 1):
            os.chdir(folder)  # a path of a socket has at most 107 bytes; see unix(7)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            os.dup2(log, 2)
            if os.path.basename(path) == "pasta":
                from tinybox.isolation.rootless import home_pasta

                home_pasta.become(path, folder, owner, GUEST, done, reader)
                return
            for fd in (done, reader):
                os.set_inheritable(fd, True)
            words = [path, *_OPTIONS, f"--ready-fd={done}", f"--exit-fd={reader}", f"/proc/{owner}/ns/net", "tap0"]
            os.execve(path, words, {})
    finally:
        os._exit(1)


def _failure(program: str, log: int) -> HostError:
    with open(f"/proc/self/fd/{log}", encoding="utf-8", errors="replace") as file:
        said = "; ".join(file.read(4096).strip().splitlines()) or "it has ended"
    cure = "chmod 666 /dev/net/tun, as udev(7) sets it" if "/dev/net/tun" in said else "or --network none or host"
    return HostError(program, said, cure)


def publish(folder: str, protocol: str, address: str, number: int) -> None:
    """Let the way out pass connections to port *number* of the host on to this namespace; see its add_hostfwd.

    OSError EADDRINUSE: the host has no such port free for this user.
    """
    if ":" in address:
        raise OSError(errno.EADDRNOTAVAIL, "without root, ports are published at IPv4 addresses only")
    forward = {"proto": protocol, "host_addr": address or "0.0.0.0", "host_port": number}  # noqa: S104  docker's -p
    answer = _ask(folder, "add_hostfwd", {**forward, "guest_addr": GUEST, "guest_port": number})
    if "error" in answer:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def withdraw(folder: str, protocol: str, number: int) -> None:
    """Undo `publish`; a port that is not published, or a program that has ended, is no error."""
    try:
        for entry in _ask(folder, "list_hostfwd", {}).get("entries", ()):
            if (entry.get("proto"), entry.get("host_port")) == (protocol, number):
                _ask(folder, "remove_hostfwd", {"id": entry["id"]})
    except OSError:
        return


def _ask(folder: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Send one request to slirp4netns or the forwarder, and return its answer; see "API SOCKET" in slirp4netns(1)."""
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    asking = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        asking.connect(f"/proc/self/fd/{place}/{SOCKET}")
        asking.send(json.dumps({"execute": name, "arguments": arguments}).encode())
        asking.shutdown(_socket.SHUT_WR)
        heard = b""
        while piece := asking.recv(_ANSWER_MAX):
            heard += piece
        answer: dict[str, Any] = json.loads(heard.decode())
        return answer
    finally:
        asking.close()
        os.close(place)
