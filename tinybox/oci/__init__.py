"""The command tinybox-oci, an OCI runtime: podman, buildah and containerd call it to make and end their containers.

An engine starts it again for each verb, so it must start fast: click is not imported, and each verb imports only its
own file. `tinybox oci ...` is the same command line.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tinybox.oci.command_line import CommandLine

VERBS = {  # the file and the function of each verb
    "create": ("creation", "create"),
    "start": ("starting", "start"),
    "run": ("running", "run"),
    "exec": ("execute", "run"),
    "kill": ("killing", "kill"),
    "delete": ("ending", "delete"),
    "state": ("looking", "show_state"),
    "list": ("looking", "show_list"),
    "ps": ("looking", "show_processes"),
    "pause": ("pausing", "pause"),
    "resume": ("pausing", "resume"),
    "update": ("limits", "update"),
    "events": ("usage", "events"),
    "checkpoint": ("checkpoint", "checkpoint"),
    "restore": ("checkpoint", "restore"),
    "spec": ("example", "write"),
    "features": ("features", "show"),
}


def main() -> NoReturn:
    """Run the command line in sys.argv and exit with its status."""
    from tinybox import entry

    entry.command("tinybox-oci", dispatch)


def dispatch(arguments: list[str]) -> int:
    """Run one command line and return its exit status; an error is written to the engine's log, and to stderr."""
    from tinybox.errors import TinyboxError
    from tinybox.oci import command_line, log

    command = command_line.parse(arguments)
    if {"help", "version"} & command.flags:
        print(command_line.usage(command.verb) if "help" in command.flags else version())
        return 0
    command.count_files()
    command.log = log.Log(command.value("log"), command.value("log-format", "text"), debug="debug" in command.flags)
    try:
        refuse(command)
        return act(command)
    except (TinyboxError, OSError) as error:
        message = str(error) if isinstance(error, TinyboxError) else f"{error.filename or 'system'}: {error.strerror}"
        if command.log.write_error(message):
            return getattr(error, "status", TinyboxError.status)
        raise


def refuse(command: CommandLine) -> None:
    """Raise UsageError, with the reason, for the options that this runtime does not carry out."""
    from tinybox.errors import UsageError

    if "systemd-cgroup" in command.flags:
        cause = "control groups are made by tinybox itself, not by systemd"
        raise UsageError("--systemd-cgroup", cause, "the engine's --cgroup-manager=cgroupfs")
    if command.value("cgroup-manager", "cgroupfs") != "cgroupfs":
        raise UsageError(f"--cgroup-manager {command.value('cgroup-manager')}", "is not known here", "cgroupfs")
    if "no-pivot" in command.flags:
        cause = "root in the container can leave a root file system that was not changed by pivot_root(2)"
        raise UsageError("--no-pivot", cause, "a root file system on a disk or a tmpfs, not on the initial ramfs")
    if command.value("rootless", "auto") not in ("true", "false", "auto"):
        raise UsageError(f"--rootless {command.value('rootless')}", "is none of true, false, auto")


def version() -> str:
    """Return the text of ``--version``: tinybox's version and the specification's, a line each."""
    from tinybox.container.records.spec import NEWEST
    from tinybox.version import __version__

    return f"tinybox-oci version {__version__}\ncommit: {__version__}\nspec: {NEWEST}"


def act(command: CommandLine) -> int:
    """Run the function of the verb, and return the exit status."""
    module, verb = VERBS[command.verb]
    loaded = __import__(f"tinybox.oci.{module}", fromlist=[verb])  # importlib would import warnings, too
    status: int = getattr(loaded, verb)(command) or 0
    return status
