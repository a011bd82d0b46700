"""The words of an OCI runtime's command line, as data: one table, from which they are read and helped with.

Engines start a runtime many times a minute: reading words by argparse would take longer than what is done by them.
"""

from __future__ import annotations

import os
from collections import namedtuple

from tinybox.errors import UsageError
from tinybox.text_values import is_whole, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    from tinybox.oci.log import Log

    class Verb(NamedTuple):
        """A verb: what follows its options, what it does, and its options: ``short/name=VALUE``, ``...`` for many."""

        arguments: str
        says: str
        options: str
else:
    Verb = namedtuple("Verb", "arguments says options")

DEFAULT_ROOT = "/run/tinybox-oci"
GLOBALS = (
    "root=DIR log=FILE log-format=FORMAT debug cgroup-manager=MANAGER systemd-cgroup rootless=BOOL v/version h/help"
)
_MAKE = "b/bundle=DIR pid-file=FILE console-socket=SOCKET preserve-fds=N no-pivot no-new-keyring no-subreaper"
_LIMITS = (
    "blkio-weight=N cpu-period=N cpu-quota=N cpu-burst=N cpu-share=N cpu-rt-period=N cpu-rt-runtime=N cpu-idle=N"
    " cpuset-cpus=LIST cpuset-mems=LIST memory=BYTES memory-reservation=BYTES memory-swap=BYTES pids-limit=N"
)
VERBS = {
    "create": Verb("ID", "Make a container from a bundle, all but the start of its program", _MAKE),
    "start": Verb("ID", "Start the program of a container that was created", ""),
    "state": Verb("ID", "Print the state of a container, in the specification's words", ""),
    "kill": Verb("ID [SIGNAL]", "Send a signal (TERM) to a container's first process", "a/all"),
    "delete": Verb("ID", "Remove all that is left of a container that has stopped", "f/force"),
    "run": Verb("ID", "Create, start, wait and delete", f"{_MAKE} d/detach keep"),
    "exec": Verb(
        "ID [PROGRAM...]",
        "Run one more program in a container",
        "p/process=FILE d/detach t/tty console-socket=SOCKET pid-file=FILE u/user=UID[:GID] e/env=NAME=VALUE..."
        " cwd=DIR c/cap=CAPABILITY... g/additional-gids=GID... preserve-fds=N no-new-privs apparmor=PROFILE"
        " process-label=LABEL ignore-paused no-subreaper",
    ),
    "ps": Verb("ID [OPTION...]", "List the processes of a container", "f/format=FORMAT"),
    "list": Verb("", "List containers", "f/format=FORMAT q/quiet"),
    "pause": Verb("ID", "Freeze every process of a container", ""),
    "resume": Verb("ID", "Let a frozen container go on", ""),
    "update": Verb("ID", "Change the limits of a container", f"r/resources=FILE {_LIMITS}"),
    "events": Verb("ID", "Print what a container uses, and when it runs out of memory", "stats interval=SECONDS"),
    "spec": Verb("", "Write a config.json to begin with", "b/bundle=DIR"),
    "features": Verb("", "Print what this runtime can do, in the specification's words", ""),
}


class Words:
    """One command line: the options, by name; the *verb*; and its *arguments*."""

    log: Log  # of this command, once the words have been read

    def __init__(self) -> None:
        self.verb = ""
        self.flags: set[str] = set()
        self.values: dict[str, list[str]] = {}
        self.arguments: list[str] = []
        self.asked = self.kept = 0  # files beside 0, 1 and 2 that the program is to have, and how many of them are open

    def value(self, name: str, default: str = "") -> str:
        """Return what was said last for the option *name*."""
        return self.values.get(name, [default])[-1]

    def root(self) -> str:
        """Return the directory in which containers are written down."""
        return os.path.abspath(self.value("root", DEFAULT_ROOT))

    def number(self, name: str) -> int:
        """Return the option *name* as a number, 0 where it was not said; else UsageError."""
        text = self.value(name, "0")
        if not is_whole(text.removeprefix("-")):
            raise UsageError(f"--{name} {text}", "is not a number")
        return int(text)

    def count_files(self) -> None:
        """Count the files that the program inherits: --preserve-fds, and LISTEN_FDS of who activated us by a socket.

        It must be done before we open one ourselves, which takes the lowest number that is free: it would pass for a
        file of the caller's, and lead out of the container. See sd_listen_fds(3).
        """
        self.asked = self.number("preserve-fds") + listening()
        if self.asked < 0:
            raise UsageError(f"--preserve-fds {self.value('preserve-fds')}", "is below zero")
        while self.kept < self.asked and _is_open(3 + self.kept):
            self.kept += 1


