"""Run a command line in which one process kills itself at a chosen system call: for the tests of faults.

    python -m tests.support.command_faults cli COUNT WORDS...       # the command itself
    python -m tests.support.command_faults monitor COUNT WORDS...   # the monitor that it makes
    python -m tests.support.command_faults monitor EVENT WORDS...   # the monitor, at a named step or state

Modules that are imported in any case are imported beforehand, so that only the calls of the work itself are counted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.support.plan_faults import kill_at_count, kill_at_event

if TYPE_CHECKING:
    from typing import Any


def arm(where: str) -> None:
    """Let this process kill itself at its COUNT-th call from now on, or at an event."""
    if where.isdecimal():
        kill_at_count(int(where))
    else:
        kill_at_event(where)


def main() -> None:
    """Arm the chosen process, and run the command line."""
    import tinybox.cli
    import tinybox.cli.app
    import tinybox.cli.commands.attaching
    import tinybox.cli.commands.detached
    import tinybox.cli.commands.life
    import tinybox.cli.run
    import tinybox.container.execute
    from tinybox.container.monitor import background

    who, where, *words = sys.argv[1:]
    sys.argv[1:] = words
    if who == "cli":
        arm(where)
    else:
        be_monitor = background.be_monitor

        def be_armed(*arguments: Any) -> None:
            arm(where)
            be_monitor(*arguments)

        background.be_monitor = be_armed  # type: ignore[assignment]
    tinybox.cli.main()


if __name__ == "__main__":
    main()
