"""The conditions of depends_on and --wait: wait until a service is started, healthy, or has completed."""

from __future__ import annotations

import math
import time
from contextlib import suppress

from tinybox.compose import members
from tinybox.compose.reading.service import COMPLETED, HEALTHY
from tinybox.container.views import listing, log_reader
from tinybox.errors import StateError, TinyboxError
from tinybox.linux.waiting import until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinybox.compose.members import Say
    from tinybox.compose.reading.service import Service
    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

SETTLED = "running for a moment"  # the condition of --wait for a service without a healthcheck
MOMENT = 500_000_000  # ns, as in docker compose: after that, a program that ends at once has ended
PAUSE = 0.05  # seconds between two reads of a state
ENDED = ("exited", "dead", "created")
LAST_LINES = 10  # lines of a failed service's log that are shown


def wait(
    paths: Paths,
    service: Service,
    names: Sequence[str],
    condition: str,
    seconds: float | None = None,
    began: float | None = None,
) -> None:
    """Wait until the containers *names* of *service* meet *condition*; StateError if one no longer can.

    StateError, too, if they do not within *seconds*, which are counted from *began*, a value of time.monotonic(), or
    from now.
    """
    deadline = math.inf if seconds is None else (time.monotonic() if began is None else began) + seconds

    def are_met() -> bool:
        return all(is_met(service, listing.find(paths, name), condition) for name in names)

    if not until(are_met, deadline, PAUSE):
        raise failure(service, f"is not {_adjective(condition)} after {seconds:g} s")


def expect(
    paths: Paths,
    service: Service,
    names: Sequence[str],
    condition: str,
    say: Say,
    seconds: float | None = None,
    began: float | None = None,
) -> None:
    """Wait as `wait` does; print that the containers are healthy, or before an error the last lines of their logs."""
    try:
        wait(paths, service, names, condition, seconds, began)
    except StateError:
        for name in names:
            _show_last_lines(paths, name, say)
        raise
    for name in names if condition == HEALTHY else ():
        say(f" Container {name}  Healthy")


def _show_last_lines(paths: Paths, name: str, say: Say) -> None:
    last = log_reader.Selection(tail=LAST_LINES)
    with suppress(TinyboxError):
        listed = listing.find(paths, name)
        said = b"".join(entry.data for batch in log_reader.read(paths, listed.id, last) for entry in batch)
        for line in said.removesuffix(b"\n").split(b"\n") if said else []:
            say(f"{members.short_name(listed)}  | {line.decode(errors='replace').rstrip()}")


def is_met(service: Service, listed: Listed, condition: str) -> bool:
    """Return whether *condition* is met now; StateError if it can never be met."""
    word = listed.word
    if condition == COMPLETED:
        status = listed.state.get("exitCode")
        if word in ENDED and status != 0:
            raise failure(service, f"did not complete successfully: exit status {status}")
        return word in ENDED
    if word in ENDED:
        raise failure(service, f"has ended with status {listed.state.get('exitCode')}")
    if condition == SETTLED:
        return word == "running" and time.time_ns() - listed.state.get("startedAt", 0) > MOMENT
    if condition != HEALTHY:
        return word == "running"
    if listed.health == "none":
        raise failure(service, "has no healthcheck, so it cannot become healthy", "add healthcheck:")
    if listed.health == "unhealthy":
        raise failure(service, "is unhealthy", f"tinybox inspect {listed.name} shows the output of its check")
    return listed.health == "healthy"


def failure(service: Service, cause: str, cure: str = "") -> StateError:
    """Return a StateError that names *service* and its line in the file, for the caller to raise."""
    return StateError(f"service {service.name} ({service.place})", cause, cure)


def _adjective(condition: str) -> str:
    return {COMPLETED: "done", HEALTHY: "healthy"}.get(condition, "running")
