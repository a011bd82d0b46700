"""Level 3: give the program mounts of its own, among them a /proc, and let none of them reach the host.

usage: 03-mounts.py ROOT PROGRAM [ARGUMENT...]
"""

import os
import sys
import warnings  # noqa: F401  os.execvp imports it, and in the new root there are no files of Python

from tinybox.linux import mount, process

MS_REC = 0x4000  # linux/mount.h: also all mounts below


def own_mounts(root: str) -> None:
    """In the child: leave the host's mount namespace, and mount a /proc for the program."""
    # YOURS 1: move this process into a new mount namespace: process.unshare(process.CLONE_NEWNS); see unshare(2)
    process.unshare(process.CLONE_NEWNS)
    # END
    # YOURS 2: make "/" and all mounts below it private: mount.MS_PRIVATE with MS_REC; see mount(2)
    mount.mount(b"", b"/", b"", MS_REC | mount.MS_PRIVATE, b"")
    # END
    # YOURS 3: mount a new file system of the type proc on the directory proc of root; see mount(2) and proc(5)
    mount.mount(b"proc", os.fsencode(root) + b"/proc", b"proc", 0, b"")
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
    root, *program = sys.argv[1:]
    child = os.fork()
    if child == 0:
        own_mounts(root)
        os.chroot(root)
        os.chdir("/")
        become(program)
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    sys.exit(main())
