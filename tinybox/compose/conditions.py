"""The conditions of depends_on and --wait: wait until a service is started, healthy, or has completed."""

from __future__ import annotations

import math
import time

from tinybox.compose.reading.service import COMPLETED, HEALTHY
from tinybox.container.views import listing
from tinybox.errors import StateError
from tinybox.linux.waiting import until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.compose.reading.service import Service
    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

SETTLED = "running for a moment"  # the condition of --wait for a service without a healthcheck
MOMENT = 500_000_000  # ns, as in docker compose: after that, a program that ends at once has ended
PAUSE = 0.05  # seconds between two reads of a state
ENDED = ("exited", "dead", "created")


def wait(
    paths: Paths, service: Service, condition: str, seconds: float | None = None, began: float | None = None
) -> None:
    """Wait until *service* meets *condition*; StateError if it no longer can, or does not within *seconds*.

    *seconds* are counted from *began*, a value of time.monotonic(), or from now.
    """
    deadline = math.inf if seconds is None else (time.monotonic() if began is None else began) + seconds
    if not until(lambda: is_met(service, listing.find(paths, service.container), condition), deadline, PAUSE):
        raise failure(service, f"is not {_adjective(condition)} after {seconds:g} s")


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
        raise failure(service, "is unhealthy", f"tinybox inspect {service.container} shows the output of its check")
    return listed.health == "healthy"


def failure(service: Service, cause: str, cure: str = "") -> StateError:
    """Return a StateError that names *service* and its line in the file, for the caller to raise."""
    return StateError(f"service {service.name} ({service.place})", cause, cure)


def _adjective(condition: str) -> str:
    return {COMPLETED: "done", HEALTHY: "healthy"}.get(condition, "running")
