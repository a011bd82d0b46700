"""Level 9: limit the processes and the memory of the box by control groups, which are directories.

usage: 09-cgroup.py ROOT BOX PROGRAM [ARGUMENT...]
"""

import os
import signal
import socket
import sys
import warnings  # noqa: F401  os.execvp imports it, and in the new root there are no files of Python
from pathlib import Path

from tinybox.linux import mount, process

MS_REC = 0x4000  # linux/mount.h: also all mounts below
PROCESSES, MEMORY = 20, 32 * 1024 * 1024  # the limits: so many processes, so many bytes
TREE = "/sys/fs/cgroup"
IS_V2 = os.path.exists(f"{TREE}/cgroup.controllers")  # a file that each group of version 2 has
MEMORY_FILE = "memory.max" if IS_V2 else "memory.limit_in_bytes"


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


def groups_of(name: str) -> dict[str, str]:
    """Return the directory of the box's group for each controller.

    In version 1, each controller has a tree of its own; in version 2, one tree has all: both directories are the same.
    """
    trees = {each: f"{TREE}/{each}" if os.path.isdir(f"{TREE}/{each}") else TREE for each in ("memory", "pids")}
    return {each: f"{tree}/{name}" for each, tree in trees.items()}


def limit(groups: dict[str, str], child: int) -> None:
    """In the parent, on the host: make the groups, set their limits, and put the process child into them."""
    # YOURS 1: make each directory of groups, but none twice: the kernel fills it with files; see mkdir(2)
    for directory in set(groups.values()):
        os.mkdir(directory)
    # END
    # YOURS 2: write PROCESSES into pids.max, and MEMORY into the file MEMORY_FILE
    Path(groups["pids"], "pids.max").write_text(str(PROCESSES))
    Path(groups["memory"], MEMORY_FILE).write_text(str(MEMORY))
    # END
    # YOURS 3: write the number of child into cgroup.procs of each directory; its children will be in the groups, too
    for directory in set(groups.values()):
        Path(directory, "cgroup.procs").write_text(str(child))
    # END


def remove(groups: dict[str, str]) -> None:
    """In the parent, on the host: remove the groups, which have no process any more."""
    # YOURS 4: remove each directory as it is; its files are the kernel's, and go with it; see rmdir(2)
    for directory in set(groups.values()):
        os.rmdir(directory)
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
    groups = groups_of(os.path.basename(box))
    gate, opener = os.pipe()
    child, _ = process.clone3(process.CLONE_NEWNS | process.CLONE_NEWUTS | process.CLONE_NEWPID)
    if child == 0:
        os.close(opener)
        if not os.read(gate, 1):  # wait for the limits; end of file: the parent has failed
            os._exit(1)
        own_name(os.path.basename(box))
        change_root(own_mounts(root, box))
        os._exit(init(program))
    limit(groups, child)
    os.write(opener, b"!")
    _, status = os.waitpid(child, 0)
    remove(groups)
    return shell_status(status)


if __name__ == "__main__":
    sys.exit(main())
