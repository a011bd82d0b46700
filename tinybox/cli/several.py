"""Run one command for several names: every name is tried, and each failure is printed on a line of its own."""

from __future__ import annotations

import sys

from tinybox.errors import TinyboxError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def each(
    names: Iterable[str], act: Callable[[str], str | None], passes: Callable[[TinyboxError], bool] = lambda _: False
) -> int:
    """Call *act* for every name and print its result, or the name; return 1 if any call failed, else 0, as docker.

    An error for which *passes* returns true is printed, but does not change the status.
    """
    status = 0
    for name in names:
        try:
            print(printable(act(name) or name), flush=True)
        except TinyboxError as error:
            print(f"tinybox: {error}", file=sys.stderr)
            status = status if passes(error) else 1
        except BrokenPipeError:
            raise
        except OSError as error:
            print(printable(f"tinybox: {name}: {error.strerror or error}"), file=sys.stderr)
            status = 1
    return status
