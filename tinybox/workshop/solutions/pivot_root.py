"""Level 4: exchange the root of the mount namespace, so that no file of the host is left in it.

usage: 04-pivot-root.py ROOT PROGRAM [ARGUMENT...]
"""

import os
import sys
import warnings  # noqa: F401  os.execvp imports it, and in the new root there are no files of Python

from tinybox.linux import mount, process

MS_BIND, MS_REC = 0x1000, 0x4000  # linux/mount.h


def own_mounts(root: str) -> None:
    """In the child: leave the host's mount namespace, and mount a /proc for the program."""
    process.unshare(process.CLONE_NEWNS)
    mount.mount(b"", b"/", b"", MS_REC | mount.MS_PRIVATE, b"")
    # YOURS 1: pivot_root(2) needs a mount: bind the directory root to itself with MS_BIND; see mount(2)
    mount.mount(os.fsencode(root), os.fsencode(root), b"", MS_BIND | MS_REC, b"")
    # END
    mount.mount(b"proc", os.fsencode(root) + b"/proc", b"proc", 0, b"")


def change_root(root: str) -> None:
    """In the child: make *root* the root of the mount namespace, and give up the old one."""
    os.chdir(root)
    # YOURS 2: make "." the root mount, and put the old one on "." as well: mount.pivot_root; see pivot_root(2)
    mount.pivot_root(b".", b".")
    # END
    # YOURS 3: the old root now covers the new one: unmount it from "." with mount.MNT_DETACH; see umount2(2)
    mount.umount2(b".", mount.MNT_DETACH)
    # END
    os.chdir("/")


def become(program: list[str]) -> None:
    """In the child: become the program. This function does not return."""
    try:
        os.execvp(program[0], program)
    except OSError as error:
        print(f"{program[0]}: {error.strerror}", file=sys.stderr)
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def main() -> int:
    """Run the program, wait for its end, and return its status."""
    root, *program = sys.argv[1:]
    child = os.fork()
    if child == 0:
        own_mounts(root)
        change_root(root)
        become(program)
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    sys.exit(main())
