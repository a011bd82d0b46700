"""The command line of tinybox-oci: one table of verbs and options, from which it is parsed and help is printed.

Engines start a runtime many times a minute: parsing with argparse would take longer than the command itself.
"""

from __future__ import annotations

import os

from tinybox.errors import UsageError
from tinybox.text_values import is_whole, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.oci.log import Log

DEFAULT_ROOT = "/run/tinybox-oci"
GLOBALS = (
    "root=DIR log=FILE log-format=FORMAT debug cgroup-manager=MANAGER systemd-cgroup rootless=BOOL v/version h/help"
)
_MAKE = (
    "b/bundle=DIR pid-file=FILE console-socket=SOCKET pidfd-socket=SOCKET preserve-fds=N no-pivot no-new-keyring"
    " no-subreaper below-caller"
)
_LIMITS = (
    "blkio-weight=N cpu-period=N cpu-quota=N cpu-burst=N cpu-share=N cpu-rt-period=N cpu-rt-runtime=N cpu-idle=N"
    " cpuset-cpus=LIST cpuset-mems=LIST memory=BYTES memory-reservation=BYTES memory-swap=BYTES pids-limit=N"
)
_CRIU = (
    "image-path=DIR work-path=DIR tcp-established link-remap ext-unix-sk shell-job file-locks auto-dedup"
    " manage-cgroups-mode=MODE"
)


class Verb:
    """A verb: its arguments, its help, and its options: ``short/name=VALUE``, ``...`` if it may be repeated."""

    __slots__ = ("arguments", "help", "options")

    def __init__(self, arguments: str, help: str, options: str) -> None:  # noqa: A002
        self.arguments, self.help, self.options = arguments, help, options


VERBS = {
    "create": Verb("ID", "Make a container from a bundle without starting its program", _MAKE),
    "start": Verb("ID", "Start the program of a container that was created", ""),
    "state": Verb("ID", "Print the state of a container as the specification's JSON", ""),
    "kill": Verb("ID [SIGNAL]", "Send a signal (TERM) to a container's first process", "a/all"),
    "delete": Verb("ID", "Remove a container that has stopped", "f/force"),
    "run": Verb("ID", "Create, start, wait and delete", f"{_MAKE} d/detach keep"),
    "exec": Verb(
        "ID [PROGRAM...]",
        "Run one more program in a container",
        "p/process=FILE d/detach t/tty console-socket=SOCKET pidfd-socket=SOCKET pid-file=FILE u/user=UID[:GID]"
        " e/env=NAME=VALUE... cwd=DIR c/cap=CAPABILITY... g/additional-gids=GID... preserve-fds=N no-new-privs"
        " apparmor=PROFILE process-label=LABEL ignore-paused no-subreaper cgroup=[CONTROLLER:]PATH...",
    ),
    "ps": Verb("ID [OPTION...]", "List the processes of a container", "f/format=FORMAT"),
    "list": Verb("", "List containers", "f/format=FORMAT q/quiet"),
    "pause": Verb("ID", "Freeze every process of a container", ""),
    "resume": Verb("ID", "Resume a frozen container", ""),
    "update": Verb("ID", "Change the limits of a container", f"r/resources=FILE {_LIMITS}"),
    "events": Verb("ID", "Print the usage of a container, and when it runs out of memory", "stats interval=SECONDS"),
    "checkpoint": Verb(
        "ID",
        "Write the processes of a container to files, by criu",
        f"{_CRIU} leave-running tcp-skip-in-flight pre-dump parent-path=DIR",
    ),
    "restore": Verb(
        "ID",
        "Make a container from a bundle, with the processes that checkpoint has written",
        f"{_CRIU} b/bundle=DIR pid-file=FILE console-socket=SOCKET d/detach no-pivot no-subreaper",
    ),
    "spec": Verb("", "Write an example config.json", "b/bundle=DIR rootless"),
    "features": Verb("", "Print what this runtime supports as the specification's JSON", ""),
}


