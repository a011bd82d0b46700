"""Level 6: give the box a host name of its own: the last part of the path BOX.

usage: 06-host-name.py ROOT BOX PROGRAM [ARGUMENT...]
"""

import os
import socket
import sys
import warnings  # noqa: F401  os.execvp imports it, and in the new root there are no files of Python

from tinybox.linux import mount, process

MS_REC = 0x4000  # linux/mount.h: also all mounts below


def own_mounts(root: str, box: str) -> str:
    """In the child: leave the host's mount namespace, mount the box's files and a /proc; return the new root."""
    process.unshare(process.CLONE_NEWNS)
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
    """In the child: leave the host's UTS namespace, and set the box's host name."""
    # YOURS 1: move this process into a new UTS namespace: process.CLONE_NEWUTS; see unshare(2), uts_namespaces(7)
    process.unshare(process.CLONE_NEWUTS)
    # END
    # YOURS 2: set the host name; see sethostname in gethostname(2)
    socket.sethostname(name)
    # END


def become(program: list[str]) -> None:
    """In the child: become the program. This function does not return."""
    try:
        os.execvp(program[0], program)
    except OSError as error:
        print(f"{program[0]}: {error.strerror}", file=sys.stderr)
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def main() -> int:
    """Run the program, wait for its end, and return its status."""
    root, box, *program = sys.argv[1:]
    child = os.fork()
    if child == 0:
        own_name(os.path.basename(box))
        change_root(own_mounts(root, box))
        become(program)
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    sys.exit(main())
