"""Level 2: run a program in a child process that sees only the files below a directory.

usage: 02-chroot.py ROOT PROGRAM [ARGUMENT...]
"""

import os
import sys
import warnings  # noqa: F401  os.execvp imports it, and in the new root there are no files of Python


def enter(root: str) -> None:
    """In the child: make *root* the root directory of this process."""
    # YOURS 1: make the directory root the "/" of this process; see chroot(2)
    os.chroot(root)
    # END
    # YOURS 2: the working directory is still the host's: change it to the new "/"; see chdir(2)
    os.chdir("/")
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
        enter(root)
        become(program)
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    sys.exit(main())
