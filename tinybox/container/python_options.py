"""The options of `run` as Python gives them: values of any type become the texts of the command line."""

from __future__ import annotations

from tinybox.container.config.options import BY_NAME, FLAG, LIST, MAYBE, OPTIONS, WITHOUT
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Options that only the command line carries out: they show the run, put it in the background, or do not run it at all.
AT_A_TERMINAL = [option.key for option in OPTIONS if option.terminal]
KEYS = {option.key: option for option in BY_NAME.values()} | {"net": BY_NAME["net"]}


def normal(options: dict[str, Any]) -> dict[str, Any]:
    """Return *options* as the command line gives them: values as text, lists of text, flags; UsageError if unknown.

    An option with the value None counts as not given.
    """
    normalized: dict[str, Any] = {}
    for key, value in options.items():
        option = KEYS.get(key)
        if option is None:
            raise UsageError(f"option {key}", "is unknown", "tinybox run --help lists them")
        if value is None or (option.kind == MAYBE and value is False):
            continue
        if option.kind == LIST:
            normalized[option.key] = _texts(value)
        elif option.kind == MAYBE and value is True:
            normalized[option.key] = WITHOUT[option.name]
        else:
            normalized[option.key] = bool(value) if option.kind == FLAG else str(value)
    return normalized


def _texts(value: Any) -> list[str]:
    """Return the value of an option that may be given several times: a text, several, or ``{"KEY": "VALUE"}``."""
    if hasattr(value, "items"):
        return [f"{key}={item}" for key, item in value.items()]
    return [str(value)] if isinstance(value, str) or not hasattr(value, "__iter__") else [str(item) for item in value]
