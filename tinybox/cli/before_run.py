"""What `run`, `create` and `start` have in common before a program runs: refused options, and a notice to the user."""

from __future__ import annotations

import os
import sys

from tinybox.errors import AttachError, UnfitValueError, UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.lifecycle import Container

SEEING = ("explain", "step", "break_at", "key_steps", "omit", "chroot")  # those of the group that need an audience


def warn_of_host_changes(container: Container) -> None:
    """Print which settings of this host a container with a network changes, the first time after a boot."""
    if container.endpoints is None or container.host.rootless:
        return
    from tinybox.container.network import warnings

    notice = warnings.forwarding() if os.geteuid() == 0 else ""
    if notice:
        print(f"tinybox: {notice}", file=sys.stderr)


def warn_of_another_processor(container: Container) -> None:
    """Print docker's warning if the image is for another processor, unless the user has asked for that with --platform.

    The program may run: by an interpreter such as qemu, binfmt_misc(5), or because it is for this one, too.
    """
    if container.other_platform:
        from tinybox.images.store import this_architecture

        text = f"The requested image's platform ({container.other_platform}) does not match the detected host platform"
        text += f" (linux/{this_architecture()}) and no specific platform was requested"
        print(printable(f"WARNING: {text}"), file=sys.stderr)


def warn_of_options(container: Container) -> None:
    """Print docker's warnings about what a new container's image and options will not do."""
    warn_of_another_processor(container)
    if container.discards_ports:
        print("WARNING: Published ports are discarded when using host network mode", file=sys.stderr)


def warn(container: Container) -> None:
    """Print all warnings about a new container."""
    warn_of_options(container)
    warn_of_host_changes(container)


STREAMS = ("stdin", "stdout", "stderr")


def streams(options: dict[str, Any]) -> set[str]:
    """Return the streams that --attach names; UsageError: one is no stream."""
    wanted = {word.lower() for word in options.get("attach") or ()}
    if wrong := sorted(wanted.difference(STREAMS)):
        raise UsageError(f"--attach {wrong[0]}", "is no stream", ", ".join(STREAMS))
    return wanted


def attached(options: dict[str, Any]) -> None:
    """Carry out --attach: a stream that it leaves out is /dev/null for the command, and the log still has it.

    UsageError: a word is no stream, or no output is left. AttachError: -d attaches none, or --detach-keys names no key.
    tinybox's own messages go on to stderr.
    """
    wanted = streams(options)
    if options.get("detach_keys") and not options.get("detach"):
        from tinybox.container.process import detaching

        detaching.key_bytes(options["detach_keys"])
    if not wanted:
        return
    if options.get("detach"):
        raise AttachError("--attach", "conflicts with --detach", "leave one of them out")
    if wanted == {"stdin"}:
        raise UsageError("--attach stdin", "shows no output", "add -a stdout")
    options["interactive"] = bool(options.get("interactive")) and "stdin" in wanted
    options.setdefault("tty", False)
    sys.stderr = open(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1)  # noqa: SIM115
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    for fd in (1, 2):
        if STREAMS[fd] not in wanted:
            os.dup2(null, fd)
    os.close(null)


def check_runtime(options: dict[str, Any]) -> None:
    """Raise UsageError, in docker's words, for a --runtime other than tinybox itself."""
    name = options.get("runtime") or "tinybox"
    if name != "tinybox":
        raise UnfitValueError(f"--runtime {name}", "unknown or invalid runtime name", f"--bundle DIR, and {name} run")


def check_output(options: dict[str, Any], *, seen: bool = True) -> None:
    """Raise UsageError for --output without an option that writes to it, or if this command is not *seen* anyway."""
    if options.get("output") and not (seen and any(options.get(key) for key in SEEING)):
        raise UsageError(
            f"--output {options['output']}", "is for the steps that are shown, and here none are", "--explain -o FILE"
        )


def refuse_seeing(options: dict[str, Any], where: str) -> None:
    """Raise UsageError if *options* has one of SEEING; *where* names the option or command that excludes it."""
    for key in SEEING:
        if options.get(key):
            raise UsageError(f"--{key.replace('_', '-')}", f"does not go with {where}", "run it in the foreground")
    check_output(options, seen=False)
