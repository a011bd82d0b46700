"""A user without root: which store and run directory are the user's, and which commands enter the user's home.

A command enters the home before it does anything else, and then executes itself again, as root of the home; a plain
`run` need not. See isolation/rootless/home.py and docs/adr/0034-rootless.md. For root this module is never loaded.
"""

from __future__ import annotations

import os
import sys

from tinybox.container.records import own_paths, paths
from tinybox.container.records.own_paths import INSIDE, LIVE
from tinybox.errors import HostError
from tinybox.isolation.cgroups import delegation
from tinybox.isolation.rootless import home
from tinybox.linux import user_namespaces

OUTSIDE = frozenset(("version", "completion", "explain", "replay", "help", "login", "logout"))  # these need no store
PLAIN = frozenset(("rm", "network", "name", "env", "volume", "workdir", "user", "hostname", "interactive", "read_only"))
_WITH_PROGRAM = ("run", "create", "exec")  # a --help among their arguments may be for the program in the box


def prepare(arguments: list[str]) -> None:
    """Settle the directories of this user, and enter the home if the command *arguments* needs it.

    HostError: there is no directory for the live state, or the kernel permits no user namespaces. A store that belongs
    to another user, such as root's, is left as it is: a command may show what it can read.
    """
    words, live = _without_root_option(arguments), own_paths.settle()
    if INSIDE in os.environ:
        own_paths.go_on(os.environ.pop(INSIDE))
        if words[:1] == ["network"]:  # it shows and changes bridges
            from tinybox.isolation.rootless import home_network

            home_network.join(user_namespaces.live)
        return
    if _needs_no_home(words):
        return
    if words[0] == "run" and _only_plans(words[1:]):
        user_namespaces.planned = True
        delegation.take(paths.Paths().run, planned=True)
        return
    try:
        lack = home.enter(_run_directory(live))
    except HostError as error:
        if words[0] == "doctor":  # outside of a home, it says what forbids one, and what else is amiss
            user_namespaces.home = -1
            return
        error.status = 125 if words[0] == "run" else 1
        raise
    if lack:
        print(f"tinybox: boxes have no other user id than 0: {lack}", file=sys.stderr, flush=True)
    os.environ |= {LIVE: live} if live else {}
    if words[0] == "run" and _is_plain(words[1:]):
        own_paths.stay()
    else:
        own_paths.execute_again()


def _without_root_option(arguments: list[str]) -> list[str]:
    """Return the *arguments* from the command on; --root DIR before it becomes TINYBOX_ROOT."""
    words = list(arguments)
    while words and words[0].startswith("--root"):
        name, equals, value = words.pop(0).partition("=")
        if name != "--root" or not (equals or words):
            return []  # the parser reports it
        os.environ["TINYBOX_ROOT"] = value if equals else words.pop(0)
    return words[1:] if words[:1] == ["container"] else words


def _needs_no_home(words: list[str]) -> bool:
    """Return whether the command line *words* makes no use of this user's store."""
    store = os.environ.get("TINYBOX_ROOT") or paths.DEFAULT_ROOT
    is_foreign = os.path.lexists(store) and os.stat(store).st_uid != os.geteuid()
    # An engine without root, such as podman, has a home of its own, and calls tinybox-oci in there.
    return not words or words[0].startswith("-") or words[0] in (*OUTSIDE, "oci") or _asks_for_help(words) or is_foreign


def _asks_for_help(words: list[str]) -> bool:
    if words[0] in _WITH_PROGRAM:
        words = words[: next((at for at, word in enumerate(words) if at and not word.startswith("-")), len(words))]
    return "--help" in words or words[1:2] == ["-h"] or "_TINYBOX_COMPLETE" in os.environ


def _only_plans(arguments: list[str]) -> bool:
    """Return whether `run` with these *arguments* only shows the plan."""
    if not any(word.startswith("--dry-run") for word in arguments):
        return False
    from tinybox.cli import quick

    parsed = quick.parse(arguments)
    return parsed is not None and bool(parsed[0].get("dry_run"))


def _is_plain(arguments: list[str]) -> bool:
    """Return whether `run` with these *arguments* can go on without an execve(2).

    Then no process may look into PID 1 of the box, which is a copy of this one, before it has executed a program: it
    has no terminal and no network to be given, and it is not in namespaces of others.
    """
    from tinybox.cli import quick
    from tinybox.container.config import defaults

    parsed = quick.parse(arguments)
    if parsed is None or (os.isatty(0) and os.isatty(1)):
        return False
    options = defaults.applied(parsed[0])
    networks = options.get("network") or [os.environ.get("TINYBOX_NETWORK", "")]
    return PLAIN.issuperset(options) and networks in (["none"], ["host"])


def _run_directory(live: str) -> str:
    """Return the run directory, which is made; the store is checked here, where its owners have the host's ids."""
    if not live and not os.environ.get("TINYBOX_ROOT"):
        cause = f"there is no directory for what runs: {LIVE} is not set, and /run/user/{os.geteuid()} is none"
        raise HostError("rootless", cause, f"log in with pam_systemd(8), or: export {LIVE}=$(mktemp -d)")
    here = paths.Paths()
    here.prepare()
    return here.run
