"""The command line of an OCI runtime: what podman, buildah and containerd start to make and end their containers.

It is short to start, for an engine starts it anew for each verb: no click is loaded, and each verb loads its own file.
`tinybox oci ...` is the same.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tinybox.oci.words import Words

VERBS = {  # the file and the function that do it
    "create": ("creation", "create"),
    "start": ("creation", "start"),
    "run": ("creation", "run"),
    "exec": ("execute", "run"),
    "kill": ("ending", "kill"),
    "delete": ("ending", "delete"),
    "state": ("looking", "show_state"),
    "list": ("looking", "show_list"),
    "ps": ("looking", "show_processes"),
    "pause": ("limits", "pause"),
    "resume": ("limits", "resume"),
    "update": ("limits", "update"),
    "events": ("usage", "events"),
    "spec": ("example", "write"),
    "features": ("features", "show"),
}


def main() -> NoReturn:
    """Run the command that sys.argv says and exit with its status."""
    from tinybox import entry

    entry.command("tinybox-oci", dispatch)


def dispatch(arguments: list[str]) -> int:
    """Run one command line and return its exit status; an error goes to the engine's log, and on to the caller."""
    from tinybox.errors import TinyboxError
    from tinybox.oci import log, words

    read = words.parse(arguments)
    if {"help", "version"} & read.flags:
        print(words.usage(read.verb) if "help" in read.flags else version())
        return 0
    read.count_files()
    read.log = log.Log(read.value("log"), read.value("log-format", "text"), debug="debug" in read.flags)
    try:
        refuse(read)
        return act(read)
    except (TinyboxError, OSError) as error:
        told = str(error) if isinstance(error, TinyboxError) else f"{error.filename or 'system'}: {error.strerror}"
        if read.log.tell_error(told):
            return getattr(error, "status", TinyboxError.status)
        raise


def refuse(words: Words) -> None:
    """Refuse what this runtime does not do, with the reason; UsageError."""
    from tinybox.errors import UsageError

    if "systemd-cgroup" in words.flags:
        cause = "control groups are made by tinybox itself, not by systemd"
        raise UsageError("--systemd-cgroup", cause, "the engine's --cgroup-manager=cgroupfs")
    if words.value("cgroup-manager", "cgroupfs") != "cgroupfs":
        raise UsageError(f"--cgroup-manager {words.value('cgroup-manager')}", "is not known here", "cgroupfs")
    if "no-pivot" in words.flags:
        cause = "a root without pivot_root(2) can be left by whoever is root in it"
        raise UsageError("--no-pivot", cause, "a root file system on a disk or a tmpfs, not on the initial ramfs")
    if words.value("rootless", "auto") not in ("true", "false", "auto"):
        raise UsageError(f"--rootless {words.value('rootless')}", "is none of true, false, auto")


def version() -> str:
    """Return what ``--version`` prints: ours and that of the specification, a line each."""
    from tinybox import __version__
    from tinybox.container.records.spec import NEWEST

    return f"tinybox-oci version {__version__}\nspec: {NEWEST}"


def act(words: Words) -> int:
    """Do what the verb says, and return the exit status."""
    module, verb = VERBS[words.verb]
    loaded = __import__(f"tinybox.oci.{module}", fromlist=[verb])  # importlib would load warnings, too
    status: int = getattr(loaded, verb)(words) or 0
    return status