def listening() -> int:
    """Return how many sockets whoever started us listens at for us; see sd_listen_fds(3)."""
    count = os.environ.get("LISTEN_FDS", "")
    return int(count) if is_whole(count) and os.environ.get("LISTEN_PID") == str(os.getpid()) else 0


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def parse(words: list[str]) -> Words:
    """Read a whole command line; UsageError says which word is not known, or missing."""
    read = Words()
    rest = _options(read, words, GLOBALS, interspersed=False)
    if {"help", "version"} & read.flags:
        return read
    if not rest or rest[0] not in VERBS:
        raise UsageError(rest[0] if rest else "", "no such verb" if rest else "a verb is missing", "tinybox-oci --help")
    read.verb, *rest = rest
    verb = VERBS[read.verb]
    read.arguments = _options(read, rest, f"{verb.options} h/help", interspersed="..." not in verb.arguments)
    required = [word for word in verb.arguments.split() if not word.startswith("[")]
    most = 99 if "..." in verb.arguments else len(verb.arguments.split())
    if "help" not in read.flags and not len(required) <= len(read.arguments) <= most:
        cause = f"wants {verb.arguments or 'no more words'}, and got {len(read.arguments)} words"
        raise UsageError(read.verb, cause, f"tinybox-oci {read.verb} --help")
    return read


def _options(read: Words, words: list[str], table: str, *, interspersed: bool) -> list[str]:
    """Read the options among *words* by *table*, and return the other words; not *interspersed*: up to the first."""
    kinds = options(table)
    rest, at = list[str](), 0
    while at < len(words):
        word, at = words[at], at + 1
        if word == "--":
            return rest + words[at:]
        if word == "-" or not word.startswith("-"):
            rest.append(word)
            if not interspersed:
                return rest + words[at:]
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if name not in kinds:
            raise UsageError(word, "no such option", f"tinybox-oci {read.verb} --help".replace("  ", " "))
        name, wanted = kinds[name]
        if wanted and not equals:
            if at == len(words):
                raise UsageError(word, f"wants {wanted}")
            value, at = words[at], at + 1
        _put(read, name, wanted, value)
    return rest


def _put(read: Words, name: str, wanted: str, value: str) -> None:
    if wanted:
        read.values.setdefault(name, []).append(value)
    elif (said := truth(value or "true")) is None:
        raise UsageError(f"--{name}={value}", "is neither true nor false")
    elif said:
        read.flags.add(name)


def options(table: str) -> dict[str, tuple[str, str]]:
    """Return what each spelling in *table* stands for: the option's name, and the word for its value or ``""``."""
    found = {}
    for entry in table.split():
        spellings, _, wanted = entry.partition("=")
        *shorts, name = spellings.split("/")
        for spelling in (name, *shorts):
            found[spelling] = (name, wanted)
    return found


def usage(verb: str) -> str:
    """Return the help of *verb*, or of all."""
    if verb:
        lines = [f"tinybox-oci [OPTION...] {verb} [OPTION...] {VERBS[verb].arguments}", "", VERBS[verb].says, ""]
        table = f"{VERBS[verb].options} h/help"
    else:
        lines = ["tinybox-oci [OPTION...] VERB [OPTION...] ...", ""]
        lines += [f"  {name:10}{told.says}" for name, told in VERBS.items()] + [""]
        table = GLOBALS
    for entry in table.split():
        spellings, _, wanted = entry.partition("=")
        *shorts, name = spellings.split("/")
        short = "".join(f"-{letter}, " for letter in shorts)
        lines.append(f"  {short}--{name} {wanted}".rstrip())
    return "\n".join(lines)
