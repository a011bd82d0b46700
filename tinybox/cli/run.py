"""`tinybox run`: choose between foreground, -d, --dry-run and --bundle; container/launch.py makes the container.

In the foreground the exit status is the program's, as with docker-run(1).
"""

from __future__ import annotations

import os
import sys

from tinybox.cli.before_run import SEEING, attached, check_output, check_runtime, refuse_seeing, warn
from tinybox.cli.pulling import MISSING, checked, with_image
from tinybox.container import launch, lifecycle
from tinybox.container.config import defaults
from tinybox.container.process.handles import Handles
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.errors import NoTerminalError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.container.lifecycle import Container
    from tinybox.container.process.detaching import Departure
    from tinybox.container.process.wait_loop import Ending, Signals


def execute(image: str, command: list[str], options: dict[str, Any]) -> int:
    """Run *command* in a new container of *image* and return the exit status; make a missing image from its recipe."""
    policy = checked(options.get("pull", MISSING))
    options = defaults.applied(options)
    check_runtime(options)
    check_output(options, seen=not (options.get("dry_run") or options.get("bundle")))
    if options.get("dry_run") or options.get("bundle"):
        return show(image, command, options)
    attached(options)
    if options.get("detach"):
        refuse_seeing(options, "-d: a container in the background shows no steps")
        from tinybox.cli.commands import detached

        return detached.run(image, command, options)
    if options.get("tty") and options.get("interactive") and not os.isatty(0):
        raise NoTerminalError
    on_terminal = os.isatty(0) and os.isatty(1)
    options.setdefault("interactive", on_terminal)  # stdin is not enough: in `run ... | less` the keys are for less
    options.setdefault("tty", on_terminal)
    if options.get("sig_proxy") is False and not any(options.get(key) for key in SEEING):
        from tinybox.cli.commands import attaching

        return attaching.run(image, command, options)
    if options["tty"] and options["interactive"] and not any(options.get(key) for key in SEEING):
        from tinybox.container.process import detaching

        make = lambda departure: _foreground(image, command, options, policy, departure)  # noqa: E731
        return detaching.in_owner(make, options.get("detach_keys", ""), b"tinybox:monitor")
    return _foreground(image, command, options, policy)


def _foreground(
    image: str, command: list[str], options: dict[str, Any], policy: str, departure: Departure | None = None
) -> int:
    """Run it in the foreground; without --rm with a log, which costs some milliseconds, and so can be attached to.

    A log that another program gets, too (--log-driver syslog, journald), is kept in any case.
    """
    stdin = 0 if options["interactive"] else os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    passing = bool(options.get("rm")) and departure is None and options.get("log_driver") not in ("syslog", "journald")
    handles = Handles((stdin, 1, 2), interactive=options["interactive"], watched=passing)
    carry_out: Callable[[Container, Signals], Ending] = lifecycle.run
    if not passing:
        from tinybox.container.monitor import foreground as logged

        carry_out = lambda container, signals: logged.run_logged(container, signals, departure)  # noqa: E731
    if any(options.get(key) for key in SEEING):
        from tinybox.seeing import run as seen

        foreground = seen.foreground
    else:
        foreground = launch.foreground

    def before_start(container: Container) -> None:
        warn(container)
        if passing and container.endpoints is not None:
            container.endpoints.returns_early = True

    make = lambda: foreground(  # noqa: E731
        image, command, options, handles, before_start=before_start, carry_out=carry_out
    )
    ending = with_image(image, make, policy, options.get("platform", ""), quiet=bool(options.get("quiet")))
    if ending.out_of_memory:
        print(f"tinybox: killed: out of memory, limit {options['memory'].upper()}", file=sys.stderr)
    if ending.complaint:
        print(printable(f"tinybox: {ending.complaint}"), file=sys.stderr)
    return ending.status


def show(image: str, command: list[str], options: dict[str, Any]) -> int:
    """Print the plan, or write the bundle, and do nothing else; only the owners of the bundle's files need root."""
    paths = Paths()
    container = launch.prepare(paths, host.read(paths.cache), image, command, options, Handles())
    if options.get("dry_run"):
        print("\n".join(container.plan.lines()).replace(container.id, container.id[:12]))
    else:
        from tinybox.container import bundling

        bundling.write_bundle(container, options["bundle"])
    return 0
