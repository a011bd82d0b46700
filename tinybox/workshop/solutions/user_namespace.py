"""Level 11: make the box without root, in a user namespace.

usage: 11-user-namespace.py ROOT BOX PROGRAM [ARGUMENT...]
"""

import os
import signal
import socket
import sys
import warnings  # noqa: F401  os.execvp imports it, and in the new root there are no files of Python
from pathlib import Path

from tinybox.linux import mount, process

MS_REC = 0x4000  # linux/mount.h: also all mounts below


def own_mounts(root: str, box: str) -> str:
    """In the child: mount the box's files and a /proc; return the new root."""
    mount.mount(b"", b"/", b"", MS_REC | mount.MS_PRIVATE, b"")
    for name in ("upper", "work", "merged"):
        os.makedirs(f"{box}/{name}", exist_ok=True)
    merged = f"{box}/merged"
    options = f"lowerdir={root},upperdir={box}/upper,workdir={box}/work,userxattr"  # attributes of any user
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


def map_ids(child: int) -> None:
    """In the parent: say which ids of the host the ids of the new user namespace are."""
    # YOURS 2: write deny into /proc/CHILD/setgroups; only then a user without root may write a gid_map
    Path(f"/proc/{child}/setgroups").write_text("deny")
    # END
    # YOURS 3: write one line into uid_map and one into gid_map of child: id 0 inside, your own id outside, 1 id
    Path(f"/proc/{child}/uid_map").write_text(f"0 {os.getuid()} 1")
    Path(f"/proc/{child}/gid_map").write_text(f"0 {os.getgid()} 1")
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
    # YOURS 1: make the child as in level 7, but also in a new user namespace: clone3(2) makes that one first
    new = process.CLONE_NEWUSER | process.CLONE_NEWNS | process.CLONE_NEWUTS | process.CLONE_NEWPID
    child, _ = process.clone3(new)
    # END
    if child == 0:
        os.close(opener)
        if not os.read(gate, 1):  # wait for the ids; end of file: the parent has failed
            os._exit(1)
        own_name(os.path.basename(box))
        change_root(own_mounts(root, box))
        os._exit(init(program))
    map_ids(child)
    os.write(opener, b"!")
    return shell_status(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
