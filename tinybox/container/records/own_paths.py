"""The store and the run directory of a user without root, and how a program goes on in this user's home.

The home is entered by cli/rootless.py, which executes the command again in there. `tinybox unshare` does the same for
any program; a program in Python that imports tinybox then goes on by `resume()`.
"""

from __future__ import annotations

import os
import sys

from tinybox.container.records import paths
from tinybox.errors import HostError
from tinybox.isolation.cgroups import delegation
from tinybox.isolation.rootless import home
from tinybox.linux import user_namespaces

DATA, LIVE = "XDG_DATA_HOME", "XDG_RUNTIME_DIR"  # see the XDG base directory specification
INSIDE = "_TINYBOX_HOME"  # this program is in the home already; the value is the number of its open file RUN/.home


def settle() -> str:
    """Make this user's directories the defaults, and return the one for live state, "" if there is none."""
    live = _live()
    paths.settle(_data(), os.path.join(live, "tinybox") if live else "")
    return live


def go_on(number: str) -> None:
    """Go on in the home, as the process that has entered it, or as a program that `unshare` has started there.

    HostError: the open file RUN/.home, whose *number* was handed on, is closed.
    """
    if number.isdecimal() and user_namespaces.is_rootless():
        user_namespaces.home = int(number)
        try:
            os.set_inheritable(user_namespaces.home, False)
            user_namespaces.hold_home()
        except OSError as error:  # the program has closed the file that it inherited
            raise HostError("rootless", f"the file RUN/{home.FILE} is not open: {error.strerror}") from error
        user_namespaces.live = paths.Paths().run
        delegation.take(user_namespaces.live)


def stay() -> None:
    """Go on in the home that this process has just entered, without an execve(2)."""
    user_namespaces.stayed, user_namespaces.live = True, paths.Paths().run
    delegation.take(user_namespaces.live)


def execute_again() -> None:
    """Execute this command again, which has entered the home: then its memory belongs to the home, too; execve(2).

    Nothing must have been made before. The new process takes over the lock on RUN/.home.
    """
    os.set_inheritable(user_namespaces.home, True)
    os.environ[INSIDE] = str(user_namespaces.home)
    os.execv(sys.executable, sys.orig_argv)


def resume() -> None:
    """Let a program that `tinybox unshare` has started use the library: in the home, and in its network, if any."""
    if INSIDE in os.environ:
        settle()
        go_on(os.environ.pop(INSIDE))
        from tinybox.isolation.rootless import home_network

        home_network.join(user_namespaces.live)


def _data() -> str:
    folder = os.environ.get(DATA, "")
    if not folder.startswith("/"):  # such a path is to be ignored
        folder = os.path.join(os.path.expanduser("~"), ".local/share")
    return os.path.join(folder, "tinybox")


def _live() -> str:
    """Return the directory of this user's live state, which is gone after a logout; "" if there is none."""
    candidates = (os.environ.get(LIVE, ""), f"/run/user/{os.geteuid()}")
    return next((path for path in candidates if path.startswith("/") and _is_own_directory(path)), "")


def _is_own_directory(path: str) -> bool:
    return os.path.isdir(path) and os.stat(path).st_uid == os.geteuid()
