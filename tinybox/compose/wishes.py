"""How `up`, `create`, `scale` and `run` treat containers: which are made again, how many there are, if they start."""

from __future__ import annotations

from tinybox.errors import UsageError
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tinybox.compose.reading.service import Service

CHANGED, ALWAYS, NEVER = "changed", "always", "never"  # when a container is made again
MOST = 1000  # containers of a service; a larger number is a mistake


class Wishes:
    """What the user asked for: *recreate* is a policy for the services *named*, *others* for all other services.

    With no service *named*, all are. *scale* maps a service to its number of containers, in place of the file's.
    Without *start* containers are made, and not started. With *renew* a container that is made again gets new
    anonymous volumes. *seconds* is the time to stop a container, None the container's own.
    """

    def __init__(
        self,
        *,
        recreate: str = CHANGED,
        others: str = CHANGED,
        named: Iterable[str] = (),
        scale: Mapping[str, int] | None = None,
        start: bool = True,
        renew: bool = False,
        seconds: float | None = None,
    ) -> None:
        self._recreate, self._others, self._named = recreate, others, {*named}
        self.scale, self.start, self.renew, self.seconds = dict(scale or {}), start, renew, seconds

    def recreate(self, service: str) -> str:
        """Return when a container of *service* is made again: CHANGED, ALWAYS or NEVER."""
        return self._recreate if not self._named or service in self._named else self._others

    def count(self, service: Service) -> int:
        """Return how many containers *service* has."""
        return self.scale.get(service.name, service.scale)


def scaled(words: Iterable[str], known: Iterable[str]) -> dict[str, int]:
    """Return the numbers of ``SERVICE=NUMBER`` words; UsageError for another form, or a service that is not *known*."""
    found, there = {}, set(known)
    for word in words:
        name, equals, number = word.partition("=")
        if not equals or not is_whole(number) or int(number) > MOST:
            raise UsageError(f"scale {word}", "is not SERVICE=NUMBER", f"web=2; at most {MOST}")
        if name not in there:
            raise UsageError(f"service {name}", "no such service", f"there are {', '.join(sorted(there)) or 'none'}")
        found[name] = int(number)
    return found