class CommandLine:
    """One parsed command line: the *verb*, its *arguments*, and the options: *flags*, and *values* by name."""

    log: Log  # of this command; set after parsing

    def __init__(self) -> None:
        self.verb = ""
        self.flags: set[str] = set()
        self.values: dict[str, list[str]] = {}
        self.arguments: list[str] = []
        self.inherited = self.kept = 0  # descriptors from 3 on for the program, and how many of them are open

    def value(self, name: str, default: str = "") -> str:
        """Return the last value of the option *name*, or *default*."""
        return self.values.get(name, [default])[-1]

    def root(self) -> str:
        """Return the directory of the records of containers; without root, it is in $XDG_RUNTIME_DIR, as runc's."""
        return os.path.abspath(self.value("root", "") or self._default_root())

    def _default_root(self) -> str:
        from tinybox.linux import user_namespaces

        live, rootless = os.environ.get("XDG_RUNTIME_DIR", ""), self.value("rootless", "auto")
        is_rootless = user_namespaces.is_rootless() or os.geteuid() != 0 if rootless == "auto" else rootless == "true"
        return os.path.join(live, "tinybox-oci") if is_rootless and live.startswith("/") else DEFAULT_ROOT

    def number(self, name: str) -> int:
        """Return the option *name* as a number, 0 if it was not given; UsageError if it is no number."""
        text = self.value(name, "0")
        if not is_whole(text.removeprefix("-")):
            raise UsageError(f"--{name} {text}", "is not a number")
        return int(text)

    def count_files(self) -> None:
        """Count the descriptors that the program inherits: --preserve-fds, and LISTEN_FDS of socket activation.

        This must be done before this process opens a file, which gets the lowest free number: it would be mistaken for
        a descriptor of the caller, and lead out of the container. See sd_listen_fds(3).
        """
        self.inherited = self.number("preserve-fds") + listening()
        if self.inherited < 0:
            raise UsageError(f"--preserve-fds {self.value('preserve-fds')}", "is below zero")
        while self.kept < self.inherited and _is_open(3 + self.kept):
            self.kept += 1


def listening() -> int:
    """Return the number of listening sockets that the caller passes to this process; see sd_listen_fds(3)."""
    count = os.environ.get("LISTEN_FDS", "")
    return int(count) if is_whole(count) and os.environ.get("LISTEN_PID") == str(os.getpid()) else 0


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def parse(texts: list[str]) -> CommandLine:
    """Parse a whole command line; UsageError names the text that is unknown or missing."""
    command = CommandLine()
    rest = _options(command, texts, GLOBALS, interspersed=False)
    if {"help", "version"} & command.flags:
        return command
    if not rest or rest[0] not in VERBS:
        raise UsageError(rest[0] if rest else "", "no such verb" if rest else "a verb is missing", "tinybox-oci --help")
    command.verb, *rest = rest
    verb = VERBS[command.verb]
    command.arguments = _options(command, rest, f"{verb.options} h/help", interspersed="..." not in verb.arguments)
    required = [word for word in verb.arguments.split() if not word.startswith("[")]
    most = 99 if "..." in verb.arguments else len(verb.arguments.split())
    if "help" not in command.flags and not len(required) <= len(command.arguments) <= most:
        cause = f"takes {verb.arguments or 'no arguments'}, but {len(command.arguments)} arguments were given"
        raise UsageError(command.verb, cause, f"tinybox-oci {command.verb} --help")
    return command


def _options(command: CommandLine, texts: list[str], table: str, *, interspersed: bool) -> list[str]:
    """Read the options of *table* in *texts*, and return the arguments; not *interspersed*: stop at the first one."""
    kinds = options(table)
    rest, at = list[str](), 0
    while at < len(texts):
        text, at = texts[at], at + 1
        if text == "--":
            return rest + texts[at:]
        if text == "-" or not text.startswith("-"):
            rest.append(text)
            if not interspersed:
                return rest + texts[at:]
            continue
        name, equals, value = text.lstrip("-").partition("=")
        if name not in kinds:
            raise UsageError(text, "no such option", f"tinybox-oci {command.verb} --help".replace("  ", " "))
        name, metavar = kinds[name]
        if metavar and not equals:
            if at == len(texts):
                raise UsageError(text, f"needs {metavar}")
            value, at = texts[at], at + 1
        _put(command, name, metavar, value)
    return rest


def _put(command: CommandLine, name: str, metavar: str, value: str) -> None:
    if metavar:
        command.values.setdefault(name, []).append(value)
    elif (flag := truth(value or "true")) is None:
        raise UsageError(f"--{name}={value}", "is neither true nor false")
    elif flag:
        command.flags.add(name)


def options(table: str) -> dict[str, tuple[str, str]]:
    """Return, for each spelling in *table*, the option's name, and the metavar of its value (``""`` for a flag)."""
    found = {}
    for entry in table.split():
        spellings, _, metavar = entry.partition("=")
        *shorts, name = spellings.split("/")
        for spelling in (name, *shorts):
            found[spelling] = (name, metavar)
    return found


def usage(verb: str) -> str:
    """Return the help of *verb*, or of the whole command if *verb* is empty."""
    if verb:
        lines = [f"tinybox-oci [OPTION...] {verb} [OPTION...] {VERBS[verb].arguments}", "", VERBS[verb].help, ""]
        table = f"{VERBS[verb].options} h/help"
    else:
        lines = ["tinybox-oci [OPTION...] VERB [OPTION...] ...", ""]
        lines += [f"  {name:12}{row.help}" for name, row in VERBS.items()] + [""]
        table = GLOBALS
    for entry in table.split():
        spellings, _, metavar = entry.partition("=")
        *shorts, name = spellings.split("/")
        short = "".join(f"-{letter}, " for letter in shorts)
        lines.append(f"  {short}--{name} {metavar}".rstrip())
    return "\n".join(lines)
