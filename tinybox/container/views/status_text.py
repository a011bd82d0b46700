"""The STATUS column of `ps`, in docker's wording: `Up 3 minutes`, `Exited (137) 2 minutes ago`."""

from __future__ import annotations

from tinybox.container.views.units import SECOND, age, ago

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.views.listing import Listed


def status(listed: Listed, now: int) -> str:
    """Return the status text of a container at the time *now* (ns); an exit status not recorded is ``unknown``."""
    word = listed.word
    if word in ("created", "creating"):
        return word.capitalize()
    if word in ("exited", "restarting"):
        code = listed.state.get("exitCode")
        ended = f"{'Exited' if word == 'exited' else 'Restarting'} ({'unknown' if code is None else code})"
        finished = listed.finished_at
        return f"{ended} {ago(finished, now)}" if finished else ended
    up = f"Up {age((now - listed.state.get('startedAt', now)) / SECOND)}"
    if word == "paused":
        return f"{up} (Paused)"
    health = listed.health
    if health == "none":
        return up
    return f"{up} (health: starting)" if health == "starting" else f"{up} ({health})"
