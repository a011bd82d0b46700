"""Level 5: let many boxes share the files of one image; what a box changes is kept in its own directory.

usage: 05-overlay.py ROOT BOX PROGRAM [ARGUMENT...]
"""

import os
import sys
import warnings  # noqa: F401  os.execvp imports it, and in the new root there are no files of Python

from tinybox.linux import mount, process

MS_REC = 0x4000  # linux/mount.h: also all mounts below


def own_mounts(root: str, box: str) -> str:
    """In the child: leave the host's mount namespace, mount the box's files and a /proc; return the new root."""
    process.unshare(process.CLONE_NEWNS)
    mount.mount(b"", b"/", b"", MS_REC | mount.MS_PRIVATE, b"")
    # YOURS 1: make the directories upper, work and merged in the directory box; all of them may exist already
    for name in ("upper", "work", "merged"):
        os.makedirs(f"{box}/{name}", exist_ok=True)
    # END
    merged = f"{box}/merged"
    # YOURS 2: mount an overlay on merged, whose options are lowerdir (it is root), upperdir and workdir; see mount(2)
    options = f"lowerdir={root},upperdir={box}/upper,workdir={box}/work"
    mount.mount(b"overlay", os.fsencode(merged), b"overlay", 0, os.fsencode(options))
    # END
    mount.mount(b"proc", os.fsencode(merged) + b"/proc", b"proc", 0, b"")
    return merged


def change_root(root: str) -> None:
    """In the child: make *root* the root of the mount namespace, and give up the old one."""
    os.chdir(root)
    mount.pivot_root(b".", b".")
    mount.umount2(b".", mount.MNT_DETACH)
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
    root, box, *program = sys.argv[1:]
    child = os.fork()
    if child == 0:
        change_root(own_mounts(root, box))
        become(program)
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    sys.exit(main())
