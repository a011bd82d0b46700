"""Level 8: connect the box to the host by a veth pair, a cable between two network namespaces.

usage: 08-network.py ROOT BOX PROGRAM [ARGUMENT...]
"""

import os
import signal
import socket
import subprocess
import sys
import warnings  # noqa: F401  os.execvp imports it, and in the new root there are no files of Python

from tinybox.linux import mount, process

MS_REC = 0x4000  # linux/mount.h: also all mounts below


def own_mounts(root: str, box: str) -> str:
    """In the child: mount the box's files and a /proc; return the new root."""
    mount.mount(b"", b"/", b"", MS_REC | mount.MS_PRIVATE, b"")
    for name in ("upper", "work", "merged"):
        os.makedirs(f"{box}/{name}", exist_ok=True)
    merged = f"{box}/merged"
    options = f"lowerdir={root},upperdir={box}/upper,workdir={box}/work"
    mount.mount(b"overlay", os.fsencode(merged), b"overlay", 0, os.fsencode(options))
    mount.mount(b"proc", os.fsencode(merged) + b"/proc", b"proc", 0, b"")
    return merged


def change_root(root: str) -> None:
    """In the child: make *root* the root of the mount namespace, and give up the old one."""
    os.chdir(root)
    mount.pivot_root(b".", b".")
    mount.umount2(b".", mount.MNT_DETACH)
    os.chdir("/")


def own_name(name: str) -> None:
    """In the child: set the box's host name."""
    socket.sethostname(name)


def become(program: list[str]) -> None:
    """In the child: become the program. This function does not return."""
    try:
        os.execvp(program[0], program)
    except OSError as error:
        print(f"{program[0]}: {error.strerror}", file=sys.stderr)
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def shell_status(status: int) -> int:
    """Turn the word of wait(2) into the status that a shell shows."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def ip(*words: str) -> None:
    """Run ip(8) with these words."""
    subprocess.run(["ip", *words], check=True)


def plug(child: int) -> None:
    """In the parent, on the host: make the cable, whose ends are box0 here and eth0 in the box."""
    # YOURS 2: make the pair box0 and eth0, with eth0 in the network namespace of the process child; see ip-link(8)
    ip("link", "add", "box0", "type", "veth", "peer", "name", "eth0", "netns", str(child))
    # END
    # YOURS 3: give box0 the address 10.99.0.1/24, and set it up; see ip-address(8)
    ip("address", "add", "10.99.0.1/24", "dev", "box0")
    ip("link", "set", "box0", "up")
    # END


def configure() -> None:
    """In the child, in the box: configure its end of the cable."""
    # YOURS 4: give eth0 the address 10.99.0.2/24, set eth0 and lo up; the default route leads via 10.99.0.1
    ip("address", "add", "10.99.0.2/24", "dev", "eth0")
    ip("link", "set", "eth0", "up")
    ip("link", "set", "lo", "up")
    ip("route", "add", "default", "via", "10.99.0.1")
    # END


def init(program: list[str]) -> int:
    """As PID 1: run the program as a child, and end when it has ended, with its status."""
    child = os.fork()
    if child == 0:
        become(program)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        ended, status = os.wait()
        if ended == child:
            return shell_status(status)


def main() -> int:
    """Run the program in a box, wait for its end, and return its status."""
    root, box, *program = sys.argv[1:]
    gate, opener = os.pipe()
    # YOURS 1: make the child as before, but also in a new network namespace; see network_namespaces(7)
    new = process.CLONE_NEWNS | process.CLONE_NEWUTS | process.CLONE_NEWPID | process.CLONE_NEWNET
    child, _ = process.clone3(new)
    # END
    if child == 0:
        os.close(opener)
        if not os.read(gate, 1):  # wait for the cable; end of file: the parent has failed
            os._exit(1)
        configure()
        own_name(os.path.basename(box))
        change_root(own_mounts(root, box))
        os._exit(init(program))
    plug(child)
    os.write(opener, b"!")
    _, status = os.waitpid(child, 0)
    # The kernel removes the cable with the namespace, a moment later; the next box uses the same name.
    subprocess.run(["ip", "link", "delete", "box0"], check=False, stderr=subprocess.DEVNULL)
    return shell_status(status)


if __name__ == "__main__":
    sys.exit(main())
