"""Level 1: run a program in a child process, and end with the status of the program.

usage: 01-fork-exec.py PROGRAM [ARGUMENT...]
"""

import os
import sys


def become(program: list[str]) -> None:
    """In the child: become the program. This function does not return."""
    try:
        # YOURS 2: become the program, which is looked for in PATH; see execvp in exec(3)
        os.execvp(program[0], program)
        # END
    except OSError as error:
        print(f"{program[0]}: {error.strerror}", file=sys.stderr)
        # YOURS 3: end this process with 127 (no such program) or 126 (it cannot be executed); see _exit(2)
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)
        # END


def main() -> int:
    """Run the program, wait for its end, and return its status."""
    # YOURS 1: make a child process; fork(2) returns twice
    child = os.fork()
    # END
    if child == 0:
        become(sys.argv[1:])
    # YOURS 4: wait for the child, and return its exit status, or 128+N if signal N killed it; see wait(2)
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
    # END


if __name__ == "__main__":
    sys.exit(main())
