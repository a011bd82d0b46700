"""One command, several names: each is tried, each failure is told on a line of its own."""

from __future__ import annotations

import sys

from tinybox.errors import TinyboxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def each(
    names: Iterable[str], act: Callable[[str], str | None], passes: Callable[[TinyboxError], bool] = lambda _: False
) -> int:
    """Do *act* for every name and print what it returns, or else the name; return 1 if any failed, as docker.

    A failure that *passes* is told and does not count.
    """
    status = 0
    for name in names:
        try:
            print(act(name) or name, flush=True)
        except TinyboxError as error:
            print(f"tinybox: {error}", file=sys.stderr)
            status = status if passes(error) else 1
        except BrokenPipeError:
            raise
        except OSError as error:
            print(f"tinybox: {name}: {error.strerror or error}", file=sys.stderr)
            status = 1
    return status
