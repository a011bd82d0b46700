"""Level 7: give the box process numbers of its own, and a PID 1 that does what an init has to do.

usage: 07-pid-1.py ROOT BOX PROGRAM [ARGUMENT...]
"""

import os
import signal
import socket
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


def init(program: list[str]) -> int:
    """As PID 1: run the program as a child, and end when it has ended, with its status."""
    # YOURS 2: make a child that becomes the program: it is PID 2
    child = os.fork()
    if child == 0:
        become(program)
    # END
    # YOURS 3: the kernel keeps SIGTERM from PID 1 unless it has a handler: send it on to the child; see signal(7)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    # END
    # YOURS 4: orphans become children of PID 1: wait for all children until the program has ended; return its status
    while True:
        ended, status = os.wait()
        if ended == child:
            return shell_status(status)
    # END


def main() -> int:
    """Run the program in a box, wait for its end, and return its status."""
    root, box, *program = sys.argv[1:]
    # YOURS 1: make a child in new mount, UTS and pid namespaces in one call: process.clone3 returns (pid, pidfd)
    child, _ = process.clone3(process.CLONE_NEWNS | process.CLONE_NEWUTS | process.CLONE_NEWPID)
    # END
    if child == 0:
        own_name(os.path.basename(box))
        change_root(own_mounts(root, box))
        os._exit(init(program))
    return shell_status(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
